// SPDX-License-Identifier: BSD-3-Clause
// Sizes of a policy, whether it keeps them as members (`gate.experts`) or computes them (`gate.experts()`).
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Width of the rows a policy reads.
template <class Policy>
[[nodiscard]] constexpr index model_of(const Policy& policy)
  requires requires { static_cast<index>(policy.model); } || requires { static_cast<index>(policy.model()); }
{
  if constexpr (requires { static_cast<index>(policy.model()); })
    return static_cast<index>(policy.model());
  else
    return static_cast<index>(policy.model);
}

/// Number of experts a gate routes to.
template <class Policy>
[[nodiscard]] constexpr index experts_of(const Policy& policy)
  requires requires { static_cast<index>(policy.experts); } || requires { static_cast<index>(policy.experts()); }
{
  if constexpr (requires { static_cast<index>(policy.experts()); })
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
