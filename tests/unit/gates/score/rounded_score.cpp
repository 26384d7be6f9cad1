// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/rounded_score.hpp>

#include <headgate/core/bf16.hpp>
#include <headgate/core/fp16.hpp>
#include <headgate/gates/gate.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/gates/score/learned_temperature.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/weigh/raw.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::rounded_score<hg::bf16, hg::softmax>>);
static_assert(hg::rounded_score<hg::bf16, hg::sigmoid_score>::kind == hg::score_kind::positive);

namespace {

hg::matrix<double> rounded(const hg::matrix<double>& z) {
  return z.unaryExpr([](double x) { return hg::round_to<hg::bf16>(x); });
}

}  // namespace

TEST_CASE("rounded_score is the score of rounded logits, and so is its gradient", "[gates][score][rounded_score]") {
  const auto x = random_matrix(4, 2, {1}), z = random_matrix(4, 5, {2}), ds = random_matrix(4, 5, {3});
  REQUIRE(rounded(z) != z);
  const auto check = [&](auto score, auto plain) {
    scored one(score, {2, 5});
    scored other(plain, {2, 5});
    CHECK(one.forward(x, z) == other.forward(x, rounded(z)));
    one.backward(x, z, ds);
    other.backward(x, rounded(z), ds);
    CHECK(one.dz == other.dz);
  };
  check(hg::rounded_score<hg::bf16, hg::softmax, double>{}, hg::softmax{});
  check(hg::rounded_score<hg::bf16, hg::sigmoid_score, double>{}, hg::sigmoid_score{});
  check(hg::rounded_score<hg::bf16, hg::learned_temperature<double>, double>{}, hg::learned_temperature<double>{});
}

TEST_CASE("rounded_score hands on parameters, options and their checks", "[gates][score][rounded_score]") {
  using score = hg::rounded_score<hg::fp16, hg::learned_temperature<double>, double>;
  const score hot{.score = {.initial_temperature = 2}};
  std::mt19937_64 generator(1);
  CHECK(hot.init({2, 3}, generator).score.log_temperature(0, 0) == Approx(std::log(2.0)));
  CHECK_THROWS_WITH(score{.score = {.initial_temperature = 0}}.check({2, 3}), contains("initial_temperature is 0"));
  score::params p;
  hg::field_path path;
  std::string names;
  auto collect = [&](std::string_view name, auto&) { names += name; };
  hg::for_each_field<score, hg::fields_of::training>(path, collect, p);
  CHECK(names == "log_temperature");
}

TEST_CASE("a gate with rounded logits makes ties of what bf16 cannot tell apart", "[gates][score][rounded_score]") {
  using score = hg::rounded_score<hg::bf16, hg::softmax>;
  const hg::gate stages{hg::linear_head<float>{.model = 3, .experts = 3}, score{}, hg::top_k<>{.k = 1}, hg::raw{}};
  auto gate = copying(stages);
  hg::matrix<float> x(1, 3);
  x << 1, 1.001F, 0;
  const auto& r = gate(x);
  CHECK(experts_of_token(r, 0) == std::vector<hg::index>{0});
  CHECK(r.logits(0, 1) == 1.001F);
  CHECK(hg::testing::check_gate(stages));
}

TEST_CASE("a finite logit beyond what Storage holds becomes its largest number, and does not switch an expert off",
          "[gates][score][rounded_score]") {
  const auto seen = [](auto storage, double z) {
    using score = hg::rounded_score<decltype(storage), hg::logits_score, double>;
    scored one(score{}, {1, 1});
    return one.forward(random_matrix(1, 1, {1}), rows_of({{z}}))(0, 0);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(seen(hg::fp16{}, 65504) == 65504);
  CHECK(seen(hg::fp16{}, 65520) == 65504);
  CHECK(seen(hg::fp16{}, -1e9) == -65504);
  CHECK(seen(hg::bf16{}, -1e300) == -static_cast<double>(0x1.fep127F));
  CHECK(seen(hg::bf16{}, 3.4e38) == static_cast<double>(0x1.fep127F));
  CHECK(seen(float{}, -1e300) == static_cast<double>(std::numeric_limits<float>::lowest()));
  CHECK(seen(hg::fp16{}, -infinity) == -infinity);
  CHECK(seen(hg::bf16{}, -infinity) == -infinity);
}
