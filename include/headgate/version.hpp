// SPDX-License-Identifier: BSD-3-Clause
// The library's version; CMakeLists.txt reads it from here.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;

}  // namespace HEADGATE_ABI
}  // namespace headgate
