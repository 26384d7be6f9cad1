// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/elementwise.hpp>

#include "support/gate_checks.hpp"

#include <headgate/activations/tanh.hpp>

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::logits_score> && std::is_empty_v<hg::sigmoid_score> &&
              std::is_empty_v<hg::relu_score>);
static_assert(hg::logits_score::kind == hg::score_kind::logits);
static_assert(hg::sigmoid_score::kind == hg::score_kind::positive && hg::relu_score::kind == hg::score_kind::positive);

TEST_CASE("elementwise scores are the activation of each logit", "[gates][score][elementwise]") {
  const auto z = rows_of({{-3, -0.5, 0}, {0.5, 1, 3}});
  CHECK(scored(hg::logits_score{}, {1, 3}).forward(z) == z);
  CHECK(scored(hg::relu_score{}, {1, 3}).forward(z) == rows_of({{0, 0, 0}, {0.5, 1, 3}}));
  const auto s = scored(hg::sigmoid_score{}, {1, 3}).forward(z);
  for (hg::index i = 0; i < 6; ++i) CHECK(s.data()[i] == Approx(1 / (1 + std::exp(-z.data()[i]))).epsilon(1e-14));
}

TEST_CASE("the gradients of elementwise scores agree with differences", "[gates][score][elementwise]") {
  const auto x = random_matrix(4, 2, {1}), z = random_matrix(4, 5, {2});
  CHECK(scored(hg::logits_score{}, {2, 5}).check_gradients(x, z));
  CHECK(scored(hg::sigmoid_score{}, {2, 5}).check_gradients(x, z));
  CHECK(scored(hg::relu_score{}, {2, 5}).check_gradients(x, z));
  CHECK(scored(hg::elementwise_score<hg::tanh, hg::score_kind::logits>{}, {2, 5}).check_gradients(x, z));
}

TEST_CASE("elementwise scores of no token are nothing", "[gates][score][elementwise]") {
  CHECK(scored(hg::sigmoid_score{}, {2, 5}).forward(hg::matrix<double>(0, 5)).size() == 0);
}
