// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

using lora = hg::lora_expert<double>;

}  // namespace

TEST_CASE("lora_expert has the right gradients with and without dropout", "[experts][lora]") {
  check_expert_gradients(lora{.model = 5, .outputs = 4, .rank = 2});
  check_expert_gradients(lora{.model = 5, .outputs = 4, .rank = 3, .alpha = 2.5, .dropout = 0.4});
}

TEST_CASE("lora_expert computes its formula", "[experts][lora]") {
  bank b(lora{.model = 19, .outputs = 37, .rank = 4, .alpha = 3});
  const auto y = b.forward();
  for (hg::index s = 0; s < b.slots(); ++s) {
    const auto& p = b.params[s < 4 ? 0 : 2];
    const hg::matrix<double> expected =
        0.75 * b.x.row(b.rows[static_cast<std::size_t>(s)]) * p.down.transpose() * p.up.transpose();
    CHECK((y.row(s) - expected).cwiseAbs().maxCoeff() < 1e-13);
  }
}

TEMPLATE_TEST_CASE("lora_expert alone and in a group has the same bits", "[experts][lora]", float, double) {
  check_block_equals_grouped(
      hg::lora_expert<TestType>{.model = 21, .outputs = 35, .rank = 5, .dropout = TestType(0.3)});
}

TEST_CASE("a fresh lora_expert computes zero, so that a layer on a frozen base computes the base exactly",
          "[experts][lora]") {
  const hg::linear_expert<float> base{.model = 24, .outputs = 18};
  const hg::layer layer{hg::topk_gate<float>{.head = {.model = 24, .experts = 4}, .select = {.k = 2}},
                        hg::lora_expert<float>{.model = 24, .outputs = 18, .rank = 4, .dropout = 0.5f},
                        hg::frozen{base}, 3};
  const auto x = random_matrix<float>(11, 24, {1});
  hg::matrix<float> expected(11, 18), y;
  hg::linear_expert<float>::cache cache;
  base.forward(layer.params().shared, x, expected, cache);
  CHECK(same_matrix(layer(x), expected));
  decltype(layer)::tape tape;
  layer.forward(x, y, tape);  // in training, with dropout
  CHECK(same_matrix(y, expected));
}

TEST_CASE("down starts uniform in plus or minus 1 / sqrt(model), up at zero", "[experts][lora]") {
  std::mt19937_64 generator(1);
  const auto p = lora{.model = 400, .outputs = 7, .rank = 9}.init(generator);
  CHECK((p.down.rows() == 9 && p.down.cols() == 400 && p.up.rows() == 7 && p.up.cols() == 9));
  CHECK(p.up.isZero(0));
  CHECK(p.down.cwiseAbs().maxCoeff() <= 0.05);
  CHECK(p.down.cwiseAbs().maxCoeff() > 0.049);
  CHECK(p.down.squaredNorm() / 3600 == Approx(0.0025 / 3).epsilon(0.05));
}

TEST_CASE("dropout keeps the mean, acts in training only and follows the stream", "[experts][lora]") {
  bank b(lora{.model = 4, .outputs = 3, .rank = 2, .dropout = 0.25});
  const auto first = b.forward();
  CHECK(same_matrix(b.forward(), first));
  const auto& kept = b.cache.each[0].kept;
  for (hg::index s = 0; s < b.slots(); ++s)
    for (hg::index i = 0; i < 4; ++i) {
      const double x = b.x(b.rows[static_cast<std::size_t>(s)], i);
      CHECK((kept(s, i) == 0 || kept(s, i) == Approx(x / 0.75).epsilon(1e-15)));
    }
  b.training = false;
  const auto evaluation = b.forward();
  CHECK_FALSE(same_matrix(evaluation, first));
  b.expert.dropout = 0;
  b.training = true;
  CHECK(same_matrix(b.forward(), evaluation));

  bank wide(lora{.model = 500, .outputs = 1, .rank = 1, .dropout = 0.25});
  wide.forward();
  hg::index zeros = 0;
  for (hg::index s = 0; s < wide.slots(); ++s)
    for (hg::index i = 0; i < 500; ++i) zeros += wide.cache.each[0].kept(s, i) == 0;
  CHECK(std::abs(static_cast<double>(zeros) / 4500 - 0.25) < 0.03);
}

TEST_CASE("lora_expert refuses sizes below one, a dropout below 0 or not below 1 and an alpha that is not finite",
          "[experts][lora]") {
  const auto said = [](const lora& l) { return refusal([&] { l.check(); }); };
  CHECK(said({.model = 0, .outputs = 1, .rank = 1}) == "lora_expert: model is 0, it must be at least 1");
  CHECK(said({.model = 1, .outputs = 0, .rank = 1}) == "lora_expert: outputs is 0, it must be at least 1");
  CHECK(said({.model = 1, .outputs = 1, .rank = 0}) == "lora_expert: rank is 0, it must be at least 1");
  for (const double bad : {-0.1, 1.0, 2.0, not_a_number<double>})
    CHECK(said({.model = 1, .outputs = 1, .rank = 1, .dropout = bad}) ==
          hg::sentence("lora_expert: dropout is ", bad, ", it must lie in [0, 1)"));
  for (const double bad : {infinity<double>, -infinity<double>, not_a_number<double>})
    CHECK(said({.model = 1, .outputs = 1, .rank = 1, .alpha = bad}) ==
          hg::sentence("lora_expert: alpha is ", bad, ", it must be finite"));
  CHECK(said({.model = 1, .outputs = 1, .rank = 1, .alpha = 0, .dropout = 0}).empty());
}

TEST_CASE("a shared low-rank expert drops other inputs than the routed ones", "[experts][lora]") {
  const lora half{.model = 16, .outputs = 2, .rank = 2, .dropout = 0.5};
  const hg::layer layer{hg::softmax_gate<double>{.head = {.model = 16, .experts = 1}}, half, half, 3};
  const hg::matrix<double> x = hg::matrix<double>::Ones(8, 16);
  hg::matrix<double> y;
  decltype(layer)::tape tape;
  layer.forward(x, y, tape);
  const auto& routed = tape.expert_cache.each[0].kept;  // one expert: its slots are the tokens
  const auto& shared = tape.shared_cache.each[0].kept;
  REQUIRE(routed.size() == shared.size());
  hg::index equal = 0;
  for (hg::index i = 0; i < routed.size(); ++i) equal += routed.data()[i] == shared.data()[i] ? 1 : 0;
  CHECK(equal > 32);  // of 128: about half agree by chance
  CHECK(equal < 96);
}

TEST_CASE("lora_expert refuses parameters of other shapes", "[experts][lora]") {
  const hg::lora_expert<float> expert{.model = 3, .outputs = 4, .rank = 2};
  std::mt19937_64 generator(1);
  const auto drawn = expert.init(generator);
  CHECK_NOTHROW(expert.check(drawn));
  {
    auto p = drawn;
    p.down.resize(3, 2);
    CHECK(refusal([&] { expert.check(p); }) == "lora_expert: down is 3 x 2, it must be 2 x 3");
  }
  {
    auto p = drawn;
    p.up.resize(2, 4);
    CHECK(refusal([&] { expert.check(p); }) == "lora_expert: up is 2 x 4, it must be 4 x 2");
  }
  {
    auto p = drawn;
    p.none.resize(1, 4);
    CHECK(refusal([&] { expert.check(p); }) == "lora_expert: none is 1 x 4, it must be 0 x 0");
  }
}
