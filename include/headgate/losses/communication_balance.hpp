// SPDX-License-Identifier: BSD-3-Clause
// Balance of what devices receive (DeepSeek-V2, arXiv:2405.04434, eq. 29-31).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/balance.hpp>
#include <headgate/losses/probabilities.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/losses/token_sequences.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass); the others neither choose nor have a
/// probability.
///
///   L = sum_g f''_g P''_g      f''_g = D n_g / sum_h n_h,   P''_g = sum_{j in g} P_j,   P_j = mean_t p_tj
///
/// g runs over the D devices that have experts, and n_g is the number of tokens that are sent to g, each once however many
/// experts of g it chose. devices (experts) is the id of each expert's device, any numbers, equal ones for one device. Eq. 30
/// divides by M T, M being the most devices a token may be sent to; here by what is sent, so that an even share gives 1
/// whatever that is. f'' carries no gradient; that of P goes to the scores or the logits. No assignment: 0. DeepSeek-V2
/// trains with the weight 0.02.
template <class T>
struct communication_balance {
  static constexpr const char* name = "communication_balance";
  T weight = T{1};
  std::span<const index> devices{};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    const token_mask counted(name, mask, r);
    if (devices.empty() || static_cast<index>(devices.size()) != r.experts)
      refuse(name, ": there are ", devices.size(), " device ids, the record has ", r.experts, " experts");
    if (counted.counting() == 0) return T{0};
    check_probabilities(name, r, d);

    // A device stands in the column of its first expert.
    const view<index> memory = d.counts.zero(2 + r.tokens, r.experts);
    index *const place = memory.row(0), *const sent = memory.row(1);
    index device_count = 0, total = 0;
    for (index i = 0; i < r.experts; ++i) {
      place[i] = i;
      detail::for_each_on_device(devices, i, [&](index j) { place[i] = (std::min)(place[i], j); });
      if (place[i] == i) ++device_count;
    }
    for (const auto& a : r.assignments) {
      index& known = memory(2 + a.token, place[a.expert]);
      if (!counted(a.token) || known != 0) continue;
      known = 1;
      ++sent[place[a.expert]];
      ++total;
    }
    return detail::mean_balance(weight, counted, token_sequences(r.tokens), r, d, [&](index, T* f) {
      for (index i = 0; i < r.experts && total > 0; ++i)
        f[i] = detail::quotient<T>(device_count * sent[place[i]], total);
      return total > 0;
    });
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
