// SPDX-License-Identifier: BSD-3-Clause
// What lets a byte see those before it: a causal convolution, the plainest thing that does.
#pragma once

#include <headgate/concepts/expert_policy.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>

namespace specialise {

namespace hg = headgate;
using hg::index;

/// y_t = sum_j taps_j * x_(t-j), j = 0 ... taps - 1 as far as t - j lies in the sequence of t      elementwise
///
/// x, y (rows x model), `sequence` rows a sequence; taps (taps x model), normal numbers of standard deviation
/// 1 / sqrt(taps) at first. An expert policy for `hg::dense_layer`.
template <std::floating_point T>
struct causal_convolution {
  using scalar = T;
  struct params {
    hg::matrix<T> taps;
  };
  struct cache {};
  static constexpr auto fields = std::tuple{hg::field{"taps", &params::taps}};

  index model = 0;
  index taps = 8;
  index sequence = 128;

  void check() const {
    hg::check_positive("causal_convolution", "model", model);
    hg::check_positive("causal_convolution", "taps", taps);
    hg::check_positive("causal_convolution", "sequence", sequence);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    return {hg::randn<T>(taps, model, generator, T{1} / std::sqrt(static_cast<T>(taps)))};
  }

  void forward(const params& p, hg::in<T> x, hg::out<T> y, cache&) const {
    check_rows(x.rows());
    for (index t = 0; t < x.rows(); ++t) {
      y.row(t) = p.taps.row(0).cwiseProduct(x.row(t));
      for (index j = 1; j < seen(t); ++j) y.row(t) += p.taps.row(j).cwiseProduct(x.row(t - j));
    }
  }

  void backward(const params& p, hg::in<T> x, hg::in<T> dy, cache&, hg::out<T> dx, params& dp) const {
    for (index t = 0; t < x.rows(); ++t) {
      dx.row(t) = p.taps.row(0).cwiseProduct(dy.row(t));
      for (index j = 0; j < seen(t); ++j) {
        dp.taps.row(j) += dy.row(t).cwiseProduct(x.row(t - j));
        if (j > 0) dx.row(t - j) += p.taps.row(j).cwiseProduct(dy.row(t));
      }
    }
  }

 private:
  /// How many taps reach a row of the same sequence.
  [[nodiscard]] index seen(index t) const { return (std::min)(taps, t % sequence + 1); }

  void check_rows(index rows) const {
    if (rows % sequence != 0)
      hg::refuse("causal_convolution: x has ", rows, " rows, not a multiple of sequence, which is ", sequence);
  }
};

static_assert(hg::trainable_expert<causal_convolution<float>>);

}  // namespace specialise
