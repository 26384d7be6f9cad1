// SPDX-License-Identifier: BSD-3-Clause
// Catch2 version 2 (one header, Debian 12) or version 3 (a library) under one name.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace headgate_test {

/// For CHECK_THROWS_WITH: the message contains `part`.
inline auto contains(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace headgate_test
