// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/optim/elementwise.hpp>

#include "support/catch.hpp"

#include <vector>

namespace hg = headgate;

namespace {

/// w' = w + 2 dw + m0, m0' = w, m1' = dw for `count` elements between guards.
template <class T>
void check_count(hg::index count) {
  const auto n = static_cast<std::size_t>(count);
  std::vector<T> w(n + 1, T{-1}), dw(n + 1, T{-1}), moments(2 * n + 1, T{-1});
  for (std::size_t i = 0; i < n; ++i) {
    w[i] = static_cast<T>(i);
    dw[i] = static_cast<T>(100 + i);
    moments[i] = static_cast<T>(1000 * i);
  }
  const auto f = []<class Batch>(Batch& p, const Batch& dp, std::array<Batch, 2>& moment) {
    const Batch before = p;
    p = before + dp + dp + moment[0];
    moment[0] = before;
    moment[1] = dp;
  };
  hg::update_elementwise<2>(f, count, w.data(), dw.data(), moments.data());
  for (std::size_t i = 0; i < n; ++i) {
    CAPTURE(count, i);
    CHECK(w[i] == static_cast<T>(i + 2 * (100 + i) + 1000 * i));
    CHECK(moments[i] == static_cast<T>(i));
    CHECK(moments[n + i] == static_cast<T>(100 + i));
  }
  CHECK(w[n] == T{-1});
  CHECK(moments[2 * n] == T{-1});
}

}  // namespace

TEMPLATE_TEST_CASE("update_elementwise reaches every element once, for any count", "[optim][elementwise]", float,
                   double) {
  for (hg::index count = 0; count <= 50; ++count) check_count<TestType>(count);
}

TEST_CASE("update_elementwise gives an element the same bits wherever it stands", "[optim][elementwise]") {
  const auto f = []<class Batch>(Batch& p, const Batch& dp, std::array<Batch, 1>& moment) {
    moment[0] = xsimd::fma(p, dp, moment[0]);
    p = xsimd::sqrt(moment[0]) / (dp + p * p);
  };
  float expected = 0.0f;
  for (std::size_t count = 1; count <= 40; ++count) {
    std::vector<float> w(count, 0.3f), dw(count, 0.7f), moments(count, 0.11f);
    hg::update_elementwise<1>(f, static_cast<hg::index>(count), w.data(), dw.data(), moments.data());
    if (count == 1) expected = w[0];
    for (const float value : w) CHECK(value == expected);
  }
}
