// SPDX-License-Identifier: BSD-3-Clause
// Sizes known at compile time and at run time are the same algorithm: the same bits, forward and backward.
#include <headgate/gates/named.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

/// Both gates draw the same parameters from one seed.
template <class Dynamic, class Static>
void check_same_bits(const Dynamic& with_numbers, const Static& with_types) {
  routed a(with_numbers);
  routed b(with_types);
  const auto x = random_matrix(9, 6, {1}), dg = random_matrix(9, 4, {2});
  const auto check = [&] {
    REQUIRE(a.r.assignments.size() == b.r.assignments.size());
    for (hg::index t = 0; t < 9; ++t)
      CHECK(hg::testing::detail::same_decision(hg::testing::detail::decision(a.r, t),
                                               hg::testing::detail::decision(b.r, t), 0));
    a.backward(x, dg);
    b.backward(x, dg);
    CHECK(a.dx == b.dx);
    CHECK(hg::testing::detail::flattened<Dynamic>(a.dp) == hg::testing::detail::flattened<Static>(b.dp));
  };
  a(x);
  b(x);
  check();
  a.training(x, 3);
  b.training(x, 3);
  check();
}

}  // namespace

TEST_CASE("static and dynamic top-k gates give the same bits", "[property][gates][static]") {
  check_same_bits(hg::topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  hg::topk_gate<double, 6, 4, 2>{});
  check_same_bits(hg::softmax_topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  hg::softmax_topk_gate<double, 6, 4, 2>{});
  check_same_bits(hg::renormalised_topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  hg::renormalised_topk_gate<double, 6, 4, 2>{});
  check_same_bits(hg::noisy_topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  hg::noisy_topk_gate<double, 6, 4, 2>{});
  check_same_bits(hg::sigmoid_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  hg::sigmoid_gate<double, 6, 4, 2>{});
  check_same_bits(hg::balanced_sigmoid_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  hg::balanced_sigmoid_gate<double, 6, 4, 2>{});
}

TEST_CASE("static and dynamic dense and ragged gates give the same bits", "[property][gates][static]") {
  check_same_bits(hg::softmax_gate<double>{.head = {.model = 6, .experts = 4}}, hg::softmax_gate<double, 6, 4>{});
  check_same_bits(hg::gumbel_gate<double>{.head = {.model = 6, .experts = 4}}, hg::gumbel_gate<double, 6, 4>{});
  check_same_bits(hg::temperature_gate<double>{.head = {.model = 6, .experts = 4}},
                  hg::temperature_gate<double, 6, 4>{});
  check_same_bits(hg::dense_to_sparse_gate<double>{.head = {.model = 6, .experts = 4}},
                  hg::dense_to_sparse_gate<double, 6, 4>{});
  check_same_bits(hg::activation_dense_to_sparse_gate<double>{.head = {.model = 6, .experts = 4}},
                  hg::activation_dense_to_sparse_gate<double, hg::sigmoid, 6, 4>{});
  check_same_bits(hg::adamole_gate<double>{.head = {.model = 6, .experts = 4}}, hg::adamole_gate<double, 6, 4>{});
  check_same_bits(hg::top_p_gate<double>{.head = {.model = 6, .experts = 4}}, hg::top_p_gate<double, 6, 4>{});
  check_same_bits(hg::relu_gate<double>{.head = {.model = 6, .experts = 4}}, hg::relu_gate<double, 6, 4>{});
}

TEST_CASE("static and dynamic gates that look at the batch give the same bits", "[property][gates][static]") {
  check_same_bits(hg::expert_choice_gate<double>{.head = {.model = 6, .experts = 4}},
                  hg::expert_choice_gate<double, 6, 4>{});
  check_same_bits(hg::sinkhorn_gate<double>{.gate = {.head = {.model = 6, .experts = 4}, .select = {.k = 2}}},
                  hg::sinkhorn_gate<double, 6, 4, 2>{});
}

TEST_CASE("a run-time size that contradicts the compile-time one is refused with both", "[property][gates][static]") {
  CHECK_THROWS_WITH((hg::topk_gate<double, 6, 4, 2>{.head = {.model = 7}}),
                    "extent: the run-time size 7 contradicts the compile-time size 6");
}
