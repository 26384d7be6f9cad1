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

namespace detail {

/// A loss that keeps its value, and can do so later (`kept_loss`).
template <class Loss, class T>
concept keeping_loss = requires(const Loss& loss, const routing<T>& r, routing_gradient<T>& d, T value) {
  { loss.value_alone(r, d) } -> std::same_as<T>;
  loss.keep(value);
};

template <class T, class Loss>
T value_alone(const Loss& loss, const routing<T>& r, routing_gradient<T>& d) {
  if constexpr (keeping_loss<Loss, T>)
    return loss.value_alone(r, d);
  else
    return static_cast<T>(loss(r, d));
}
template <class T, class Loss>
void keep_value([[maybe_unused]] const Loss& loss, [[maybe_unused]] T value) {
  if constexpr (keeping_loss<Loss, T>) loss.keep(value);
}

}  // namespace detail

/// The sum of weight * value, in the order of the arguments; the sum of weight * gradient is added to d. What
/// `layer::backward` returns. A loss that leaves its value somewhere (`loss_values`) does so after all have returned: where
/// one refuses, none has.
template <class T, class... Losses>
T add_losses(const routing<T>& r, routing_gradient<T>& d, const Losses&... losses) {
  T sum{0};
  [[maybe_unused]] const T values[] = {detail::value_alone<T>(losses, r, d)...,
                                       T{0}};  // all, in this order, before any is kept
  [[maybe_unused]] index i = 0;
  ((sum += weight_of<T>(losses) * values[i++]), ...);
  i = 0;
  (detail::keep_value(losses, values[i++]), ...);
  return sum;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
