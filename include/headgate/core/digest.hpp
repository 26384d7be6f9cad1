// SPDX-License-Identifier: BSD-3-Clause
// A number that stands for bytes (FNV-1a of 64 bits, draft-eastlake-fnv, section 2).
#pragma once

#include <headgate/config.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Tells data from other data, by accident and not by intent: every step is a bijection, so one changed byte never goes
/// unnoticed, while who wants two inputs of one value finds them.
///
///   value = (value xor byte) * (2^40 + 2^8 + 0xb3) mod 2^64, from 0xcbf29ce484222325
class digest {
 public:
  void add(const void* bytes, std::size_t count) {
    const auto* const each = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < count; ++i) value_ = (value_ ^ each[i]) * 1099511628211u;
  }
  /// The bytes of numbers, as they lie in this machine's memory.
  template <class... Numbers>
    requires(std::is_arithmetic_v<Numbers>&&...)
  void numbers(const Numbers&... each) { (add(&each, sizeof each), ...); }

  [[nodiscard]] std::uint64_t value() const { return value_; }

  friend bool operator==(const digest&, const digest&) = default;

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
