// SPDX-License-Identifier: BSD-3-Clause
// Sizes of a policy, whether it keeps them as members (`gate.experts`) or computes them (`gate.experts()`).
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

template <class Policy>
concept computes_model = requires(const Policy& policy) {
  static_cast<index>(policy.model());
};
template <class Policy>
concept keeps_model = requires(const Policy& policy) {
  static_cast<index>(policy.model);
};
template <class Policy>
concept computes_experts = requires(const Policy& policy) {
  static_cast<index>(policy.experts());
};
template <class Policy>
concept keeps_experts = requires(const Policy& policy) {
  static_cast<index>(policy.experts);
};

/// Width of the rows a policy reads.
template <class Policy>
  requires computes_model<Policy> || keeps_model<Policy>
[[nodiscard]] constexpr index model_of(const Policy& policy) {
  if constexpr (computes_model<Policy>)
    return static_cast<index>(policy.model());
  else
    return static_cast<index>(policy.model);
}

/// Number of experts a gate routes to.
template <class Policy>
  requires computes_experts<Policy> || keeps_experts<Policy>
[[nodiscard]] constexpr index experts_of(const Policy& policy) {
  if constexpr (computes_experts<Policy>)
    return static_cast<index>(policy.experts());
  else
    return static_cast<index>(policy.experts);
}

/// Width of the rows an expert writes: its `outputs` if it has that member, else its model.
template <class Policy>
[[nodiscard]] constexpr index outputs_of(const Policy& policy) {
  if constexpr (requires { static_cast<index>(policy.outputs()); })
    return static_cast<index>(policy.outputs());
  else if constexpr (requires { static_cast<index>(policy.outputs); })
    return static_cast<index>(policy.outputs);
  else
    return model_of(policy);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
