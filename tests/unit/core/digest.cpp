// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/digest.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace hg = headgate;

namespace {

hg::digest of(std::string_view text) {
  hg::digest d;
  d.add(text.data(), text.size());
  return d;
}

}  // namespace

TEST_CASE("a digest has the published values of FNV-1a", "[core][digest]") {
  CHECK(of("").value() == 0xcbf29ce484222325u);
  CHECK(of("a").value() == 0xaf63dc4c8601ec8cu);
  CHECK(of("foobar").value() == 0x85944171f73967e8u);
}

TEST_CASE("a digest of parts is that of the whole, and numbers are their bytes", "[core][digest]") {
  hg::digest parts = of("foo");
  CHECK(parts != of("foobar"));
  parts.add("bar", 3);
  CHECK(parts == of("foobar"));

  const std::array<std::uint16_t, 2> numbers = {0x1234, 0xff00};
  hg::digest one, other;
  one.numbers(numbers[0], numbers[1]);
  other.add(numbers.data(), sizeof numbers);
  CHECK(one == other);
}
