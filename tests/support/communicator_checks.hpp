// SPDX-License-Identifier: BSD-3-Clause
// What every communicator does, whatever its ranks are made of.
#pragma once

#include <headgate/concepts/communicator.hpp>

#include "support/catch.hpp"
#include "support/error_of.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace headgate_test {

namespace hg = headgate;

/// A value that tells where it comes from; sums of such floats depend on the order.
template <class S>
S value_of(hg::index rank, hg::index i) {
  const auto number = static_cast<double>((rank * 7919 + i * 104729) % 10007);
  if constexpr (std::is_floating_point_v<S>)
    return static_cast<S>((number - 5000) * (i % 2 == 0 ? 0.37 : 1e4) / (1 + static_cast<double>((rank + i) % 3)));
  else if constexpr (std::is_integral_v<S>)
    return static_cast<S>(static_cast<int>(number) % 100);
  else if constexpr (std::is_enum_v<S>)
    return static_cast<S>(static_cast<unsigned char>(static_cast<int>(number) % 256));
  else
    return S{rank, static_cast<float>(i)};
}

struct pair_of_values {
  hg::index rank;
  float place;
  friend bool operator==(const pair_of_values&, const pair_of_values&) = default;
};

template <class S>
std::vector<S> values_of(hg::index rank, hg::index length) {
  std::vector<S> values;
  for (hg::index i = 0; i < length; ++i) values.push_back(value_of<S>(rank, i));
  return values;
}

/// Equal to the last bit; what all_reduce has to give is the loop below.
template <class S>
bool same_bits(const std::vector<S>& a, const std::vector<S>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(S)) == 0);
}

template <class S>
std::vector<S> sums_in_rank_order(hg::index ranks, hg::index length) {
  std::vector<S> sums = values_of<S>(0, length);
  for (hg::index r = 1; r < ranks; ++r)
    for (hg::index i = 0; i < length; ++i) {
      S& sum = sums[static_cast<std::size_t>(i)];
      sum = static_cast<S>(sum + value_of<S>(r, i));
    }
  return sums;
}

template <class S, class C>
bool reduces(C& rank, hg::index length) {
  auto values = values_of<S>(rank.rank(), length);
  rank.all_reduce(std::span(values));
  return same_bits(values, sums_in_rank_order<S>(rank.size(), length));
}

template <class S, class C>
bool broadcasts(C& rank, hg::index length) {
  for (hg::index root = 0; root < rank.size(); ++root) {
    auto values = values_of<S>(rank.rank(), length);
    rank.broadcast(std::span(values), root);
    if (values != values_of<S>(root, length)) return false;
  }
  return true;
}

/// How many values `from` sends to `to`: different for each two, some none; with `pattern` 0 none at all.
inline hg::index count_of(hg::index from, hg::index to, hg::index pattern) {
  if (pattern == 0) return 0;
  if (pattern == 1) return to == 0 ? 5 : 0;  // all to one
  return (from * 3 + to * 5 + pattern) % 4 * (pattern == 2 ? 1 : 700);
}

template <class S, class C>
bool exchanges(C& rank, hg::index pattern) {
  std::vector<S> send, receive, expected;
  std::vector<hg::index> send_counts, receive_counts;
  for (hg::index r = 0; r < rank.size(); ++r) {
    send_counts.push_back(count_of(rank.rank(), r, pattern));
    receive_counts.push_back(count_of(r, rank.rank(), pattern));
    for (hg::index i = 0; i < send_counts.back(); ++i) send.push_back(value_of<S>(rank.rank(), 31 * r + i));
    for (hg::index i = 0; i < receive_counts.back(); ++i) expected.push_back(value_of<S>(r, 31 * rank.rank() + i));
  }
  receive.resize(expected.size());
  rank.all_to_all(std::span<const S>(send), send_counts, std::span(receive), receive_counts);
  return receive == expected;
}

/// `ranks(time_out, f)` makes a new group, calls std::string f(rank) on each rank, and returns, for each rank that is in this
/// process, its number and what f gave. `ranks.size()` is the size of its groups.
template <class Ranks>
void check_values(const Ranks& ranks) {
  const auto problems = ranks(60, [](auto& rank) -> std::string {
    for (const hg::index length : {0, 1, 2, 3, 5, 16, 101, 9001}) {
      if (!reduces<float>(rank, length)) return "all_reduce of float";
      if (!reduces<double>(rank, length)) return "all_reduce of double";
      if (!reduces<hg::index>(rank, length)) return "all_reduce of index";
      if (!reduces<std::int32_t>(rank, length)) return "all_reduce of int";
      if (!reduces<unsigned char>(rank, length)) return "all_reduce of bytes";
      if (!broadcasts<float>(rank, length) || !broadcasts<double>(rank, length)) return "broadcast of numbers";
      if (!broadcasts<hg::index>(rank, length)) return "broadcast of index";
      if (!broadcasts<std::byte>(rank, length)) return "broadcast of std::byte";
      if (!broadcasts<pair_of_values>(rank, length)) return "broadcast of records";
    }
    for (hg::index pattern = 0; pattern < 5; ++pattern) {
      if (!exchanges<float>(rank, pattern) || !exchanges<double>(rank, pattern)) return "all_to_all of numbers";
      if (!exchanges<hg::index>(rank, pattern)) return "all_to_all of index";
      if (!exchanges<unsigned char>(rank, pattern)) return "all_to_all of bytes";
      if (!exchanges<std::byte>(rank, pattern)) return "all_to_all of std::byte";
      if (!exchanges<pair_of_values>(rank, pattern)) return "all_to_all of records";
    }
    for (hg::index round = 0; round < 100; ++round) {
      if (!reduces<float>(rank, round)) return "repeated all_reduce";
      if (!exchanges<float>(rank, 2 + round % 2)) return "repeated all_to_all";
      if (round % 10 == 0) rank.barrier();
    }
    return {};
  });
  for (const auto& [rank, problem] : problems) {
    CAPTURE(rank);
    CHECK(problem == "");
  }
}

/// A refused call is no call: nothing is sent, and the group goes on.
template <class Ranks>
void check_refusals(const Ranks& ranks) {
  const hg::index n = ranks.size();
  const auto text = std::to_string(n);
  const auto errors = ranks(60, [&](auto& rank) -> std::string {
    std::vector<float> three(3);
    std::vector<hg::index> none(static_cast<std::size_t>(n), 0), negative = none, short_by_one(none.size() - 1);
    negative[0] = -1;
    const std::span<float> empty;
    const auto exchange = [&](std::span<const float> send, std::span<const hg::index> send_counts,
                              std::span<const hg::index> receive_counts) {
      return error_of([&] { rank.all_to_all(send, send_counts, empty, receive_counts); }) + "\n";
    };
    std::string all = error_of([&] { rank.broadcast(std::span(three), n); }) + "\n";
    all += error_of([&] { rank.broadcast(std::span(three), -1); }) + "\n";
    all += exchange({}, short_by_one, none) + exchange({}, negative, none) + exchange({}, none, negative) +
           exchange(three, none, none);
    std::vector<hg::index> mine = none;
    mine[static_cast<std::size_t>(rank.rank())] = 3;
    all += exchange(three, mine, none);
    rank.barrier();
    return all;
  });
  for (const auto& [rank, sentences] : errors) {
    const auto self = std::to_string(rank);
    CHECK(sentences == "refused broadcast: the root is " + text + ", the group has size " + text +
                           "\n"
                           "refused broadcast: the root is -1, the group has size " +
                           text +
                           "\n"
                           "refused all_to_all: there are " +
                           std::to_string(n - 1) + " send_counts and " + text + " receive_counts, the group has size " +
                           text +
                           "\n"
                           "refused all_to_all: send_counts[0] is -1, it must be at least 0\n"
                           "refused all_to_all: receive_counts[0] is -1, it must be at least 0\n"
                           "refused all_to_all: send_counts sum to 0, send holds 3 values\n"
                           "refused all_to_all: rank " +
                           self + " sends itself 3 values and takes 0\n");
  }
}

/// Rank `odd` calls `other`, all others `usual`, named as given. All get the same kind of sentence, and again afterwards.
template <class Ranks, class Usual, class Other>
void check_mismatch(const Ranks& ranks, const Usual& usual, const std::string& usual_name, const Other& other,
                    const std::string& other_name) {
  const hg::index n = ranks.size(), odd = n - 1;
  const auto errors = ranks(60, [&](auto& rank) -> std::string {
    rank.barrier();
    std::string first = rank.rank() == odd ? error_of([&] { other(rank); }) : error_of([&] { usual(rank); });
    return first + "\n" + error_of([&] { rank.barrier(); });
  });
  for (const auto& [rank, sentences] : errors) {
    CAPTURE(rank, sentences);
    const std::string& mine = rank == odd ? other_name : usual_name;
    bool expected = false;
    for (hg::index r = 0; r < odd; ++r) {  // whom the odd one is compared with is a matter of time
      const std::string why = "rank " + std::to_string(r) + " calls " + usual_name + ", rank " + std::to_string(odd) +
                              " calls " + other_name;
      expected = expected || sentences == mine.substr(0, mine.find(' ')) + ": " + why + "\nbarrier: " + why;
    }
    CHECK(expected);
  }
}

template <class Ranks>
void check_mismatches(const Ranks& ranks) {
  const auto reduce = [](auto& rank) {
    std::vector<float> values(3);
    rank.all_reduce(std::span(values));
  };
  const auto reduce_more = [](auto& rank) {
    std::vector<float> values(4);
    rank.all_reduce(std::span(values));
  };
  const auto reduce_doubles = [](auto& rank) {
    std::vector<double> values(3);
    rank.all_reduce(std::span(values));
  };
  const auto send_root = [](auto& rank) {
    std::vector<float> values(3);
    rank.broadcast(std::span(values), 0);
  };
  const auto send_last = [](auto& rank) {
    std::vector<float> values(3);
    rank.broadcast(std::span(values), rank.size() - 1);
  };
  const auto nothing = [](auto& rank) {
    const std::vector<hg::index> none(static_cast<std::size_t>(rank.size()), 0);
    rank.all_to_all(std::span<const hg::index>(), none, std::span<hg::index>(), none);
  };
  const auto barrier = [](auto& rank) { rank.barrier(); };
  const std::string last = std::to_string(ranks.size() - 1);
  check_mismatch(ranks, reduce, "all_reduce of 3 float32", reduce_more, "all_reduce of 4 float32");
  check_mismatch(ranks, reduce, "all_reduce of 3 float32", reduce_doubles, "all_reduce of 3 float64");
  check_mismatch(ranks, reduce, "all_reduce of 3 float32", send_root, "broadcast of 3 float32 from rank 0");
  check_mismatch(ranks, send_root, "broadcast of 3 float32 from rank 0", send_last,
                 "broadcast of 3 float32 from rank " + last);
  check_mismatch(ranks, barrier, "barrier", nothing, "all_to_all of int64");
  check_mismatch(ranks, nothing, "all_to_all of int64", barrier, "barrier");

  // Counts: rank 0 sends the last rank more than it takes. Everybody is told, also those in between.
  const auto errors = ranks(60, [&](auto& rank) -> std::string {
    std::vector<hg::index> send(static_cast<std::size_t>(rank.size()), 0), receive = send;
    std::vector<float> values;
    if (rank.rank() == 0) {
      send.back() = 2;
      values.resize(2);
    }
    return error_of([&] { rank.all_to_all(std::span<const float>(values), send, std::span<float>(), receive); });
  });
  for (const auto& [rank, sentence] : errors) {
    CAPTURE(rank);
    CHECK(sentence == "all_to_all: rank 0 sends rank " + last + " 2 values, rank " + last + " takes 0");
  }
}

/// Failures that a rank declares.
template <class Ranks>
void check_failure(const Ranks& ranks) {
  const hg::index n = ranks.size(), odd = n / 2;
  const auto errors = ranks(60, [&](auto& rank) -> std::string {
    rank.barrier();
    if (rank.rank() == odd) {
      rank.fail("out of tokens");
      rank.fail("a second reason");
    }
    std::vector<double> values{1, 2};
    std::string all = error_of([&] { rank.all_reduce(std::span(values)); });
    if (values != std::vector<double>{1, 2}) return "the values have changed";
    all += "\n" + error_of([&] { rank.broadcast(std::span(values), 0); });
    all += "\n" + error_of([&] { rank.barrier(); });
    std::vector<hg::index> none(static_cast<std::size_t>(n), 0);
    return all + "\n" + error_of([&] { rank.all_to_all(std::span<const float>(), none, std::span<float>(), none); });
  });
  const std::string why = ": rank " + std::to_string(odd) + " failed: out of tokens";
  for (const auto& [rank, sentences] : errors) {
    CAPTURE(rank);
    CHECK(sentences == "all_reduce" + why + "\nbroadcast" + why + "\nbarrier" + why + "\nall_to_all" + why);
  }
}

/// A rank that does not come.
template <class Ranks>
void check_silence(const Ranks& ranks) {
  const hg::index odd = ranks.size() - 1;
  const auto start = std::chrono::steady_clock::now();
  const auto errors = ranks(0.5, [&](auto& rank) -> std::string {
    rank.barrier();
    if (rank.rank() == odd) std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    std::vector<float> values(7);
    return error_of([&] { rank.all_reduce(std::span(values)); });
  });
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  for (const auto& [rank, sentence] : errors) {
    CAPTURE(rank);
    CHECK(sentence == "all_reduce: rank " + std::to_string(odd) +
                          " did not come to all_reduce of 7 float32: no word for 0.5 seconds");
  }
}

/// A rank that does not come is given up after the time-out, though others come in between.
template <class Ranks>
void check_staggered_silence(const Ranks& ranks) {
  const hg::index odd = ranks.size() - 1;
  const auto errors = ranks(1, [&](auto& rank) -> std::string {
    rank.barrier();
    const auto start = std::chrono::steady_clock::now();
    if (rank.rank() == odd)
      std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    else if (rank.rank() > 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(800 * rank.rank() / (odd - 1)));
    const std::string error = error_of([&] { rank.barrier(); });
    const bool late = rank.rank() == 0 && std::chrono::steady_clock::now() - start > std::chrono::milliseconds(1600);
    return error + (late ? ", too late" : "");
  });
  for (const auto& [rank, sentence] : errors) {
    CAPTURE(rank);
    CHECK(sentence == "barrier: rank " + std::to_string(odd) + " did not come to barrier: no word for 1 seconds");
  }
}

template <class Ranks>
void check_communicator(const Ranks& ranks) {
  check_values(ranks);
  check_refusals(ranks);
  check_failure(ranks);
  if (ranks.size() == 1) return;
  check_mismatches(ranks);
  check_silence(ranks);
  if (ranks.size() > 2) check_staggered_silence(ranks);
}

}  // namespace headgate_test
