// SPDX-License-Identifier: BSD-3-Clause
// Errors about files: one sentence that begins with the path.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <stdexcept>
#include <string>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Refuses a file: throws `std::runtime_error` with "path: sentence". Names in a file are anybody's text, so the message
/// shows control characters as '?' and ends after a thousand letters.
template <class... Parts>
[[noreturn]] HEADGATE_NEVER_INLINE void refuse_file(const std::string& path, const Parts&... parts) {
  std::string text = sentence(path, ": ", parts...);
  if (text.size() > 1000) text.replace(1000, std::string::npos, " ...");
  for (char& letter : text)
    if ((letter >= 0 && letter < ' ') || letter == '\x7f') letter = '?';
  HEADGATE_THROW(std::runtime_error(text));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
