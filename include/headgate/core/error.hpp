// SPDX-License-Identifier: BSD-3-Clause
// Errors: one sentence that names the function, what was found and what was expected.
#pragma once

#include <headgate/config.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

[[noreturn]] inline void abort_with(const char* sentence) noexcept {
  std::fprintf(stderr, "%s\n", sentence);
  std::abort();
}

inline void append(std::string& text, std::string_view part) { text += part; }
inline void append(std::string& text, char letter) { text += letter; }

template <class N>
  requires std::is_arithmetic_v<N>
void append(std::string& text, N number) {
  if constexpr (std::is_floating_point_v<N>) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", static_cast<double>(number));
    text += digits;
  } else {
    text += std::to_string(number);
  }
}

}  // namespace detail

/// The parts (texts and numbers) as one sentence.
template <class... Parts>
[[nodiscard]] std::string sentence(const Parts&... parts) {
  std::string text;
  (detail::append(text, parts), ...);
  return text;
}

/// Refuses an argument: throws `std::invalid_argument` with the sentence made of the parts, and ends the program where
/// exceptions are off. Never inlined, so that a check costs its caller one comparison and one call.
template <class... Parts>
[[noreturn]] HEADGATE_NEVER_INLINE void refuse(const Parts&... parts) {
  HEADGATE_THROW(std::invalid_argument(sentence(parts...)));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
