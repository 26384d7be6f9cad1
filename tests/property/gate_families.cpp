// SPDX-License-Identifier: BSD-3-Clause
// The gate families and their gradients: A softmax, then select; B select, then softmax; C softmax, select,
// renormalise.
#include <headgate/gates/named.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

constexpr hg::index tokens = 6, experts = 5;
const auto z = random_matrix(tokens, experts, {1});  // the gates below copy their input to the logits
const auto a = random_matrix(tokens, experts, {2});  // dL/dg

template <class Gate>
routed<Gate> family(hg::index k) {
  return copying(Gate{.head = {.model = experts, .experts = experts}, .score = {}, .select = {.k = k}, .weigh = {}});
}

hg::matrix<double> softmax_of(const hg::matrix<double>& row) {
  const hg::matrix<double> e = (row.array() - row.maxCoeff()).exp();
  return e / e.sum();
}

}  // namespace

TEST_CASE("family A: g = p on the selected, and dl_j = p_j (a_j [j selected] - sum over the selected of a_i p_i)",
          "[property][gates][families]") {
  for (const hg::index k : {1, 2, 5}) {
    auto gate = family<hg::softmax_topk_gate<double>>(k);
    const auto g = dense_weights(gate(z));
    gate.backward(z, a);
    for (hg::index t = 0; t < tokens; ++t) {
      const auto p = softmax_of(z.row(t));
      double mean = 0;
      for (hg::index e = 0; e < experts; ++e)
        if (g(t, e) > 0) mean += a(t, e) * p(0, e);
      for (hg::index e = 0; e < experts; ++e) {
        const bool in = g(t, e) > 0;
        if (in) CHECK(g(t, e) == Approx(p(0, e)).epsilon(1e-14));
        CHECK(gate.dx(t, e) == Approx(p(0, e) * ((in ? a(t, e) : 0) - mean)).epsilon(1e-12).margin(1e-15));
      }
    }
  }
}

TEST_CASE("family B: g = softmax over the selected, and dl_j = g_j (a_j - sum of a_i g_i), zero where not selected",
          "[property][gates][families]") {
  for (const hg::index k : {1, 2, 5}) {
    auto gate = family<hg::topk_gate<double>>(k);
    const auto g = dense_weights(gate(z));
    gate.backward(z, a);
    for (hg::index t = 0; t < tokens; ++t) {
      double sum = 0, mean = 0;
      for (const hg::index e : experts_of_token(gate.r, t)) sum += std::exp(z(t, e));
      for (const hg::index e : experts_of_token(gate.r, t)) {
        CHECK(g(t, e) == Approx(std::exp(z(t, e)) / sum).epsilon(1e-14));
        mean += a(t, e) * g(t, e);
      }
      for (hg::index e = 0; e < experts; ++e)
        CHECK(gate.dx(t, e) == Approx(g(t, e) * (a(t, e) - mean)).epsilon(1e-12).margin(1e-15));
    }
  }
}

TEST_CASE("family C is identical to family B in value and gradient", "[property][gates][families]") {
  for (const hg::index k : {1, 2, 3, 5}) {
    auto b = family<hg::topk_gate<double>>(k);
    auto c = family<hg::renormalised_topk_gate<double>>(k);
    CHECK((dense_weights(b(z)) - dense_weights(c(z))).cwiseAbs().maxCoeff() < 1e-15);
    b.backward(z, a);
    c.backward(z, a);
    CHECK((b.dx - c.dx).cwiseAbs().maxCoeff() < 1e-15);
    CHECK((b.dp.head.weight - c.dp.head.weight).cwiseAbs().maxCoeff() < 1e-14);
    for (hg::index t = 0; t < tokens; ++t) CHECK(experts_of_token(b.r, t) == experts_of_token(c.r, t));
  }
}

TEST_CASE("families B and C do not see a constant added to all logits, family A not either",
          "[property][gates][families]") {
  const hg::matrix<double> shifted = z.array() + 3;
  auto one = family<hg::softmax_topk_gate<double>>(2);
  auto two = family<hg::topk_gate<double>>(2);
  auto three = family<hg::renormalised_topk_gate<double>>(2);
  CHECK((dense_weights(one(z)) - dense_weights(one(shifted))).norm() < 1e-14);
  CHECK((dense_weights(two(z)) - dense_weights(two(shifted))).norm() < 1e-14);
  CHECK((dense_weights(three(z)) - dense_weights(three(shifted))).norm() < 1e-14);
}

TEST_CASE("k = experts makes the three families one: the dense softmax", "[property][gates][families]") {
  auto dense = copying(hg::softmax_gate<double>{.head = {.model = experts, .experts = experts}});
  const auto expected = dense_weights(dense(z));
  dense.backward(z, a);
  const auto check = [&](auto gate) {
    CHECK((dense_weights(gate(z)) - expected).cwiseAbs().maxCoeff() < 1e-15);
    gate.backward(z, a);
    CHECK((gate.dx - dense.dx).cwiseAbs().maxCoeff() < 1e-14);
  };
  check(family<hg::softmax_topk_gate<double>>(experts));
  check(family<hg::topk_gate<double>>(experts));
  check(family<hg::renormalised_topk_gate<double>>(experts));
}
