// SPDX-License-Identifier: BSD-3-Clause
// What a rank says of the collective operation it calls, and the checks that all communicators share.
#pragma once

#include <headgate/communicators/communicator_error.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>  // size
#include <span>
#include <string>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

enum class collective : std::int32_t { all_reduce, all_to_all, broadcast, barrier, end };

/// Of any number: it may have come in a message.
[[nodiscard]] inline const char* name_of(collective operation) {
  constexpr const char* names[] = {"all_reduce", "all_to_all", "broadcast", "barrier", "end of the run"};
  const auto which = static_cast<std::size_t>(operation);
  return which < std::size(names) ? names[which] : "an unknown operation";
}

/// The type of a value as far as ranks have to agree on it.
struct element_kind {
  char family = 0;  ///< 'f' floating point, 'i' signed, 'u' unsigned and bytes, 'v' any other value, 0 none
  std::int32_t size = 0;

  friend bool operator==(const element_kind&, const element_kind&) = default;
};

template <class S>
[[nodiscard]] constexpr element_kind kind_of() {
  static_assert(std::is_trivially_copyable_v<S> && !std::is_pointer_v<S>, "ranks exchange plain values");
  constexpr char family = std::is_floating_point_v<S>                             ? 'f'
                          : std::is_same_v<S, std::byte> || std::is_unsigned_v<S> ? 'u'
                          : std::is_integral_v<S>                                 ? 'i'
                                                                                  : 'v';
  return {family, static_cast<std::int32_t>(sizeof(S))};
}

[[nodiscard]] inline std::string name_of(element_kind kind) {
  switch (kind.family) {
    case 'f':
      return sentence("float", 8 * kind.size);
    case 'i':
      return sentence("int", 8 * kind.size);
    case 'u':
      return sentence("uint", 8 * kind.size);
    default:
      return sentence(kind.size, "-byte value");
  }
}

/// One call, as far as all ranks must make the same one.
struct collective_call {
  collective operation = collective::barrier;
  element_kind element = {};
  std::int64_t length = 0;  ///< of all_reduce and broadcast; ranks may send and take as much as they like in all_to_all
  std::int64_t root = 0;    ///< of broadcast

  friend bool operator==(const collective_call&, const collective_call&) = default;
};

[[nodiscard]] inline std::string name_of(const collective_call& call) {
  const char* const name = name_of(call.operation);
  switch (call.operation) {
    case collective::all_reduce:
      return sentence(name, " of ", call.length, " ", name_of(call.element));
    case collective::all_to_all:
      return sentence(name, " of ", name_of(call.element));
    case collective::broadcast:
      return sentence(name, " of ", call.length, " ", name_of(call.element), " from rank ", call.root);
    default:
      return name;
  }
}

/// The call of an operation on one span that is equally long on all ranks.
template <class S>
[[nodiscard]] collective_call call_of(collective operation, std::span<S> values, index root = 0) {
  return {operation, kind_of<S>(), static_cast<std::int64_t>(values.size()), root};
}

/// Names two calls that differ, the lower rank first, or the one that makes no more.
[[nodiscard]] inline std::string difference(index a, const collective_call& call_a, index b,
                                            const collective_call& call_b) {
  const bool swap = call_a.operation == collective::end ? false : call_b.operation == collective::end || b < a;
  if (swap) return difference(b, call_b, a, call_a);
  const bool ended = call_a.operation == collective::end;
  return sentence("rank ", a, ended ? " has returned" : " calls " + name_of(call_a), ", rank ", b, " calls ",
                  name_of(call_b));
}

/// What to say of the ranks for which `silent(rank)` holds: "rank 2" or "ranks 0, 2", what they did not do, the call and
/// the time.
template <class Silent>
[[nodiscard]] std::string silence(index ranks, const Silent& silent, const char* absent, const collective_call& call,
                                  double time_out) {
  std::string names;
  index count = 0;
  for (index r = 0; r < ranks; ++r) {
    if (!silent(r)) continue;
    if (count > 0) append(names, ", ");
    append(names, r);
    ++count;
  }
  return sentence(count == 1 ? "rank " : "ranks ", names, " ", absent, " ", name_of(call), ": no word for ", time_out,
                  " seconds");
}

/// The part [first, last) of `length` values that rank sums: equal parts, the first ones longer by one.
struct slice {
  index first = 0, last = 0;
  slice(index length, index ranks, index rank)
      : first(rank * (length / ranks) + (std::min)(rank, length % ranks)),
        last(first + length / ranks + (rank < length % ranks ? 1 : 0)) {}
  [[nodiscard]] index size() const { return last - first; }
};

/// The values of `all` that are for or from rank r.
template <class S>
[[nodiscard]] std::span<S> part_of(std::span<S> all, std::span<const index> counts, index r) {
  index first = 0;
  for (index q = 0; q < r; ++q) first += counts[static_cast<std::size_t>(q)];
  return all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(counts[static_cast<std::size_t>(r)]));
}

/// sum[i] += term[i]
template <class S>
void add_to(S* sum, const S* term, index count) {
  for (index i = 0; i < count; ++i) sum[i] = static_cast<S>(sum[i] + term[i]);
}

[[nodiscard]] inline index total(std::span<const index> counts, const char* name) {
  index sum = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    if (counts[r] < 0) refuse("all_to_all: ", name, "[", r, "] is ", counts[r], ", it must be at least 0");
    sum += counts[r];
  }
  return sum;
}

/// Refuses arguments of all_to_all that are wrong whatever the other ranks say.
template <class S>
void check_all_to_all(index rank, index ranks, std::span<const S> send, std::span<const index> send_counts,
                      std::span<S> receive, std::span<const index> receive_counts) {
  const auto wanted = static_cast<std::size_t>(ranks);
  if (send_counts.size() != wanted || receive_counts.size() != wanted)
    refuse("all_to_all: there are ", send_counts.size(), " send_counts and ", receive_counts.size(),
           " receive_counts, the group has size ", ranks);
  const index sent = total(send_counts, "send_counts"), received = total(receive_counts, "receive_counts");
  if (sent != static_cast<index>(send.size()))
    refuse("all_to_all: send_counts sum to ", sent, ", send holds ", send.size(), " values");
  if (received != static_cast<index>(receive.size()))
    refuse("all_to_all: receive_counts sum to ", received, ", receive holds ", receive.size(), " values");
  const auto address = [](const S* p) { return reinterpret_cast<std::uintptr_t>(p); };
  if (!send.empty() && !receive.empty() && address(send.data()) < address(receive.data() + receive.size()) &&
      address(receive.data()) < address(send.data() + send.size()))
    refuse("all_to_all: send and receive overlap, they must be apart");
  const auto self = static_cast<std::size_t>(rank);
  if (send_counts[self] != receive_counts[self])
    refuse("all_to_all: rank ", rank, " sends itself ", send_counts[self], " values and takes ", receive_counts[self]);
}

/// Names the first ranks whose counts contradict each other; empty if none do. counts(r) gives rank r's send counts and
/// receive counts as two pointers.
template <class Counts>
[[nodiscard]] std::string count_contradiction(index ranks, const Counts& counts) {
  for (index from = 0; from < ranks; ++from)
    for (index to = 0; to < ranks; ++to)
      if (const auto sent = counts(from).first[to], taken = counts(to).second[from]; sent != taken)
        return sentence("rank ", from, " sends rank ", to, " ", sent, " values, rank ", to, " takes ", taken);
  return {};
}

inline void check_root(index root, index ranks) {
  if (root < 0 || root >= ranks) refuse("broadcast: the root is ", root, ", the group has size ", ranks);
}

inline void check_time_out(const char* owner, double seconds) {
  if (!(seconds > 0)) refuse(owner, ": time_out is ", seconds, ", it must be above 0");
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
