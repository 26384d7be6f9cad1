// SPDX-License-Identifier: BSD-3-Clause
// What a step of training needs beside the passes, on processes.
#include <headgate/communicators/broadcast_parameters.hpp>
#include <headgate/communicators/mpi_ranks.hpp>
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/expert_parallel_agreement.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/optim/clip_gradient_norm.hpp>

#include "support/error_of.hpp"
#include "support/expert_parallel_backward.hpp"

#include <cstdint>
#include <string_view>

using namespace headgate_test;

namespace {

hg::layer<hg::topk_gate<float>, hg::linear_expert<float>> drawn(std::uint64_t seed) {
  return {{.head = {.model = 4, .experts = 5}, .select = {.k = 1}}, {.model = 4, .outputs = 3}, seed};
}

}  // namespace

TEST_CASE("processes get the parameters of one of them", "[mpi][data_parallel]") {
  hg::mpi_rank rank;
  for (hg::index root = 0; root < rank.size(); ++root) {
    auto layer = drawn(static_cast<std::uint64_t>(10 + rank.rank()));
    hg::broadcast_parameters(rank, layer, root);
    CHECK(same_parameters(layer.params(), drawn(static_cast<std::uint64_t>(10 + root)).params()));
  }
}

TEST_CASE("processes average gradients in the order of the ranks", "[mpi][data_parallel]") {
  hg::mpi_rank rank;
  auto layer = drawn(1);
  const auto gradients_of = [&](hg::index r) {
    auto grads = layer.zero_gradients();
    std::uint64_t id = 0;
    decltype(grads)::walk<hg::fields_of::training>(
        [&](std::string_view, auto& d) {
          d = random_matrix<float>(d.rows(), d.cols(), {static_cast<std::uint64_t>(r), id++});
        },
        grads);
    return grads;
  };
  auto grads = gradients_of(rank.rank()), expected = gradients_of(0);
  const auto size = static_cast<float>(rank.size());
  for (hg::index r = 1; r < rank.size(); ++r) {
    auto term = gradients_of(r);
    decltype(grads)::walk<hg::fields_of::training>([](std::string_view, auto& sum, auto& d) { sum += d; }, expected,
                                                   term);
  }
  decltype(grads)::walk<hg::fields_of::training>([&](std::string_view, auto& sum) { sum /= size; }, expected);
  hg::average_gradients(rank, layer, grads);
  CHECK(same_parameters(grads, expected));
}

TEST_CASE("processes clip by the norm of the whole layer", "[mpi][expert_parallel]") {
  hg::mpi_rank rank;
  auto whole = drawn(1);
  auto part = part_of(whole, {5, rank.size()}, rank.rank());
  auto all = whole.zero_gradients();
  auto mine = part.zero_gradients();
  decltype(all)::walk<hg::fields_of::training>(disturb_all{{3}}, all);
  mine.gate = all.gate;
  for (hg::index i = 0; i < mine.ids.size(); ++i) mine.experts[i] = all.experts[mine.ids[i]];
  const double norm = hg::gradient_norm([&](auto&& visit) { whole.for_each_parameter(all, visit); });
  CHECK(hg::clip_gradient_norm(rank, norm / 2, part, mine) == Approx(norm).epsilon(1e-12));
  CHECK(relative_distance(mine.gate.head.weight, all.gate.head.weight / 2) < 1e-6);
  for (hg::index i = 0; i < mine.ids.size(); ++i)
    CHECK(relative_distance(mine.experts[i].weight, all.experts[mine.ids[i]].weight / 2) < 1e-6);
}

TEST_CASE("processes agree on their layer, or the one that differs says in what", "[mpi][expert_parallel]") {
  hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20});
  auto part = part_of(drawn(1), {5, rank.size()}, rank.rank());
  CHECK_NOTHROW(hg::check_agreement(rank, part));
  if (rank.size() == 1) return;
  if (rank.rank() == 1) part.params().gate.head.weight(0, 0) += 1;
  const std::string said = error_of([&] { hg::check_agreement(rank, part); });
  CHECK_THAT(said,
             contains("check_agreement: the parameters of the gate and the shared expert are not those of rank 0"));
  CHECK_THAT(said, contains(rank.rank() == 1 ? "refused " : "rank 1 failed: "));
}
