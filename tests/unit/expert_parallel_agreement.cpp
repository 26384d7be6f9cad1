// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/expert_parallel_agreement.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/layer_checks.hpp"

#include <string>
#include <vector>

using namespace headgate_test;

namespace {

using gate = hg::topk_gate<float>;
using expert = hg::linear_expert<float>;
using part = hg::expert_parallel_layer<gate, expert, expert>;

part make(hg::index rank, hg::index ranks, std::uint64_t seed = 3, hg::index outputs = 4) {
  const expert linear{.model = 6, .outputs = outputs};
  return {gate{.head = {.model = 6, .experts = 5}, .select = {.k = 2}}, linear, linear, seed, {5, ranks}, rank};
}

/// What three ranks hear, each, if change(layer) is made on rank 2 alone.
template <class Change>
std::vector<std::string> heard(const Change& change) {
  std::vector<std::string> all(3);
  hg::run_thread_ranks(3, {.time_out = 20}, [&](hg::thread_rank& rank) {
    part layer = make(rank.rank(), 3);
    if (rank.rank() == 2) change(layer);
    try {
      hg::check_agreement(rank, layer);
    } catch (const std::exception& error) {
      all[static_cast<std::size_t>(rank.rank())] = error.what();
    }
  });
  return all;
}

template <class Change>
void check_refused(const std::string& sentence, const Change& change) {
  const std::vector<std::string> all = heard(change);
  CHECK(all[2] == "check_agreement: " + sentence);
  for (const std::size_t other : {std::size_t{0}, std::size_t{1}})
    CHECK_THAT(all[other], contains("rank 2 failed: " + all[2]));
}

}  // namespace

TEST_CASE("ranks that have built the same layer agree", "[expert_parallel]") {
  CHECK(heard([](part&) {}) == std::vector<std::string>(3));
  CHECK(heard([](part& layer) { layer.params().experts[0].weight(0, 0) += 1; }) == std::vector<std::string>(3));
  hg::single_rank alone;
  CHECK_NOTHROW(hg::check_agreement(alone, make(0, 1)));
}

TEST_CASE("a rank that differs is told in what, and the others are told of it", "[expert_parallel][misuse]") {
  check_refused("outputs is 5, on rank 0 it is 4", [](part& layer) { layer = make(2, 3, 3, 5); });
  check_refused("experts are placed on other ranks than rank 0 says", [](part& layer) {
    const expert linear{.model = 6, .outputs = 4};
    const hg::expert_placement other(std::vector<hg::index>{0, 1, 2, 2, 2}, 3);
    layer = part(gate(layer.gate()), linear, linear, 3, other, 2);
  });
  check_refused("placement's ranks is 4, on rank 0 it is 3", [](part& layer) { layer = make(2, 4); });
  const auto check_option = [](const std::string& sentence, const auto& change) {
    check_refused(sentence, [&](part& layer) { change(layer.options()); });
  };
  using options = hg::layer_options;
  check_option("capacity.factor is 1.5, on rank 0 it is inf", [](options& o) { o.capacity.factor = 1.5; });
  check_option("capacity.minimum is 3, on rank 0 it is 1", [](options& o) { o.capacity.minimum = 3; });
  check_option("capacity.fixed is 9, on rank 0 it is 0", [](options& o) { o.capacity.fixed = 9; });
  check_option("capacity.drop is 1, on rank 0 it is 0", [](options& o) { o.capacity.drop = hg::drop::by_probability; });
  check_option("capacity.round is 1, on rank 0 it is 0", [](options& o) { o.capacity.round = hg::rounding::down; });
  check_option("capacity.of is 1, on rank 0 it is 0", [](options& o) { o.capacity.of = hg::share_of::tokens; });
  check_option("weight_on is 1, on rank 0 it is 0", [](options& o) { o.weight_on = hg::weight_on::input; });
  const std::string replicas = "the parameters of the gate and the shared expert are not those of rank 0";
  check_refused(replicas, [](part& layer) { layer = make(2, 3, 4); });
  check_refused(replicas, [](part& layer) { layer.params().shared.weight(1, 1) += 1; });
}
