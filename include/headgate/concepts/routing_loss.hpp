// SPDX-License-Identifier: BSD-3-Clause
// What an auxiliary loss must offer, and how several are added up.
#pragma once

#include <headgate/fwd.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A callable on a routing record: returns its plain value, and adds its weight times its gradient to `d`. The weight is its
/// member `weight`, and 1 where there is none. Any number of losses go into one `layer::backward`; nothing is registered.
/// Models: `switch_balance`, `router_z`, a lambda with this signature.
template <class Loss, class T>
concept routing_loss = requires(const Loss& loss, const routing<T>& r, routing_gradient<T>& d) {
  { loss(r, d) } -> std::convertible_to<T>;
};

/// loss.weight, or 1 where there is no such number.
template <class T, class Loss>
[[nodiscard]] T weight_of([[maybe_unused]] const Loss& loss) {
  if constexpr (requires {
                  { loss.weight } -> std::convertible_to<T>;
                })
    return static_cast<T>(loss.weight);
  else
    return T{1};
}

/// The sum of weight * value, in the order of the arguments; the sum of weight * gradient is added to d. What
/// `layer::backward` returns.
template <class T, class... Losses>
T add_losses(const routing<T>& r, routing_gradient<T>& d, const Losses&... losses) {
  T sum{0};
  ((sum += weight_of<T>(losses) * static_cast<T>(losses(r, d))), ...);
  return sum;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
