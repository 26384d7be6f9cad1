// SPDX-License-Identifier: BSD-3-Clause
// Balance without a loss: the update of the bias that only selects (Wang et al. 2024, arXiv:2408.15664, Algorithm 1;
// used by DeepSeek-V3, arXiv:2412.19437, section 2.1.2).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/losses/expert_counts.hpp>

#include <concepts>
#include <span>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Once for each optimizer step, after it, with the counts (experts) of the whole batch:
///
///   b_i += rate sign(mean(c) - c_i)      b (1 x experts), sign(0) = 0
///
/// An expert below the mean becomes easier to select, one above it harder. A mask acts where the counts are collected.
/// The bias is float at least: steps of 1e-3, the papers' rate, would be lost in bfloat16. The comparison with the mean
/// is exact.
template <std::floating_point T>
void update_selection_bias(matrix<T>& bias, std::span<const index> counts, std::type_identity_t<T> rate = T(1e-3)) {
  const auto experts = static_cast<index>(counts.size());
  if (bias.rows() != 1 || bias.cols() != experts)
    refuse("update_selection_bias: the bias is ", bias.rows(), " x ", bias.cols(), ", the counts are of ", experts,
           " experts");
  if (!(rate >= T{0} && kernels::is_finite(rate)))
    refuse("update_selection_bias: the rate is ", rate, ", it must be finite and at least 0");
  index total = 0;
  for (const index count : counts) total += count;
  for (index i = 0; i < experts; ++i) {
    const index error = total - experts * counts[static_cast<std::size_t>(i)];  // experts (mean - c_i), no rounding
    if (error > 0) bias(0, i) += rate;
    if (error < 0) bias(0, i) -= rate;
  }
}

/// The same with the counts of an accumulator; reset that afterwards.
template <std::floating_point T>
void update_selection_bias(matrix<T>& bias, const expert_counts& counts, std::type_identity_t<T> rate = T(1e-3)) {
  update_selection_bias<T>(bias, counts.counts(), rate);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
