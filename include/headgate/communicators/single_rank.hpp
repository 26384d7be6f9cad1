// SPDX-License-Identifier: BSD-3-Clause
// The communicator of a program that is alone.
#pragma once

#include <headgate/communicators/collective_call.hpp>
#include <headgate/communicators/communicator_error.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A group of one. Operations check their arguments as those of larger groups do, copy what a rank sends to itself, and cost
/// nothing else.
class single_rank {
 public:
  [[nodiscard]] index rank() const { return 0; }
  [[nodiscard]] index size() const { return 1; }

  template <class S>
  void all_reduce(std::span<S>) {
    check_alive("all_reduce");
  }

  template <class S>
  void all_to_all(std::span<const std::type_identity_t<S>> send, std::span<const index> send_counts,
                  std::span<S> receive, std::span<const index> receive_counts) {
    detail::check_all_to_all<S>(0, 1, send, send_counts, receive, receive_counts);
    check_alive("all_to_all");
    std::copy(send.begin(), send.end(), receive.begin());
  }

  template <class S>
  void broadcast(std::span<S>, index root) {
    detail::check_root(root, 1);
    check_alive("broadcast");
  }

  void barrier() { check_alive("barrier"); }

  void fail(std::string_view reason) {
    if (failure_.empty()) failure_ = sentence("rank 0 failed: ", reason);
  }

 private:
  void check_alive(const char* operation) const {
    if (!failure_.empty()) fail_operation(operation, ": ", failure_);
  }

  std::string failure_;
};

static_assert(communicator<single_rank>);

}  // namespace HEADGATE_ABI
}  // namespace headgate
