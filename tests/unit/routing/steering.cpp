// SPDX-License-Identifier: BSD-3-Clause
// What gates make of it is tested in tests/property/steering.cpp.
#include <headgate/routing/steering.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

TEST_CASE("a steering is set as soon as one of its parts is", "[routing][steering]") {
  using steering = hg::steering<float>;
  const hg::recorded_pass<float> forced(4);
  CHECK(!steering{}.is_set());
  CHECK(!steering{.weights = hg::forced_weights::recorded}.is_set());
  CHECK(steering{.k = 1}.is_set());
  CHECK(steering{.skip = 1}.is_set());
  CHECK(steering{.off = {0}}.is_set());
  CHECK(steering{.forced = &forced}.is_set());
  const bool mask[] = {true, true};
  CHECK(steering{.mask = mask}.is_set());
}

TEST_CASE("a token that does not count has no expert, whatever is off for the others", "[routing][steering]") {
  const bool mask[] = {true, false, true};
  hg::matrix<float> z = random_matrix<float>(3, 4, {1});
  const hg::matrix<float> before = z;
  const hg::steering<float> padded{.mask = mask};
  CHECK_NOTHROW(padded.check(3, 4));
  padded.switch_off(hg::view_of(z));
  CHECK((z.row(1).array() == -infinity<float>).all());
  CHECK((same_matrix(z.row(0), before.row(0)) && same_matrix(z.row(2), before.row(2))));
  CHECK_NOTHROW(padded.switch_off(hg::view_of(z)));  // once more
  z = before;
  hg::steering<float>{.off = {0}, .mask = mask}.switch_off(hg::view_of(z));
  CHECK((z.row(1).array() == -infinity<float>).all());
  CHECK((z(0, 0) == -infinity<float> && z(2, 0) == -infinity<float> && z(2, 1) == before(2, 1)));
  CHECK(refusal([&] { padded.check(4, 4); }) == "steering: the mask has 3 entries, the batch has 4 tokens");
}

TEST_CASE("a gate that can only switch experts off refuses the rest", "[routing][steering]") {
  using steering = hg::steering<float>;
  const hg::recorded_pass<float> forced(4);
  const std::string expected = "some_gate: steering sets k, skip or forced, this gate can only switch experts off";
  for (const steering& how : {steering{.k = 1}, steering{.skip = 1}, steering{.forced = &forced}})
    CHECK(refusal([&] { how.check_switches_only("some_gate", 0, 4); }) == expected);
  CHECK(refusal([&] { steering{.off = {4}}.check_switches_only("some_gate", 0, 4); }) ==
        "steering: expert 4 is switched off, the gate has 4");
  CHECK_NOTHROW(steering{.off = {3}}.check_switches_only("some_gate", 0, 4));
}

TEST_CASE("a selection must name the skipped experts too", "[routing][steering]") {
  CHECK(hg::steering<float>{.k = 3, .skip = 2}.ranks(1, 5) == 5);
  CHECK(hg::steering<float>{.skip = 2}.ranks(1, 5) == 3);
  CHECK(refusal([] { (void)hg::steering<float>{.skip = 2}.ranks(4, 5); }) ==
        "steering: skip is 2 and k 4, together more than the gate's 5 experts");
  constexpr auto most = (std::numeric_limits<hg::index>::max)();  // and no sum overflows
  CHECK(refusal([] { hg::steering<float>{.k = most, .skip = most}.check(1, 5); }) ==
        hg::sentence("steering: k is ", most, ", the gate has 5 experts"));
  CHECK(refusal([] { hg::steering<float>{.k = 1, .skip = most}.check(1, 5); }) ==
        hg::sentence("steering: skip is ", most, ", the gate has 5 experts"));
}

TEST_CASE("experts that are off have logits of -infinity, and a token keeps at least one", "[routing][steering]") {
  hg::matrix<float> z = random_matrix<float>(3, 4, {1});
  const hg::matrix<float> before = z;
  hg::steering<float>{}.switch_off(hg::view_of(z));
  CHECK(same_matrix(z, before));
  hg::steering<float>{.off = {2, 0}}.switch_off(hg::view_of(z));
  for (hg::index t = 0; t < 3; ++t) {
    CHECK((z(t, 0) == -infinity<float> && z(t, 2) == -infinity<float>));
    CHECK((z(t, 1) == before(t, 1) && z(t, 3) == before(t, 3)));
  }
  z = before;
  z(1, 1) = z(1, 3) = -infinity<float>;  // somebody else's mask
  CHECK(refusal([&] {
          hg::steering<float>{.off = {2, 0}}.switch_off(hg::view_of(z));
        }) == "steering: all 4 experts are switched off for token 1");
  z = before;
  z.row(1).setConstant(-infinity<float>);  // not the steering's doing
  CHECK_NOTHROW(hg::steering<float>{.off = {2, 0}}.switch_off(hg::view_of(z)));
}
