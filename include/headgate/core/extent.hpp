// SPDX-License-Identifier: BSD-3-Clause
// A size that is known at compile time or at run time, behind one type.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Marks a size that is given at run time.
inline constexpr index dynamic = -1;

/// A size. `extent<N>` is an empty type that says N; `extent<dynamic>` holds a number. Both convert to `index`, so an
/// algorithm is written once. A run-time value that contradicts a static size throws std::invalid_argument.
template <index N = dynamic>
struct extent {
  static_assert(N > 0, "extent: a static size is at least 1");
  static constexpr bool is_static = true;

  constexpr extent() = default;
  constexpr extent(index value) {  // implicit: `.model = 64` must read well for static sizes too
    if (value != N) refuse("extent: the run-time size ", value, " contradicts the compile-time size ", N);
  }
  constexpr operator index() const { return N; }
};

template <>
struct extent<dynamic> {
  static constexpr bool is_static = false;

  constexpr extent() = default;
  constexpr extent(index value) : value_(value) {}
  constexpr operator index() const { return value_; }

 private:
  index value_ = 0;
};

/// Refuses a size below 1; `owner` and `name` say whose it is: "top_k: k is 0, it must be at least 1".
inline void check_positive(const char* owner, const char* name, index value) {
  if (value < 1) refuse(owner, ": ", name, " is ", value, ", it must be at least 1");
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
