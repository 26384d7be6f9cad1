// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/wrappers.hpp>

#include <headgate/core/bf16.hpp>
#include <headgate/core/fp16.hpp>
#include <headgate/gates/gate.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/weigh/renormalised.hpp>
#include <headgate/gates/weigh/softmax_of_selected.hpp>

#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;
using weights = std::vector<double>;

static_assert(std::is_empty_v<hg::rounded_to<hg::bf16, hg::renormalised>>);
static_assert(sizeof(hg::scaled<float, hg::renormalised>) == sizeof(float));
static_assert(sizeof(hg::switched<hg::renormalised>) == sizeof(bool));

namespace {

template <class Weigh>
weights weighed(const Weigh& weigh, const weights& s) {
  weights w(s.size());
  weigh.forward(s.data(), static_cast<hg::index>(s.size()), w.data());
  return w;
}
template <class Weigh>
weights gradient(const Weigh& weigh, const weights& s, weights dw) {
  weights w = weighed(weigh, s), ds(s.size());
  weigh.backward(s.data(), w.data(), static_cast<hg::index>(s.size()), dw.data(), ds.data());
  return ds;
}

}  // namespace

TEST_CASE("scaled weights are those of the inner stage times a factor", "[gates][weigh][wrappers]") {
  const hg::scaled<double, hg::renormalised> scaled{.factor = 2.5};
  CHECK(weighed(scaled, {1, 3}) == weights{0.625, 1.875});
  CHECK(weighed(scaled, {0, 0}) == weights{0, 0});
  CHECK(weighed(hg::scaled<double, hg::renormalised>{.factor = 0}, {1, 3}) == weights{0, 0});
  CHECK_NOTHROW(scaled.check(no_shape));
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")})
    CHECK_THROWS_WITH((hg::scaled<double, hg::raw>{.factor = bad}.check(no_shape)),
                      contains("scaled: factor is") && contains("it must be finite"));
}

TEST_CASE("switched weights are the scores themselves while off", "[gates][weigh][wrappers]") {
  hg::switched<hg::renormalised> weigh;
  CHECK(weighed(weigh, {1, 3}) == weights{0.25, 0.75});
  weigh.on = false;
  CHECK(weighed(weigh, {1, 3}) == weights{1, 3});
  CHECK(gradient(weigh, {1, 3}, {5, 6}) == weights{5, 6});
}

TEST_CASE("rounded weights are the nearest numbers of the storage, ties to even", "[gates][weigh][wrappers]") {
  const hg::rounded_to<hg::bf16, hg::raw> bf16;
  CHECK(weighed(bf16, {1.0, 1 + 1.0 / 256, 1 + 3.0 / 256, 1 + 1.01 / 256}) ==
        weights{1.0, 1.0, 1 + 4.0 / 256, 1 + 2.0 / 256});
  const hg::rounded_to<hg::fp16, hg::raw> fp16;
  CHECK(weighed(fp16, {1 + 1.0 / 2048, 1 + 3.0 / 2048}) == weights{1.0, 1 + 4.0 / 2048});
  CHECK(gradient(bf16, {0.3, 0.1}, {5, 6}) == weights{5, 6});
}

TEST_CASE("the gradient of rounded weights is that of the weights before the rounding", "[gates][weigh][wrappers]") {
  const weights s = {0.4, 0.13, 0.31}, dw = {1, -2, 0.5};
  CHECK(gradient(hg::rounded_to<hg::bf16, hg::renormalised>{}, s, dw) == gradient(hg::renormalised{}, s, dw));
  CHECK(gradient(hg::rounded_to<hg::bf16, hg::softmax_of_selected>{}, s, dw) ==
        gradient(hg::softmax_of_selected{}, s, dw));
  using inside = hg::scaled<double, hg::rounded_to<hg::bf16, hg::softmax_of_selected>>;
  using outside = hg::rounded_to<hg::bf16, hg::scaled<double, hg::softmax_of_selected>>;
  const weights expected = gradient(hg::scaled<double, hg::softmax_of_selected>{.factor = 2.827}, s, dw);
  CHECK(gradient(inside{.factor = 2.827}, s, dw) == expected);
  CHECK(gradient(outside{{.factor = 2.827}}, s, dw) == expected);
}

TEST_CASE("the gradients of wrapped weights agree with differences", "[gates][weigh][wrappers]") {
  const auto s = rows_of({{0.2, 0.5, 0.01, 0.3}});
  CHECK(check_weigh_gradients(hg::scaled<double, hg::renormalised>{.factor = 2.5}, s));
  CHECK(check_weigh_gradients(hg::scaled<double, hg::softmax_of_selected>{.factor = 2.5}, s));
  CHECK(check_weigh_gradients(hg::scaled<double, hg::softmax_of_selected>{.factor = 0}, s));
  CHECK(check_weigh_gradients(hg::switched<hg::renormalised>{}, s));
  CHECK(check_weigh_gradients(hg::switched<hg::renormalised>{.on = false}, s));
  using three = hg::scaled<double, hg::switched<hg::scaled<double, hg::softmax_of_selected>>>;
  CHECK(check_weigh_gradients(three{.weigh = {.weigh = {.factor = 3}}, .factor = 0.5}, s));
  CHECK(hg::testing::check_gate(hg::gate{hg::linear_head<double>{.model = 5, .experts = 6}, hg::softmax{},
                                         hg::top_k<>{.k = 3}, three{.weigh = {.weigh = {.factor = 3}}}}));
}

TEST_CASE("a wrapper checks what it wraps", "[gates][weigh][wrappers]") {
  using inner = hg::scaled<double, hg::raw>;
  const inner bad{.factor = std::nan("")};
  CHECK_THROWS_WITH((hg::scaled<double, inner>{.weigh = bad}.check(no_shape)), contains("factor is"));
  CHECK_THROWS_WITH(hg::switched<inner>{.weigh = bad}.check(no_shape), contains("factor is"));
  CHECK_THROWS_WITH((hg::rounded_to<hg::bf16, inner>{.weigh = bad}.check(no_shape)), contains("factor is"));
}
