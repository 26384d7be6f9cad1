// SPDX-License-Identifier: BSD-3-Clause
// A checksum against damage by accident.
#pragma once

#include <headgate/core/digest.hpp>

#include <cstddef>
#include <string>

namespace specialise {

struct digest : headgate::digest {
  /// 16 hexadecimal digits.
  [[nodiscard]] std::string text() const {
    std::string digits(16, '0');
    for (std::size_t i = 0; i < 16; ++i) digits[15 - i] = "0123456789abcdef"[value() >> (4 * i) & 15];
    return digits;
  }
};

}  // namespace specialise
