// SPDX-License-Identifier: BSD-3-Clause
// The shared expert: always on, beside the routed ones (Dai et al. 2024, arXiv:2401.06066, eq. 9).
#pragma once

#include <headgate/config.hpp>

#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A layer without a shared expert. Any other expert policy in its place runs on every token with weight one, and its
/// output is added to that of the routed experts; several shared experts are one of their total width.
struct no_shared_expert {
  struct params {};
  static constexpr auto fields = std::tuple{};
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
