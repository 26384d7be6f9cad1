// SPDX-License-Identifier: BSD-3-Clause
// Backward passes with experts on ranks: gradients through the exchange, with a capacity, of losses over ranks.
#include <headgate/activations/gelu.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/expert_parallel_backward.hpp"
#include "support/on_threads.hpp"

using namespace headgate_test;

namespace {

template <class T>
hg::softmax_topk_gate<T> top_2() {
  return {.head = {.model = 6, .experts = 5}, .select = {.k = 2}};
}

/// Of every check the same layer: compiled once.
const hg::layer plain{top_2<double>(), hg::linear_expert<double>{.model = 6, .outputs = 4}, 5};

}  // namespace

TEST_CASE("gradients through the exchange agree with differences of the loss over all ranks",
          "[expert_parallel][gradients]") {
  for (const auto where : {hg::weight_on::output, hg::weight_on::input})
    for (hg::index ranks = 1; ranks <= 3; ++ranks) {
      hg::layer layer{hg::softmax_gate<double>{.head = {.model = 5, .experts = 4}},
                      hg::ffn_expert<double, hg::gelu>{.model = 5, .hidden = 7},
                      hg::ffn_expert<double, hg::gelu>{.model = 5, .hidden = 3}, 3,
                      hg::layer_options{.weight_on = where}};
      CHECK(on_threads(ranks, [&](auto& rank) { return check_differences(rank, layer); }) == "");
    }
}

TEST_CASE("a capacity limits what each rank's own batch sends", "[expert_parallel]") {
  for (const auto rule :
       {hg::drop::by_position, hg::drop::by_probability, hg::drop::by_choice, hg::drop::by_priority}) {
    hg::layer layer = plain;
    layer.options().capacity = {.factor = 0.6, .drop = rule};
    for (hg::index ranks = 1; ranks <= 3; ++ranks)
      CHECK(on_threads(ranks, [&](auto& rank) { return check_capacity_of_each_rank(rank, layer); }) == "");
  }
}

TEST_CASE("the balance loss with counts over ranks is that of one batch", "[expert_parallel][losses]") {
  for (hg::index ranks = 1; ranks <= 3; ++ranks)
    CHECK(on_threads(ranks, [&](auto& rank) { return check_global_balance(rank, plain); }) == "");
}
