// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/routed_experts.hpp>

#include "support/layer_checks.hpp"

#include <span>
#include <vector>

using namespace headgate_test;

namespace {

using linear = hg::linear_expert<double>;

/// Token 0: experts 1 (0.25) and 0 (0.75); token 1: none; token 2: expert 1 (2).
struct setting {
  hg::routing<double> r;
  hg::dispatch_plan plan;
  std::vector<double> slot_weights{0.75, 0.25, 2.0};
  linear expert{.model = 3, .outputs = 2};
  std::vector<linear::params> params;
  hg::matrix<double> x = random_matrix(3, 3, {1}), dy = random_matrix(3, 2, {2});
  hg::routed_experts<linear> memory;
  hg::scratch<double> working, dexpert_rows, dslots;
  hg::pass<double> pass{hg::run_sequentially, working};

  setting() {
    r.reset(3, 2);
    r.assignments.push_back({0, 1, 0.25});
    r.assignments.push_back({0, 0, 0.75});
    r.assignments.push_back({2, 1, 2.0});
    plan.make(r, {});
    std::mt19937_64 generator(1);
    for (int e = 0; e < 2; ++e) params.push_back(expert.init(generator));
  }
  hg::matrix<double> forward(hg::weight_on where, bool accumulate) {
    hg::matrix<double> y = hg::matrix<double>::Ones(3, 2);
    memory.forward_into(hg::view_of(y), accumulate, expert, std::span<const linear::params>(params), plan,
                        slot_weights.data(), where, hg::in<double>(x), pass);
    return y;
  }
};

}  // namespace

TEST_CASE("routed experts write or add the weighted rows of each token", "[layer][routed_experts]") {
  setting s;
  hg::matrix<double> expected = hg::matrix<double>::Zero(3, 2);
  expected.row(0) = s.x.row(0) * (0.75 * s.params[0].weight + 0.25 * s.params[1].weight).transpose();
  expected.row(2) = 2 * s.x.row(2) * s.params[1].weight.transpose();
  for (const auto where : {hg::weight_on::output, hg::weight_on::input}) {
    CHECK((s.forward(where, false) - expected).cwiseAbs().maxCoeff() < 1e-15);
    CHECK((s.forward(where, true) - expected - hg::matrix<double>::Ones(3, 2)).cwiseAbs().maxCoeff() < 1e-15);
    CHECK(s.memory.weight_on == where);
  }
}

TEST_CASE("routed experts add to dx, to the weights' and to the parameters' gradients", "[layer][routed_experts]") {
  for (const auto where : {hg::weight_on::output, hg::weight_on::input}) {
    setting s;
    s.forward(where, false);
    hg::matrix<double> dx = hg::matrix<double>::Ones(3, 3);
    std::vector<linear::params> dp(2);
    for (auto& d : dp) d.weight = hg::matrix<double>::Ones(2, 3);
    std::vector<double> dweights(3, 10.0);
    s.memory.backward_into(hg::view_of(dx), std::span(dp), dweights.data(), s.expert,
                           std::span<const linear::params>(s.params), s.plan, s.slot_weights.data(),
                           hg::in<double>(s.x), hg::in<double>(s.dy), s.dexpert_rows, s.dslots, s.pass);
    hg::matrix<double> expected = hg::matrix<double>::Ones(3, 3);
    expected.row(0) += s.dy.row(0) * (0.75 * s.params[0].weight + 0.25 * s.params[1].weight);
    expected.row(2) += 2 * s.dy.row(2) * s.params[1].weight;
    CHECK((dx - expected).cwiseAbs().maxCoeff() < 1e-14);
    const hg::matrix<double> dw =
        0.25 * s.dy.row(0).transpose() * s.x.row(0) + 2 * s.dy.row(2).transpose() * s.x.row(2);
    CHECK((dp[1].weight - hg::matrix<double>::Ones(2, 3) - dw).cwiseAbs().maxCoeff() < 1e-14);
    const auto product = [&](int token, std::size_t e) {
      return (s.x.row(token) * s.params[e].weight.transpose()).dot(s.dy.row(token));
    };
    CHECK(dweights[0] == Approx(10 + product(0, 1)));
    CHECK(dweights[1] == Approx(10 + product(0, 0)));
    CHECK(dweights[2] == Approx(10 + product(2, 1)));
  }
}
