// SPDX-License-Identifier: BSD-3-Clause
// The k best experts (Shazeer et al. 2017, arXiv:1701.06538, eq. 5), with or without a bias that only selects.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/topk.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {
inline void check_k(const char* owner, index k, index experts) {
  check_positive(owner, "k", k);
  if (k > experts) refuse(owner, ": k is ", k, ", the gate has ", experts, " experts");
}
}  // namespace detail

/// Selects the k experts of highest score, best first. Ties go to the lower expert index.
template <index K = dynamic>
struct top_k {
  HEADGATE_NO_UNIQUE_ADDRESS extent<K> k{};

  void check(gate_shape shape) const { detail::check_k("top_k", k, shape.experts); }

  /// The same selection of another number of experts.
  [[nodiscard]] top_k<> with_k(index other) const { return {.k = other}; }

  static constexpr bool names_each_once = true;
  [[nodiscard]] index count(index /*experts*/) const { return k; }

  template <class T>
  index operator()(const T* s, index experts, index* ids) const {
    kernels::topk_row(s, experts, index{k}, ids);
    return k;
  }
};

/// Selects the k experts of highest score + selection_bias; the weights do not see the bias
/// (Wang et al. 2024, arXiv:2408.15664, eq. 3; DeepSeek-AI 2024, arXiv:2412.19437, eq. 16).
///
/// selection_bias (1 x experts) starts at zero, is saved with the parameters and gets no gradient:
/// `update_selection_bias` moves it.
template <std::floating_point T, index K = dynamic>
struct biased_top_k {
  struct params {
    matrix<T> selection_bias;
  };
  static constexpr auto fields = std::tuple{buffer_field{"selection_bias", &params::selection_bias}};

  HEADGATE_NO_UNIQUE_ADDRESS extent<K> k{};

  void check(gate_shape shape) const { detail::check_k("biased_top_k", k, shape.experts); }

  [[nodiscard]] params init(gate_shape shape, std::mt19937_64&) const { return {matrix<T>::Zero(1, shape.experts)}; }

  static constexpr bool names_each_once = true;
  [[nodiscard]] index count(index /*experts*/) const { return k; }

  /// `biased` is working memory for one row.
  index operator()(const params& p, const T* s, index experts, index* ids, T* biased) const {
    for (index e = 0; e < experts; ++e) biased[e] = s[e] + p.selection_bias(0, e);
    kernels::topk_row(biased, experts, index{k}, ids);
    return k;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
