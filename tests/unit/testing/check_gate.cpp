// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/testing/check_gate.hpp>

#include <headgate/gates/named.hpp>

#include "support/catch.hpp"

namespace hg = headgate;
using headgate_test::contains;
using hg::testing::check_gate;

namespace {

/// The gate of docs/writing-a-gate.md: token t goes to expert t mod n.
struct hash_gate {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model, experts;

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<float> x, hg::routing<float>& r, cache&) const {
    for (hg::index t = 0; t < x.rows(); ++t) r.assignments.push_back({t, t % experts, 1.0F});
  }
};

/// What a wrong gate does.
enum class fault {
  none,
  unknown_expert,
  twice,
  infinite_weight,
  counts_calls,
  uses_the_mean,
  overwrites_dx,
  wrong_gradient
};

/// Every token goes to expert 0, its weight is <x, w>.
template <fault Fault>
struct inner_product_gate {
  using scalar = double;
  struct params {
    hg::matrix<double> w;
  };
  struct cache {
    int calls = 0;
  };
  static constexpr auto fields = std::tuple{hg::field{"w", &params::w}};
  hg::index model, experts;

  params init(std::mt19937_64& generator) const { return {hg::randn<double>(1, model, generator)}; }
  void route(const params& p, hg::in<double> x, hg::routing<double>& r, cache& c) const {
    ++c.calls;
    for (hg::index t = 0; t < x.rows(); ++t) {
      double weight = x.row(t).dot(p.w.row(0));
      if (Fault == fault::infinite_weight) weight = std::numeric_limits<double>::infinity();
      if (Fault == fault::counts_calls) weight += c.calls;
      if (Fault == fault::uses_the_mean) weight += x.col(0).mean();
      r.assignments.push_back({t, Fault == fault::unknown_expert ? experts : 0, weight});
      if (Fault == fault::twice) r.assignments.push_back({t, 0, weight});
    }
  }
  void backward(const params& p, hg::in<double> x, const hg::routing<double>& r, cache&,
                hg::routing_gradient<double>& d, hg::out<double> dx, params& dp) const {
    if (Fault == fault::overwrites_dx) dx.setZero();
    for (hg::index i = 0; i < r.assignments.size(); ++i) {
      const hg::index t = r.assignments[i].token;
      dx.row(t) += d.weights(i, 0) * p.w;
      dp.w += d.weights(i, 0) * x.row(t) * (Fault == fault::wrong_gradient ? 1.00001 : 1.0);
    }
  }
};

template <fault Fault>
std::string complaint() {
  return check_gate(inner_product_gate<Fault>{4, 3}, {.row_tolerance = 1e-12}).text();
}

}  // namespace

TEST_CASE("check_gate finds nothing wrong with a correct gate", "[testing][check_gate]") {
  CHECK(complaint<fault::none>().empty());
  CHECK(check_gate(hg::noisy_topk_gate<double>{.head = {.model = 5, .experts = 4}, .select = {.k = 2}}));
  CHECK(check_gate(hg::topk_gate<float, 5, 4, 2>{}));
}

TEST_CASE("check_gate takes a gate that looks at a token's place only if told so", "[testing][check_gate]") {
  CHECK(check_gate(hash_gate{4, 3}, {.rows_are_independent = false}));
  CHECK_THAT(check_gate(hash_gate{4, 3}).text(), contains("token 1 alone is not routed as in a batch of 7"));
}

TEST_CASE("check_gate sees assignments that make no sense", "[testing][check_gate]") {
  CHECK_THAT(complaint<fault::unknown_expert>(), contains("route sends token 0 of 7 to expert 3 of 3"));
  CHECK_THAT(complaint<fault::twice>(), contains("route sends token 2 to expert 0 twice"));
  CHECK_THAT(complaint<fault::infinite_weight>(), contains("route gives token 0 the weight inf"));
}

TEST_CASE("check_gate sees what depends on a cache's past or on the batch", "[testing][check_gate]") {
  CHECK_THAT(complaint<fault::counts_calls>(), contains("token 0 is routed otherwise after another batch"));
  CHECK_THAT(complaint<fault::uses_the_mean>(), contains("alone is not routed"));
}

TEST_CASE("check_gate sees a backward that overwrites dx or is wrong", "[testing][check_gate]") {
  CHECK_THAT(complaint<fault::overwrites_dx>(), contains("backward does not add to dx"));
  CHECK_THAT(complaint<fault::wrong_gradient>(), contains("gradient of w at"));
}
