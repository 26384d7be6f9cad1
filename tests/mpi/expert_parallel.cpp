// SPDX-License-Identifier: BSD-3-Clause
// Experts on processes: the checks that threads run too.
#include <headgate/activations/gelu.hpp>
#include <headgate/communicators/mpi_ranks.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/expert_parallel_backward.hpp"
#include "support/expert_parallel_failures.hpp"
#include "support/expert_parallel_late_refusals.hpp"

using namespace headgate_test;

namespace {

const hg::layer plain{hg::softmax_topk_gate<double>{.head = {.model = 6, .experts = 5}, .select = {.k = 2}},
                      hg::linear_expert<double>{.model = 6, .outputs = 4}, 5};

}  // namespace

TEST_CASE("experts on processes give the bits of one process", "[mpi][expert_parallel]") {
  hg::mpi_rank rank;
  CHECK(check_every_placement(rank,
                              hg::layer{hg::topk_gate<float>{.head = {.model = 13, .experts = 5}, .select = {.k = 2}},
                                        hg::swiglu_expert<float>{.model = 13, .hidden = 21},
                                        hg::ffn_expert<float, hg::gelu>{.model = 13, .hidden = 17}, 1}) == "");
}

TEST_CASE("weights on the inputs of experts on processes give the bits of one process", "[mpi][expert_parallel]") {
  hg::mpi_rank rank;
  hg::layer layer = plain;
  layer.options().weight_on = hg::weight_on::input;
  CHECK(check_every_placement(rank, layer) == "");
}

TEST_CASE("gradients through the exchange of processes agree with differences", "[mpi][expert_parallel]") {
  hg::mpi_rank rank;
  const hg::layer layer{hg::softmax_gate<double>{.head = {.model = 5, .experts = 4}},
                        hg::ffn_expert<double, hg::gelu>{.model = 5, .hidden = 7},
                        hg::ffn_expert<double, hg::gelu>{.model = 5, .hidden = 3}, 3};
  CHECK(check_differences(rank, layer) == "");
}

TEST_CASE("capacity and balance loss over processes are those over threads", "[mpi][expert_parallel]") {
  hg::mpi_rank rank;
  CHECK(check_global_balance(rank, plain) == "");
  hg::layer layer = plain;
  layer.options().capacity = {.factor = 0.6};
  CHECK(check_capacity_of_each_rank(rank, layer) == "");
}

TEST_CASE("a process that refuses ends the pass of all", "[mpi][expert_parallel]") {
  for (hg::index bad = 0; bad < hg::mpi_rank().size(); ++bad) {
    {
      hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20});
      CHECK(check_forward_fails(rank, plain, bad,
                                "expert_parallel_layer::forward: x has 5 columns, the layer was built for model = 6",
                                [](auto&, auto& x) { x = random_matrix<double>(3, 5, {1}); }) == "");
    }
    hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20});
    CHECK(check_backward_fails(rank, plain, bad) == "");
  }
}

TEST_CASE("without agreement, too, a process that refuses its tokens ends the forward of all",
          "[mpi][expert_parallel]") {
  hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20, .agreement = false});
  const hg::index bad = rank.size() - 1;
  auto part = part_of(plain, {plain.experts(), rank.size()}, rank.rank());
  decltype(part)::tape tape;
  const auto x = random_matrix<double>(3, rank.rank() == bad ? 5 : 6, {1});
  hg::matrix<double> y;
  const std::string said = error_of([&] { part.forward(rank, x, y, tape); });
  CHECK_THAT(said, contains("expert_parallel_layer::forward: x has 5 columns"));
  CHECK(y.size() == 0);
}

TEST_CASE("a process that refuses once the experts' rows are back is heard of in the others' next operation",
          "[mpi][expert_parallel]") {
  for (hg::index bad = 0; bad < hg::mpi_rank().size(); ++bad) {
    {
      hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20});
      CHECK(check_late_forward(rank, bad) == "");
    }
    hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20});
    CHECK(check_late_backward(rank, bad) == "");
  }
}
