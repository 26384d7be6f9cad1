// SPDX-License-Identifier: BSD-3-Clause
// Router z-loss: keeps the router's logits small (Zoph et al. 2022, arXiv:2202.08906, eq. 5).
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/losses/recorded.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass).
///
///   L = mean_t (log sum_i exp z_ti)^2
///
/// z are the recorded logits, with the noise of a noisy gate, and get the gradient. The paper trains with the weight
/// 1e-3. A token whose experts are all switched off (-inf) adds nothing.
template <class T>
struct router_z {
  static constexpr const char* name = "router_z";
  T weight = T{1};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    const token_mask counts(name, mask, r);
    if (counts.counting() == 0) return T{0};
    check_recorded(name, "router logits", r.logits, d.logits);

    T* const p = d.row.resize(1, r.experts).data;
    const T scale = weight / static_cast<T>(counts.counting());
    double value = 0;
    for (index t = 0; t < r.tokens; ++t) {
      if (!counts(t)) continue;
      const T* z = r.logits.row(t);
      kernels::softmax_row(z, p, r.experts);
      const T log_sum = kernels::log_sum_exp_row(z, r.experts);
      if (kernels::is_minus_infinity(log_sum)) continue;  // all experts are switched off
      value += static_cast<double>(log_sum * log_sum);
      T* dz = d.logits.row(t);
      for (index i = 0; i < r.experts; ++i) dz[i] += scale * T{2} * log_sum * p[i];
    }
    return static_cast<T>(value / static_cast<double>(counts.counting()));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
