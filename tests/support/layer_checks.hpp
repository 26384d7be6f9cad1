// SPDX-License-Identifier: BSD-3-Clause
// What tests of experts and layers share: equality of bits, refusals, disturbed parameters, options of gradient checks.
#pragma once

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/testing/gradcheck.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace headgate_test {

using hg::testing::random_matrix;

/// The same size and, element by element, the same bits.
template <class A, class B>
bool same_matrix(const A& a, const B& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (hg::index r = 0; r < a.rows(); ++r)
    for (hg::index c = 0; c < a.cols(); ++c)
      if (!same_bits(a(r, c), b(r, c))) return false;
  return true;
}

/// All matrices that a layer, or an object shaped like its parameters, holds are bit for bit the same.
template <class Parameters>
bool same_parameters(const Parameters& a, const Parameters& b) {
  bool same = true;
  Parameters::template walk<hg::fields_of::storage>(
      [&](std::string_view, const auto& one, const auto& other) { same = same && same_matrix(one, other); }, a, b);
  return same;
}

/// What f says when it refuses; empty if it does not.
template <class F>
std::string refusal(const F& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return {};
}

/// Options of a gradient check to 1e-6 of the derivative, half of what the default grants: that is relative to
/// |analytic| + |numeric|, which is twice the derivative.
inline hg::testing::gradient_options strict(bool training = true) {
  return {.floor = 2e-4, .tolerance = 5e-7, .training = training};
}

/// For a walk over matrices: moves each, trained or not, away from where it starts, which may be zero (a bias, LoRA's
/// matrix).
struct disturb_all {
  hg::random_stream stream;
  std::uint64_t id = 0;

  template <class W>
  void operator()(std::string_view, W& w) {
    using T = typename W::Scalar;
    w += static_cast<T>(0.3) * random_matrix<T>(w.rows(), w.cols(), stream.channel(id++));
  }
};

}  // namespace headgate_test
