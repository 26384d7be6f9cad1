// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/collective_call.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hg = headgate;
namespace detail = headgate::detail;

TEST_CASE("a call tells operation, length, type and root", "[communicators][collective_call]") {
  std::vector<float> floats(3);
  std::vector<std::byte> bytes(2);
  using detail::collective;
  CHECK(detail::name_of(detail::call_of(collective::all_reduce, std::span(floats))) == "all_reduce of 3 float32");
  CHECK(detail::name_of(detail::call_of(collective::broadcast, std::span(bytes), 4)) ==
        "broadcast of 2 uint8 from rank 4");
  CHECK(detail::name_of(detail::collective_call{.operation = collective::all_to_all,
                                                .element = detail::kind_of<std::int16_t>()}) == "all_to_all of int16");
  CHECK(detail::name_of(detail::collective_call{.operation = collective::all_to_all,
                                                .element = detail::kind_of<std::array<char, 3>>()}) ==
        "all_to_all of 3-byte value");
  CHECK(detail::name_of(detail::collective_call{.operation = collective::barrier}) == "barrier");
}

TEST_CASE("a number that is no operation has a name too", "[communicators][collective_call]") {
  for (const int number : {5, 1'065'353'216, -1})
    CHECK(detail::name_of(static_cast<detail::collective>(number)) == std::string("an unknown operation"));
}

TEST_CASE("types of one size are not one type", "[communicators][collective_call]") {
  CHECK(detail::kind_of<float>() != detail::kind_of<std::int32_t>());
  CHECK(detail::kind_of<std::uint32_t>() != detail::kind_of<std::int32_t>());
  CHECK(detail::kind_of<long>() == detail::kind_of<std::int64_t>());
  CHECK(detail::kind_of<std::byte>() == detail::kind_of<unsigned char>());
}

TEST_CASE("a difference names the lower rank first, or the one that has returned", "[communicators][collective_call]") {
  const detail::collective_call barrier{.operation = detail::collective::barrier};
  const detail::collective_call end{.operation = detail::collective::end};
  const detail::collective_call sum{.operation = detail::collective::all_reduce, .element = detail::kind_of<double>()};
  const std::string both = "rank 1 calls barrier, rank 2 calls all_reduce of 0 float64";
  CHECK(detail::difference(1, barrier, 2, sum) == both);
  CHECK(detail::difference(2, sum, 1, barrier) == both);
  CHECK(detail::difference(2, end, 1, barrier) == "rank 2 has returned, rank 1 calls barrier");
  CHECK(detail::difference(1, barrier, 2, end) == "rank 2 has returned, rank 1 calls barrier");
}

TEST_CASE("silence names all that are silent", "[communicators][collective_call]") {
  const detail::collective_call barrier{.operation = detail::collective::barrier};
  const auto all_but_one = [](hg::index r) { return r != 1; };
  CHECK(detail::silence(3, all_but_one, "did not come to", barrier, 0.5) ==
        "ranks 0, 2 did not come to barrier: no word for 0.5 seconds");
  CHECK(detail::silence(2, all_but_one, "fell silent in", barrier, 60) ==
        "rank 0 fell silent in barrier: no word for 60 seconds");
}

TEST_CASE("slices are as equal as can be and cover all values once", "[communicators][collective_call]") {
  for (const hg::index ranks : {1, 2, 3, 7})
    for (const hg::index length : {0, 1, 2, 6, 7, 8, 100}) {
      hg::index next = 0;
      for (hg::index r = 0; r < ranks; ++r) {
        const detail::slice part(length, ranks, r);
        CHECK(part.first == next);
        CHECK((part.size() == length / ranks || part.size() == length / ranks + 1));
        next = part.last;
      }
      CHECK(next == length);
    }
}

TEST_CASE("part_of finds the values of a rank", "[communicators][collective_call]") {
  std::vector<int> values{10, 20, 21, 30};
  const std::vector<hg::index> counts{1, 2, 0, 1};
  CHECK(detail::part_of(std::span(values), counts, 1).front() == 20);
  CHECK(detail::part_of(std::span(values), counts, 1).size() == 2);
  CHECK(detail::part_of(std::span(values), counts, 2).empty());
  CHECK(detail::part_of(std::span(values), counts, 3).front() == 30);
}

TEST_CASE("count_contradiction finds the first two ranks that disagree", "[communicators][collective_call]") {
  std::vector<std::vector<hg::index>> send{{1, 2}, {3, 4}}, receive{{1, 3}, {2, 4}};
  const auto counts = [&](hg::index r) {
    const auto at = static_cast<std::size_t>(r);
    return std::pair(send[at].data(), receive[at].data());
  };
  CHECK(detail::count_contradiction(2, counts).empty());
  send[1][0] = 5;
  CHECK(detail::count_contradiction(2, counts) == "rank 1 sends rank 0 5 values, rank 0 takes 3");
}

TEST_CASE("all_to_all refuses to receive where it sends from", "[communicators][collective_call]") {
  std::vector<float> values(6);
  const std::span<float> all(values);
  const hg::index three[1] = {3};
  const auto check = [&](std::size_t send, std::size_t receive) {
    detail::check_all_to_all<float>(0, 1, all.subspan(send, 3), three, all.subspan(receive, 3), three);
  };
  CHECK_NOTHROW(check(0, 3));
  CHECK_NOTHROW(check(3, 0));
  for (const std::size_t receive : {0u, 1u, 2u})
    CHECK_THROWS_WITH(check(1, receive), "all_to_all: send and receive overlap, they must be apart");
}

TEST_CASE("nothing may be sent from the middle of what is received, and the other way round",
          "[communicators][collective_call]") {
  std::vector<float> values(6);
  const std::span<float> all(values);
  const hg::index none[2] = {0, 0}, two[2] = {0, 2};
  CHECK_NOTHROW(detail::check_all_to_all<float>(0, 2, all.subspan(1, 0), none, all.first(2), two));
  CHECK_NOTHROW(detail::check_all_to_all<float>(0, 2, all.first(2), two, all.subspan(1, 0), none));
}
