// SPDX-License-Identifier: BSD-3-Clause
// How much a rank sends: a communicator that counts.
#pragma once

#include <headgate/communicators/collective_call.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>

#include <span>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What one rank sent to others. What it keeps for itself does not count, nor does an empty part.
struct traffic {
  index calls = 0;     ///< that returned
  index messages = 0;  ///< however many pieces a transport cuts one into
  index bytes = 0;     ///< of values; what ranks tell each other besides is not counted

  friend bool operator==(const traffic&, const traffic&) = default;
};

/// The traffic of each operation.
struct traffic_counts {
  traffic all_reduce, all_to_all, broadcast, barrier;

  [[nodiscard]] traffic total() const {
    traffic sum;
    for (const traffic& t : {all_reduce, all_to_all, broadcast, barrier}) {
      sum.calls += t.calls;
      sum.messages += t.messages;
      sum.bytes += t.bytes;
    }
    return sum;
  }
  friend bool operator==(const traffic_counts&, const traffic_counts&) = default;
};

/// The communicator it refers to, with counts of what passes through here. With n ranks and L values, of which the part of
/// rank r has L_r = L / n, and one more if r < L % n:
///
///   all_reduce   L - L_r values in n - 1 parts to those who add them, then n - 1 times the L_r sums: 2 (n - 1) / n L
///   all_to_all   the parts for others that are not empty
///   broadcast    n - 1 times L values on the root, nothing elsewhere
///   barrier      nothing
///
/// `mpi_rank` sends this. Ranks that are threads read each other's memory, and this is what they would send.
template <class Communicator>
class counted {
  static_assert(communicator<Communicator>, "counted: this is no communicator (concepts/communicator.hpp)");

 public:
  explicit counted(Communicator& inner) : inner_(&inner) {}

  [[nodiscard]] const traffic_counts& counts() const { return counts_; }
  void reset_counts() { counts_ = {}; }

  [[nodiscard]] index rank() const { return inner_->rank(); }
  [[nodiscard]] index size() const { return inner_->size(); }

  template <class S>
  void all_reduce(std::span<S> values) {
    inner_->all_reduce(values);
    const auto part = [&](index r) { return detail::slice(static_cast<index>(values.size()), size(), r).size(); };
    ++counts_.all_reduce.calls;
    for (index r = 0; r < size(); ++r) {
      if (r == rank()) continue;
      send<S>(counts_.all_reduce, part(r));
      send<S>(counts_.all_reduce, part(rank()));
    }
  }

  template <class S>
  void all_to_all(std::span<const std::type_identity_t<S>> send_values, std::span<const index> send_counts,
                  std::span<S> receive, std::span<const index> receive_counts) {
    inner_->all_to_all(send_values, send_counts, receive, receive_counts);
    ++counts_.all_to_all.calls;
    for (index r = 0; r < size(); ++r)
      if (r != rank()) send<S>(counts_.all_to_all, send_counts[static_cast<std::size_t>(r)]);
  }

  template <class S>
  void broadcast(std::span<S> values, index root) {
    inner_->broadcast(values, root);
    ++counts_.broadcast.calls;
    for (index r = 0; r < size() && rank() == root; ++r)
      if (r != root) send<S>(counts_.broadcast, static_cast<index>(values.size()));
  }

  void barrier() {
    inner_->barrier();
    ++counts_.barrier.calls;
  }

  void fail(std::string_view reason) { inner_->fail(reason); }

 private:
  template <class S>
  static void send(traffic& to, index values) {
    to.messages += values > 0 ? 1 : 0;
    to.bytes += values * static_cast<index>(sizeof(S));
  }

  Communicator* inner_;
  traffic_counts counts_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
