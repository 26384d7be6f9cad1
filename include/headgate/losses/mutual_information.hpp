// SPDX-License-Identifier: BSD-3-Clause
// Mutual information between tokens and experts, and concentration of the load (Shen et al. 2023, ModuleFormer,
// arXiv:2306.04640; numbers of the equations not checked).
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/batch_sums.hpp>
#include <headgate/losses/entropy.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass).
///
///   L = mean_t H(p_t) - H(P) = -I(token; expert),   P = mean_t p_t,   H(p) = -sum_i p_i log p_i
///
/// Minimising it makes each token's choice sharp and the experts' shares of the batch even. -log E <= L <= 0 up to rounding:
/// 0 if all tokens have the same probabilities, -log E if each token is certain and the experts have equal shares. P is
/// differentiated: dp_ti = log(P_i / p_ti) / tokens, to the scores or the logits; no assignment is looked at. The authors'
/// code has log(P_i + 1e-8); here p log p is 0 where p is 0, with no gradient through that logarithm. With sums (null = this
/// micro-batch's own), P is that of the whole batch (`batch_sums`); the paper takes the micro-batch's, as far as we know.
template <class T>
struct mutual_information_balance {
  static constexpr const char* name = "mutual_information_balance";
  T weight = T{1};
  std::span<const bool> mask{};
  const batch_sums<T>* sums = nullptr;

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::entropies(name, weight, T{1}, T{-1}, mask, r, d, sums);
  }
};

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass), then its entropy. The paper's formula
/// as others report it: it was not compared with the paper, and the authors' code has no such loss.
///
///   L = H(P),   P = mean_t p_t,   H(p) = -sum_i p_i log p_i
///
/// Minimising it, in fine-tuning, leaves the work to few experts, so that the others can be removed: exp(L) is the effective
/// number of experts. 0 if one has it all, log E if all have equal shares. The gradient goes to the scores or the logits.
/// `sums` as in `mutual_information_balance`.
template <class T>
struct load_concentration {
  static constexpr const char* name = "load_concentration";
  T weight = T{1};
  std::span<const bool> mask{};
  const batch_sums<T>* sums = nullptr;

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::entropies(name, weight, T{0}, T{1}, mask, r, d, sums);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
