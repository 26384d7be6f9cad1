// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;
using hg::testing::check_gate;

static_assert(hg::trainable_gate<hg::topk_gate<float>> && hg::contextual_gate<hg::topk_gate<float>>);

// Every named gate alone, in evaluation and training: the whole record's gradient by differences to 1e-6, determinism,
// rows on their own, reuse of the cache, empty batch, one token.

TEST_CASE("softmax_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::softmax_gate<double>{.head = {.model = 6, .experts = 4}}));
}

TEST_CASE("topk_gate keeps every promise of a gate, for k = 1 up to all experts", "[gates][named]") {
  for (const hg::index k : {1, 2, 4})
    CHECK(check_gate(hg::topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = k}}));
}

TEST_CASE("softmax_topk_gate keeps every promise of a gate, for k = 1 up to all experts", "[gates][named]") {
  for (const hg::index k : {1, 2, 4})
    CHECK(check_gate(hg::softmax_topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = k}}));
}

TEST_CASE("renormalised_topk_gate keeps every promise of a gate, for k = 1 up to all experts", "[gates][named]") {
  for (const hg::index k : {1, 2, 4})
    CHECK(check_gate(hg::renormalised_topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = k}}));
}

TEST_CASE("noisy_topk_gate keeps every promise of a gate", "[gates][named]") {
  for (const hg::index k : {1, 2, 4})
    CHECK(check_gate(hg::noisy_topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = k}},
                     {.random = {2}}));
}

TEST_CASE("gumbel_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::gumbel_gate<double>{.head = {.model = 6, .experts = 4}}));
  CHECK(check_gate(
      hg::gumbel_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.temperature = 0.5, .samples = 3}}));
  CHECK(check_gate(hg::gumbel_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.hard = true}},
                   {.differentiable = false}));
}

TEST_CASE("temperature_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::temperature_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.temperature = 0.7}}));
}

TEST_CASE("dense_to_sparse_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(
      hg::dense_to_sparse_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.initial_temperature = 0.7}}));
}

TEST_CASE("activation_dense_to_sparse_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::activation_dense_to_sparse_gate<double>{.head = {.model = 6, .experts = 4}}));
}

TEST_CASE("sigmoid_gate and balanced_sigmoid_gate keep every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::sigmoid_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}}));
  CHECK(check_gate(hg::balanced_sigmoid_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}}));
}

TEST_CASE("adamole_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::adamole_gate<double>{.head = {.model = 6, .experts = 4}}));
  CHECK(check_gate(hg::adamole_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.max_threshold = 0.8}}));
}

TEST_CASE("top_p_gate keeps every promise of a gate", "[gates][named]") {
  for (const double mass : {0.0, 0.4, 0.9, 1.0})
    CHECK(check_gate(hg::top_p_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.mass = mass}}));
}

TEST_CASE("relu_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::relu_gate<double>{.head = {.model = 6, .experts = 4}}));
}

TEST_CASE("a named gate refuses the options that its stages refuse", "[gates][named]") {
  CHECK_THROWS_WITH((hg::topk_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.k = 5}}.check()),
                    "top_k: k is 5, the gate has 4 experts");
  CHECK_THROWS_WITH((hg::noisy_topk_gate<double>{.head = {.model = 6, .experts = 0}, .select = {.k = 1}}.check()),
                    "gate: experts is 0, it must be at least 1");
  CHECK_THROWS_WITH(
      (hg::temperature_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.temperature = 0}}.check()),
      "softmax_at: temperature is 0, it must be greater than 0");
  CHECK_THROWS_WITH((hg::gumbel_gate<double>{.head = {.model = 6, .experts = 4}, .score = {.temperature = -1}}.check()),
                    "gumbel_softmax: temperature is -1, it must be greater than 0");
  CHECK_THROWS_WITH((hg::top_p_gate<double>{.head = {.model = 6, .experts = 4}, .select = {.mass = -1}}.check()),
                    "top_p: mass is -1, it must be at least 0");
  CHECK_THROWS_WITH((hg::topk_gate<double, 6, 4, 5>{}.check()), "top_k: k is 5, the gate has 4 experts");
}

TEST_CASE("gshard_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::gshard_gate<double>{.gate = {.head = {.model = 6, .experts = 4}}, .threshold = 0.5}));
  CHECK(check_gate(hg::gshard_gate<double, 6, 4>{}));
}

TEST_CASE("sparsemixer_gate keeps every promise of a gate", "[gates][named]") {
  CHECK(check_gate(hg::sparsemixer_gate<double>{.head = {.model = 6, .experts = 4}, .jitter = 0.3},
                   {.differentiable_in_training = false}));
  CHECK(check_gate(hg::sparsemixer_gate<double, 6, 4>{}, {.differentiable_in_training = false}));
}

TEST_CASE("expert_choice_gate and sinkhorn_gate keep every promise of a gate", "[gates][named]") {
  CHECK(
      check_gate(hg::expert_choice_gate<double>{.head = {.model = 6, .experts = 4}}, {.rows_are_independent = false}));
  CHECK(check_gate(hg::expert_choice_gate<double, 6, 4>{}, {.rows_are_independent = false}));
  CHECK(check_gate(hg::sinkhorn_gate<double>{.gate = {.head = {.model = 6, .experts = 4}, .select = {.k = 1}}}));
  CHECK(check_gate(hg::sinkhorn_gate<double, 6, 4, 2>{}));
}

TEST_CASE("a record says that it lists the best first where it does, and only there", "[gates][named]") {
  const hg::matrix<double> x = random_matrix(30, 6, {2});
  // Whether the record says so, and whether the first of each token's experts has its largest weight.
  const auto says = [&](const auto& gate) {
    routed one(gate);
    one(x);
    const auto g = dense_weights(one.r);
    bool best = true;
    for (hg::index t = 0; t < 30; ++t)
      if (const auto ids = experts_of_token(one.r, t); !ids.empty()) best = best && g(t, ids[0]) == g.row(t).maxCoeff();
    CHECK(best == one.r.best_first);
    return one.r.best_first;
  };
  const hg::linear_head<double> head{.model = 6, .experts = 4};
  CHECK(says(hg::topk_gate<double>{.head = head, .select = {.k = 2}}));
  CHECK(says(hg::balanced_sigmoid_gate<double>{.head = head, .select = {.k = 2}}));  // the bias is 0
  CHECK(says(hg::top_p_gate<double>{.head = head, .select = {.mass = 0.7}}));
  CHECK(says(hg::gate{head, hg::softmax{}, hg::ranked{.skip = 1, .k = 2}, hg::raw{}}));
  using limited = hg::adjusted<hg::group_limit<hg::group_max>, hg::top_k<>>;
  CHECK(says(hg::gate{head, hg::softmax{}, limited{.adjust = {.groups = 2}, .select = {.k = 2}}, hg::raw{}}));
  CHECK(says(hg::sinkhorn_gate<double>{.gate = {.head = head, .select = {.k = 2}}}));
  CHECK(says(hg::gshard_gate<double>{.gate = {.head = head}}));
  CHECK_FALSE(says(hg::softmax_gate<double>{.head = head}));
  CHECK_FALSE(says(hg::expert_choice_gate<double>{.head = head}));
  CHECK_FALSE(says(hg::gate{head, hg::softmax{}, hg::at_least<double>{.value = 0.1}, hg::raw{}}));
  CHECK_FALSE(says(hg::relu_gate<double>{.head = head}));
  routed phi(hg::sparsemixer_gate<double>{.head = head});
  CHECK(phi(x).best_first);
}
