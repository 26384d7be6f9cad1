// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/routing/combine.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

namespace {

/// Token 0: experts 1 and 0; token 1: none; token 2: expert 1.
hg::dispatch_plan three_tokens(const hg::capacity& capacity = {}) {
  hg::routing<double> r;
  r.reset(3, 2);
  r.assignments.push_back({0, 1, 0.25});
  r.assignments.push_back({0, 0, 0.75});
  r.assignments.push_back({2, 1, 2.0});
  hg::dispatch_plan plan;
  plan.make(r, capacity);
  return plan;
}

}  // namespace

TEST_CASE("combine adds each token's weighted slots, and nothing to a token without one", "[routing][combine]") {
  const hg::dispatch_plan plan =
      three_tokens();  // slots: token 0 at expert 0, token 0 at expert 1, token 2 at expert 1
  const double rows[] = {1, 2, 10, 20, 100, 200};
  const double weights[] = {0.75, 0.25, 2.0};
  hg::matrix<double> y = hg::matrix<double>::Constant(3, 2, 7.0);
  hg::matrix<double> expected(3, 2);

  hg::combine<double>(hg::run_sequentially, plan, {rows, 3, 2}, weights, hg::view_of(y), false);
  expected << 3.25, 6.5, 0, 0, 200, 400;
  CHECK(y == expected);

  hg::combine<double>(hg::run_sequentially, plan, {rows, 3, 2}, nullptr, hg::view_of(y), true);
  expected << 14.25, 28.5, 0, 0, 300, 600;
  CHECK(y == expected);
}

TEST_CASE("combine_backward gives slots their share of dy and assignments the product with their row",
          "[routing][combine]") {
  const hg::dispatch_plan plan = three_tokens();
  const double rows[] = {1, 2, 10, 20, 100, 200};
  const double weights[] = {0.75, 0.25, 2.0};
  const double dy[] = {1, 1, 5, 5, 0, 3};
  double drows[6] = {};
  double dweights[3] = {1000, 0, 0};
  hg::combine_backward<double>(hg::run_sequentially, plan, {rows, 3, 2}, weights, {dy, 3, 2}, {drows, 3, 2}, dweights);
  const double expected[] = {0.75, 0.75, 0.25, 0.25, 0, 6};
  for (int i = 0; i < 6; ++i) CHECK(drows[i] == expected[i]);
  CHECK(dweights[0] == 1030);  // added to what stood there; assignment 0 is token 0 at expert 1
  CHECK(dweights[1] == 3);
  CHECK(dweights[2] == 600);
}

TEST_CASE("a dropped assignment gets no gradient", "[routing][combine]") {
  const hg::dispatch_plan plan = three_tokens({.factor = 0.5});  // one slot an expert: token 2 is dropped
  REQUIRE(plan.dropped() == 1);
  const double rows[] = {1, 2, 10, 20};
  const double weights[] = {0.75, 0.25};
  const double dy[] = {1, 1, 5, 5, 4, 3};
  double drows[4] = {};
  double dweights[3] = {};
  hg::combine_backward<double>(hg::run_sequentially, plan, {rows, 2, 2}, weights, {dy, 3, 2}, {drows, 2, 2}, dweights);
  CHECK(dweights[0] == 30);
  CHECK(dweights[2] == 0);
}

TEST_CASE("combine gives the same bits with any number of threads", "[routing][combine]") {
  hg::routing<float> r;
  r.reset(150, 4);
  for (hg::index t = 0; t < 150; ++t)
    for (hg::index e = t % 4; e >= 0; --e) r.assignments.push_back({t, e, 1.0f});
  hg::dispatch_plan plan;
  plan.make(r, {});
  const hg::matrix<float> rows = hg::matrix<float>::Random(plan.slots(), 13);
  const hg::matrix<float> weights = hg::matrix<float>::Random(plan.slots(), 1);
  hg::matrix<float> alone(150, 13);
  hg::matrix<float> shared(150, 13);
  hg::combine<float>(hg::run_sequentially, plan, hg::view_of(rows), weights.data(), hg::view_of(alone), false);
  hg::combine<float>(hg::thread_pool{3}, plan, hg::view_of(rows), weights.data(), hg::view_of(shared), false);
  CHECK(alone == shared);
}

TEST_CASE("weigh_rows gives each slot its token's row times the weight, and its backward adds", "[routing][combine]") {
  const hg::dispatch_plan plan = three_tokens();
  const double x[] = {1, 2, 5, 5, 10, 20}, weights[] = {0.75, 0.25, 2.0};
  double inputs[6] = {};
  hg::weigh_rows<double>(hg::run_sequentially, plan.groups(), {x, 3, 2}, weights, {inputs, 3, 2});
  const double expected[] = {0.75, 1.5, 0.25, 0.5, 20, 40};
  for (int i = 0; i < 6; ++i) CHECK(inputs[i] == expected[i]);

  const double dinputs[] = {4, 8, 16, 0, 1, 3};
  double dx[] = {100, 0, 0, 7, 0, 0}, dweights[] = {1000, 0, 0};
  hg::weigh_inputs_backward<double>(hg::run_sequentially, plan, {x, 3, 2}, weights, {dinputs, 3, 2}, {dx, 3, 2},
                                    dweights);
  const double expected_dx[] = {107, 6, 0, 7, 2, 6};
  for (int i = 0; i < 6; ++i) CHECK(dx[i] == expected_dx[i]);
  CHECK(dweights[0] == 1016);  // assignment 0 is token 0 at expert 1
  CHECK(dweights[1] == 20);
  CHECK(dweights[2] == 70);
}

TEST_CASE("spread_rows gives each slot its token's row", "[routing][combine]") {
  const double y[] = {1, 2, 5, 5, 10, 20};
  double rows[6] = {};
  hg::spread_rows<double>(hg::run_sequentially, three_tokens().groups(), {y, 3, 2}, {rows, 3, 2});
  const double expected[] = {1, 2, 1, 2, 10, 20};
  for (int i = 0; i < 6; ++i) CHECK(rows[i] == expected[i]);
}

TEST_CASE("a weight is on the output or on the input", "[routing][combine]") {
  hg::check_weight_on(hg::weight_on::output, "a test");
  hg::check_weight_on(hg::weight_on::input, "a test");
  CHECK_THROWS_WITH(hg::check_weight_on(static_cast<hg::weight_on>(2), "a test"),
                    "a test: weight_on is 2, it must be output (0) or input (1)");
}
