// SPDX-License-Identifier: BSD-3-Clause
// Whether a policy's linear maps have bias vectors.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

enum class biases : bool { none, used };

}  // namespace HEADGATE_ABI
}  // namespace headgate
