// SPDX-License-Identifier: BSD-3-Clause
// Experts on ranks of which one refuses.
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/expert_parallel_failures.hpp"
#include "support/expert_parallel_late_refusals.hpp"
#include "support/on_threads.hpp"

#include <limits>

using namespace headgate_test;

namespace {

const hg::layer plain{hg::softmax_topk_gate<double>{.head = {.model = 6, .experts = 5}, .select = {.k = 2}},
                      hg::linear_expert<double>{.model = 6, .outputs = 4}, 5};

}  // namespace

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
