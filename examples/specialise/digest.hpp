// SPDX-License-Identifier: BSD-3-Clause
// A checksum against damage by accident.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace specialise {

/// FNV-1a, 64 bits: every step is a bijection, so no single changed byte goes unnoticed.
class digest {
 public:
  void add(const void* bytes, std::size_t count) {
    const auto* const each = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < count; ++i) value_ = (value_ ^ each[i]) * 1099511628211u;
  }
  /// 16 hexadecimal digits.
  [[nodiscard]] std::string text() const {
    std::string digits(16, '0');
    for (std::size_t i = 0; i < 16; ++i) digits[15 - i] = "0123456789abcdef"[value_ >> (4 * i) & 15];
    return digits;
  }

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

}  // namespace specialise
