// SPDX-License-Identifier: BSD-3-Clause
// A bias on the scores that only the choice sees (Wang et al. 2024, arXiv:2408.15664, eq. 3).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/stages.hpp>

#include <concepts>
#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {

/// s_e += selection_bias_e, for the choice alone (also DeepSeek-AI 2024, arXiv:2412.19437, eq. 16). An adjustment, for
/// `adjusted`.
///
/// selection_bias (1 x experts) starts at zero, is saved with the parameters and gets no gradient:
/// `update_selection_bias` moves it.
template <std::floating_point T>
struct selection_bias {
  struct params {
    matrix<T> selection_bias;
  };
  static constexpr auto fields = std::tuple{buffer_field{"selection_bias", &params::selection_bias}};

  [[nodiscard]] params init(gate_shape shape, std::mt19937_64&) const { return {matrix<T>::Zero(1, shape.experts)}; }

  void operator()(const params& p, T* s, index experts, T*, index*) const {
    for (index e = 0; e < experts; ++e) s[e] += p.selection_bias(0, e);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
