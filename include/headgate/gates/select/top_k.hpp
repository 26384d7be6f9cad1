// SPDX-License-Identifier: BSD-3-Clause
// The k best experts (Shazeer et al. 2017, arXiv:1701.06538, eq. 5), with or without a bias that only selects.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/select/selection_bias.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/topk.hpp>

#include <algorithm>
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

  static constexpr bool names_each_once = true;
  static constexpr bool best_first = true;
  [[nodiscard]] index count(index /*experts*/) const { return k; }
  /// The same selection of another k; a static one refuses it.
  [[nodiscard]] top_k with_k(index other) const { return {.k = other}; }

  template <class T>
  index operator()(const T* s, index experts, index* ids) const {
    kernels::topk_row(s, experts, index{k}, ids);
    return k;
  }
};

/// Selects the k experts of highest score + selection_bias; the weights do not see the bias
/// (Wang et al. 2024, arXiv:2408.15664, eq. 3; DeepSeek-AI 2024, arXiv:2412.19437, eq. 16). That is
/// `adjusted<selection_bias<T>, top_k<K>>`, with k and the bias one level higher.
template <std::floating_point T, index K = dynamic>
struct biased_top_k {
  using params = typename selection_bias<T>::params;
  static constexpr auto fields = selection_bias<T>::fields;

  HEADGATE_NO_UNIQUE_ADDRESS extent<K> k{};

  void check(gate_shape shape) const { detail::check_k("biased_top_k", k, shape.experts); }

  [[nodiscard]] params init(gate_shape shape, std::mt19937_64& generator) const {
    return selection_bias<T>{}.init(shape, generator);
  }

  static constexpr bool names_each_once = true;
  static constexpr bool best_first = true;
  [[nodiscard]] index count(index /*experts*/) const { return k; }
  [[nodiscard]] biased_top_k with_k(index other) const { return {.k = other}; }

  /// `biased` is working memory for one row.
  index operator()(const params& p, const T* s, index experts, index* ids, T* biased) const {
    std::copy_n(s, experts, biased);
    selection_bias<T>{}(p, biased, experts, nullptr, nullptr);
    return top_k<K>{.k = index{k}}(static_cast<const T*>(biased), experts, ids);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
