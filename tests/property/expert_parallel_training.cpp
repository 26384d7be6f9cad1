// SPDX-License-Identifier: BSD-3-Clause
// Training with experts on ranks: gradients through the exchange, capacity, losses over ranks, and what fails on one rank.
#include <headgate/activations/gelu.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/expert_parallel_late_refusals.hpp"
#include "support/expert_parallel_training.hpp"
#include "support/on_threads.hpp"

#include <limits>

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

TEST_CASE("a rank that refuses its tokens ends the forward of all, before y is written", "[expert_parallel][misuse]") {
  for (hg::index bad = 0; bad < 3; ++bad) {
    const auto check = [&](const std::string& sentence, const auto& spoil) {
      CHECK(on_threads(3, [&](auto& rank) { return check_forward_fails(rank, plain, bad, sentence, spoil); }) == "");
    };
    check("expert_parallel_layer::forward: x has 5 columns, the layer was built for model = 6",
          [](auto&, auto& x) { x = random_matrix<double>(3, 5, {1}); });
    check("expert_parallel_layer::forward: x holds nan at row 2, column 1, values must be finite",
          [](auto&, auto& x) { x(2, 1) = std::numeric_limits<double>::quiet_NaN(); });
    check("gate::route: the router logit of token ",
          [](auto& part, auto&) { part.params().gate.head.weight(0, 0) = std::numeric_limits<double>::infinity(); });
  }
}

TEST_CASE("a rank whose loss refuses ends the backward of all, before dx is written", "[expert_parallel][misuse]") {
  for (hg::index bad = 0; bad < 3; ++bad)
    CHECK(on_threads(3, [&](auto& rank) { return check_backward_fails(rank, plain, bad); }) == "");
}

TEST_CASE("a rank that refuses once the experts' rows are back is heard of in the others' next operation",
          "[expert_parallel][misuse]") {
  for (hg::index bad = 0; bad < 3; ++bad) {
    CHECK(on_threads(3, [&](auto& rank) { return check_late_forward(rank, bad); }) == "");
    CHECK(on_threads(3, [&](auto& rank) { return check_late_backward(rank, bad); }) == "");
  }
}
