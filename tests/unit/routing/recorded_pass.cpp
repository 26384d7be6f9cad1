// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/recorded_pass.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <vector>

using namespace headgate_test;

namespace {

using ids = std::vector<hg::index>;

hg::routing<float> record_of(hg::index tokens, hg::index experts, std::vector<hg::assignment<float>> all) {
  hg::routing<float> r;
  r.reset(tokens, experts);
  for (const auto& one : all) r.assignments.push_back(one);
  return r;
}

template <class Items>
auto list(const Items& items) {
  return std::vector(items.begin(), items.end());
}

}  // namespace

TEST_CASE("a recorded pass lists each token's experts and weights in the order of the record",
          "[routing][recorded_pass]") {
  const auto r = record_of(3, 4, {{2, 3, 0.5F}, {0, 2, 0.25F}, {2, 0, -1.0F}, {0, 1, 0.75F}});
  const hg::recorded_pass<float> pass(r);
  CHECK((pass.tokens() == 3 && pass.experts() == 4 && pass.assignments() == 4 && pass.has_weights()));
  CHECK(list(pass.experts_of(0)) == ids{2, 1});
  CHECK(list(pass.weights_of(0)) == std::vector<float>{0.25F, 0.75F});
  CHECK(pass.experts_of(1).empty());
  CHECK(list(pass.experts_of(2)) == ids{3, 0});
  CHECK(list(pass.weights_of(2)) == std::vector<float>{0.5F, -1.0F});

  const hg::recorded_pass<float> bare(r, hg::record_weights::no);
  CHECK(!bare.has_weights());
  CHECK(list(bare.experts_of(2)) == ids{3, 0});
  CHECK(bare.weights_of(2).empty());
}

TEST_CASE("a recorded pass may be empty or without assignments", "[routing][recorded_pass]") {
  CHECK(hg::recorded_pass<float>().tokens() == 0);
  CHECK(hg::recorded_pass<float>(record_of(0, 4, {})).tokens() == 0);
  const hg::recorded_pass<float> none(record_of(2, 4, {}));
  CHECK((none.tokens() == 2 && none.assignments() == 0 && none.experts_of(1).empty() && none.weights_of(1).empty()));
}

TEST_CASE("a recorded pass refuses what does not exist, what comes twice and what is no number, and is as it was",
          "[routing][recorded_pass]") {
  hg::recorded_pass<float> pass(4);
  pass.append(ids{1}, std::vector<float>{1});
  const auto said = [&](const ids& experts, const std::vector<float>& weights) {
    const std::string text = refusal([&] { pass.append(experts, weights); });
    CHECK((pass.tokens() == 1 && pass.assignments() == 1));
    return text;
  };
  CHECK(said({0, 4}, {1, 1}) == "recorded_pass: token 1 names expert 4, there are 4");
  CHECK(said({-1}, {1}) == "recorded_pass: token 1 names expert -1, there are 4");
  CHECK(said({2, 3, 2}, {1, 1, 1}) == "recorded_pass: token 1 names expert 2 twice");
  CHECK(said({2}, {infinity<float>}) == "recorded_pass: token 1 has the weight inf, weights must be finite");
  CHECK(said({2}, {not_a_number<float>}).find("weights must be finite") != std::string::npos);
  CHECK(said({2, 3}, {1}) == "recorded_pass: token 1 comes with 1 weights, expected 2");
  pass.append(ids{2, 3}, std::vector<float>{1, 2});  // whose experts a refused token has named
  CHECK(list(pass.experts_of(1)) == ids{2, 3});

  hg::recorded_pass<float> bare(4, hg::record_weights::no);
  CHECK(refusal([&] { bare.append(ids{1}, std::vector<float>{1}); }) ==
        "recorded_pass: token 0 comes with 1 weights, expected 0");
  CHECK(refusal([] { hg::recorded_pass<float> one(0); }) == "recorded_pass: experts is 0, it must be at least 1");
  CHECK(refusal([] {
          hg::recorded_pass<float> one(record_of(2, 4, {{2, 0, 1.0F}}));
        }) == "recorded_pass: assignment 0 names token 2, the batch has 2");
  CHECK(refusal([] {
          hg::recorded_pass<float> one(record_of(2, 4, {{1, 0, 1.0F}, {1, 0, 1.0F}}));
        }) == "recorded_pass: token 1 names expert 0 twice");
}

TEST_CASE("a recorded pass that is reset is a new one", "[routing][recorded_pass]") {
  hg::recorded_pass<float> pass(4);
  pass.append(ids{1, 3}, std::vector<float>{1, 2});
  pass.reset(3, hg::record_weights::no);
  CHECK((pass.tokens() == 0 && pass.experts() == 3 && pass.assignments() == 0 && !pass.has_weights()));
  pass.append(ids{2, 0}, {});
  CHECK(list(pass.experts_of(0)) == ids{2, 0});
  CHECK(refusal([&] { pass.append(ids{3}, {}); }) == "recorded_pass: token 1 names expert 3, there are 3");
  CHECK(refusal([&] { pass.reset(0); }) == "recorded_pass: experts is 0, it must be at least 1");
  CHECK(pass.tokens() == 1);
}
