// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/adjusted.hpp>

#include <headgate/gates/gate.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/gates/select/all_experts.hpp>
#include <headgate/gates/select/group_limit.hpp>
#include <headgate/gates/select/ranked.hpp>
#include <headgate/gates/select/selection_bias.hpp>
#include <headgate/gates/select/threshold.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/weigh/raw.hpp>
#include <headgate/losses/selection_bias.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;
using ids = std::vector<hg::index>;

namespace {

/// A user's adjustment: s = factor s.
struct times {
  double factor = 1;
  template <class T>
  void operator()(T* s, hg::index experts, T*, hg::index*) const {
    for (hg::index e = 0; e < experts; ++e) s[e] *= T(factor);
  }
};

/// A user's selection that says where the row lies that it is shown.
struct where {
  const double** row;
  template <class T>
  hg::index operator()(const T* s, hg::index, hg::index* named) const {
    *row = s;
    named[0] = 0;
    return 1;
  }
};

template <class Select>
ids chosen(const Select& select, const std::vector<double>& s, typename Select::params p) {
  std::vector<hg::index> named(s.size() + 1, -7);
  std::vector<double> row(2 * s.size() + 1, -7);
  const auto before = s;
  const hg::index count = select(p, s.data(), static_cast<hg::index>(s.size()), named.data(), row.data());
  CHECK(s == before);
  CHECK(named.back() == -7);
  CHECK(row.back() == -7);
  named.resize(static_cast<std::size_t>(count));
  return named;
}

using biased = hg::adjusted<hg::selection_bias<double>, hg::top_k<>>;
using grouped = hg::adjusted<hg::group_limit<hg::top_two_sum>, hg::top_k<>>;
using deepseek_v3 = hg::adjusted<hg::selection_bias<double>, grouped>;

static_assert(std::is_empty_v<hg::adjusted<hg::selection_bias<float>, hg::top_k<2>>>);
static_assert(biased::names_each_once && deepseek_v3::names_each_once);
static_assert(!hg::adjusted<times, where>::names_each_once);

template <class Select>
constexpr bool counts = requires(const Select& select) {
  select.count(hg::index{});
};
template <class Select>
constexpr bool has_k = requires(const Select& select) {
  select.with_k(hg::index{});
};
static_assert(counts<deepseek_v3> && has_k<deepseek_v3>);
static_assert(counts<hg::adjusted<times, hg::all_experts>> && !has_k<hg::adjusted<times, hg::all_experts>>);
static_assert(!counts<hg::adjusted<times, hg::positive>> && !has_k<hg::adjusted<times, hg::positive>>);

}  // namespace

TEST_CASE("an adjusted selection chooses by the changed scores", "[gates][select][adjusted]") {
  CHECK(chosen(hg::adjusted<times, hg::top_k<>>{.adjust = {-1}, .select = {.k = 2}}, {3, 1, 2}, {}) == ids{1, 2});
  biased::params p{};
  p.adjust.selection_bias = rows_of({{0, -0.5, 0.3, 0.3}});
  CHECK(chosen(biased{.select = {.k = 2}}, {0.4, 0.3, 0.2, 0.1}, p) == ids{2, 0});
}

TEST_CASE("adjustments nest, the outer one first, and the row is copied once", "[gates][select][adjusted]") {
  using twice = hg::adjusted<times, hg::adjusted<times, where>>;
  const double* seen = nullptr;
  const twice select{.adjust = {2}, .select = {.adjust = {3}, .select = {&seen}}};
  const double s[] = {1, 2};
  double row[4];
  hg::index named[2];
  select({}, s, 2, named, row);
  CHECK(seen == row);
  CHECK(row[1] == 12);

  // The bias carries the third group over the second, and the limit sees that.
  deepseek_v3::params p{};
  p.adjust.selection_bias = rows_of({{0, 0, 0, 0, 0.2, 0}});
  const deepseek_v3 both{.select = {.adjust = {.groups = 3, .keep = 1}, .select = {.k = 2}}};
  CHECK(chosen(both, {0.1, 0.2, 0.4, 0.3, 0.25, 0.35}, p) == ids{4, 5});
  p.adjust.selection_bias.setZero();
  CHECK(chosen(both, {0.1, 0.2, 0.4, 0.3, 0.25, 0.35}, p) == ids{2, 3});
}

TEST_CASE("a selection with parameters of its own works inside an adjustment", "[gates][select][adjusted]") {
  using select = hg::adjusted<times, hg::biased_top_k<double>>;
  select::params p{};
  p.select.selection_bias = rows_of({{0, 5, 0}});
  CHECK(chosen(select{.adjust = {-1}, .select = {.k = 2}}, {1, 3, 2}, p) == ids{1, 0});
}

TEST_CASE("a bias is named without its way, however deep it lies", "[gates][select][adjusted]") {
  using select = hg::adjusted<times, hg::adjusted<hg::group_limit<hg::group_max>, biased>>;
  using gate = hg::gate<hg::linear_head<double>, hg::sigmoid_score, select, hg::raw>;
  routed one(gate{.head = {.model = 3, .experts = 4}, .score = {}, .select = {.select = {.select = {.select = {2}}}}});
  hg::field_path path;
  std::string trained, stored;
  auto to_trained = [&](std::string_view name, auto&) { trained += std::string(name) + " "; };
  auto to_stored = [&](std::string_view name, auto&) { stored += std::string(name) + " "; };
  hg::for_each_field<gate, hg::fields_of::training>(path, to_trained, one.p);
  hg::for_each_field<gate, hg::fields_of::storage>(path, to_stored, one.p);
  CHECK(trained == "weight ");
  CHECK(stored == "weight selection_bias ");
  auto& bias = one.p.select.select.select.adjust.selection_bias;
  CHECK(bias.cols() == 4);
  hg::update_selection_bias(bias, ids{0, 4, 2, 2}, 0.5);
  CHECK(bias == rows_of({{0.5, -0.5, 0, 0}}));
  CHECK(experts_of_token(one(random_matrix(1, 3, {1})), 0).size() == 2);
}

TEST_CASE("an adjusted selection counts, checks and changes its k as the inner one does", "[gates][select][adjusted]") {
  const deepseek_v3 select{.select = {.adjust = {.groups = 2, .keep = 1}, .select = {.k = 2}}};
  CHECK(select.count(6) == 2);
  CHECK_NOTHROW(select.check({4, 6}));
  const deepseek_v3 more = select.with_k(3);
  CHECK(more.count(6) == 3);
  CHECK(more.select.adjust.groups == 2);
  CHECK_NOTHROW(more.check({4, 6}));
  CHECK_THROWS_WITH(select.with_k(0).check({4, 6}), "top_k: k is 0, it must be at least 1");
  CHECK_THROWS_WITH(select.with_k(4).check({4, 6}),
                    "group_limit: the selection names 4 experts, the 1 groups that are kept have 3");
  CHECK_THROWS_WITH(select.check({4, 5}), "group_limit: groups is 2, which does not divide the gate's 5 experts");
  const hg::adjusted<times, hg::top_k<2>> fixed;
  CHECK(fixed.with_k(2).count(6) == 2);
  CHECK_THROWS_WITH(fixed.with_k(3), contains("the run-time size 3 contradicts the compile-time size 2"));
}

TEST_CASE("the choice sees the adjusted scores, the weights do not", "[gates][select][adjusted]") {
  auto gate = copying(hg::gate{hg::linear_head<double>{.model = 4, .experts = 4}, hg::sigmoid_score{},
                               biased{.select = {.k = 2}}, hg::raw{}});
  gate.p.select.adjust.selection_bias = rows_of({{0, 0, 7, 0}});
  const auto& r = gate(rows_of({{1, 0, -1, -2}}));
  CHECK(experts_of_token(r, 0) == ids{2, 0});
  CHECK(dense_weights(r)(0, 2) == r.scores(0, 2));
  CHECK(r.scores(0, 2) == Approx(1 / (1 + std::exp(1))));
}

TEST_CASE("gates with adjusted selections keep what gates promise", "[gates][select][adjusted]") {
  CHECK(hg::testing::check_gate(hg::gate{hg::linear_head<double>{.model = 5, .experts = 8}, hg::sigmoid_score{},
                                         deepseek_v3{.select = {.adjust = {.groups = 4, .keep = 2}, .select = {3}}},
                                         hg::raw{}}));
  CHECK(hg::testing::check_gate(hg::gate{hg::linear_head<double>{.model = 5, .experts = 8}, hg::logits_score{},
                                         hg::adjusted<times, hg::positive>{}, hg::raw{}}));
}
