// SPDX-License-Identifier: BSD-3-Clause
// What an auxiliary loss must offer.
#pragma once

#include <headgate/fwd.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A callable on a routing record: returns its value and adds its gradient to `d`. Any number of them go into one
/// `layer::backward`; nothing is registered. Models: `switch_balance`, `router_z`, a lambda with this signature.
template <class Loss, class T>
concept routing_loss = requires(const Loss& loss, const routing<T>& r, routing_gradient<T>& d) {
  { loss(r, d) } -> std::convertible_to<T>;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
