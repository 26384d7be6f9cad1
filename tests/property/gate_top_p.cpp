// SPDX-License-Identifier: BSD-3-Clause
// Top-p selection (dynamic routing, arXiv:2403.07652).
#include <headgate/gates/named.hpp>

#include <headgate/losses/entropy.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using top_p = hg::top_p_gate<double>;
constexpr hg::index experts = 16;

top_p gate_of(double mass) {
  return {.head = {.model = 6, .experts = experts}, .score = {}, .select = {.mass = mass}, .weigh = {}};
}
const auto x = random_matrix(100, 6, {1});

}  // namespace

TEST_CASE("top-p: the number of experts does not decrease with the mass", "[property][gates][top_p]") {
  routed gate(gate_of(0));
  std::vector<std::size_t> last(100, 1);
  for (double mass = 0; mass <= 1.05; mass += 0.05) {
    gate.gate.select.mass = mass;
    gate(x);
    for (hg::index t = 0; t < 100; ++t) {
      const std::size_t now = experts_of_token(gate.r, t).size();
      CHECK(now >= last[static_cast<std::size_t>(t)]);
      last[static_cast<std::size_t>(t)] = now;
    }
  }
}

TEST_CASE("top-p: a mass of zero gives the top expert, a mass of one gives all", "[property][gates][top_p]") {
  routed none(gate_of(0)), almost_none(gate_of(1e-9)), all(gate_of(1));
  routed top1(hg::softmax_topk_gate<double>{.head = {.model = 6, .experts = experts}, .select = {.k = 1}});
  const auto expected = dense_weights(top1(x));
  CHECK(dense_weights(none(x)) == expected);
  CHECK(dense_weights(almost_none(x)) == expected);
  CHECK(all(x).assignments.size() == 100 * experts);
  all.p.head.weight *= 10;  // sums of most experts round to one and above
  CHECK(all(x).assignments.size() == 100 * experts);
}

TEST_CASE("top-p: a one-hot distribution needs one expert for any mass below one", "[property][gates][top_p]") {
  routed gate(gate_of(0));
  gate.p.head.weight.setZero();
  gate.p.head.weight(11, 0) = 1e4;
  const hg::matrix<double> certain = hg::matrix<double>::Identity(6, 6).row(0);
  for (const double mass : {0.0, 0.4, 0.999, 0.999999999}) {
    gate.gate.select.mass = mass;
    CHECK(experts_of_token(gate(certain), 0) == std::vector<hg::index>{11});
  }
}

TEST_CASE("top-p: permuting the tokens or the experts permutes the routing", "[property][gates][top_p]") {
  routed gate(gate_of(0.4));
  const auto g = dense_weights(gate(x));
  hg::matrix<double> reversed = x.colwise().reverse();
  CHECK(dense_weights(gate(reversed)) == hg::matrix<double>(g.colwise().reverse()));
  gate.p.head.weight = gate.p.head.weight.colwise().reverse().eval();
  CHECK((dense_weights(gate(x)) - hg::matrix<double>(g.rowwise().reverse())).cwiseAbs().maxCoeff() < 1e-15);
}

TEST_CASE("top-p: a step down the entropy gradient lowers the entropy and the number of experts",
          "[property][gates][top_p]") {
  routed gate(gate_of(0.4));
  const hg::entropy_penalty<double> entropy{};
  gate(x);
  double last = gate.backward_of(x, entropy);
  const auto before = gate.r.assignments.size();
  for (int step = 0; step < 20; ++step) {
    gate.p.head.weight -= 0.5 * gate.dp.head.weight;
    gate(x);
    const double now = gate.backward_of(x, entropy);
    CHECK(now < last);
    last = now;
  }
  CHECK(gate.r.assignments.size() < before);
}

TEST_CASE("top-p: the probabilities of the selected exceed the mass, and without the least of them do not",
          "[property][gates][top_p]") {
  for (const double mass : {0.1, 0.4, 0.8, 0.95}) {
    routed gate(gate_of(mass));
    const auto& r = gate(x);
    for (hg::index t = 0; t < 100; ++t) {
      double sum = 0, least = 1;
      for (const hg::index e : experts_of_token(r, t)) {
        sum += r.scores(t, e);
        least = (std::min)(least, r.scores(t, e));
      }
      CHECK(sum > mass);
      CHECK(sum - least <= mass + 1e-15);
    }
  }
}

TEST_CASE("top-p: the weights are the probabilities as they are", "[property][gates][top_p]") {
  routed gate(gate_of(0.4));
  for (const auto& a : gate(x).assignments) CHECK(a.weight == gate.r.scores(a.token, a.expert));
}
