// SPDX-License-Identifier: BSD-3-Clause
// Load balance between devices (Dai et al. 2024, DeepSeekMoE, arXiv:2401.06066, eq. 15-17; DeepSeek-V2, arXiv:2405.04434,
// eq. 26-28).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/balance.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/losses/token_sequences.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass); the others neither choose nor have a
/// probability.
///
///   L = sum_g f'_g P'_g      f'_g = mean_{j in g} f_j,   P'_g = sum_{j in g} P_j,   f_j = E c_j / sum_i c_i,   P_j = mean_t p_tj
///
/// g runs over the devices: devices (experts) is the id of each expert's device, any numbers, equal ones for one device. 1 for
/// uniform f or P; one expert a device gives `switch_balance`, one device the constant 1. With counts (null = this
/// micro-batch's own), f is that of the global batch, as in `global_balance`. f carries no gradient; that of P goes to the
/// scores or the logits. No assignment: 0. DeepSeekMoE 145B trains with the weight 0.05.
template <class T>
struct device_balance {
  static constexpr const char* name = "device_balance";
  T weight = T{1};
  std::span<const index> devices{};
  const expert_counts* counts = nullptr;
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    if (devices.empty()) refuse("device_balance: devices is empty, it must hold a device id for each expert");
    return detail::balance(name, weight, token_mask(name, mask, r), token_sequences(r.tokens),
                           {.pooled = counts, .devices = devices}, r, d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
