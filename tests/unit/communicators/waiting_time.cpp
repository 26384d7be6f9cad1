// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/waiting_time.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <limits>

namespace hg = headgate;
using namespace std::chrono_literals;

namespace {

/// A clock that is set by hand.
struct hand {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<hand>;
  static inline time_point at{};
  static time_point now() { return at; }
};

using waiting = hg::detail::waiting_time<hand>;

}  // namespace

TEST_CASE("looks that are not far apart add up to the time between them", "[communicators][waiting_time]") {
  waiting time;
  CHECK(time.look() == 0ns);
  for (int i = 0; i < 100; ++i) {
    hand::at += 7ms;
    CHECK(time.look() == (i + 1) * 7ms);
  }
  hand::at += waiting::slice;
  CHECK(time.look() == 700ms + waiting::slice);
}

TEST_CASE("a look that comes hours late counts as one slice", "[communicators][waiting_time]") {
  waiting time;
  hand::at += 5ms;
  (void)time.look();
  hand::at += 10h;
  CHECK(time.look() == 5ms + waiting::slice);
  hand::at += 1ms;
  CHECK(time.look() == 6ms + waiting::slice);
}

TEST_CASE("seconds become a duration, more than a clock can count a long one", "[communicators][waiting_time]") {
  CHECK(waiting::of_seconds(0.5) == 500ms);
  CHECK(waiting::of_seconds(std::numeric_limits<double>::infinity()) > 24h * 365);
}
