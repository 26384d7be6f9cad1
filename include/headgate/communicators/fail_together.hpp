// SPDX-License-Identifier: BSD-3-Clause
// What goes wrong on one rank ends the operation on all of them.
#pragma once

#include <headgate/communicators/communicator_error.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>

#include <exception>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(), and if it throws, tells the other ranks why before it lets the exception go on: those that wait for this one get a
/// `communicator_error` that names it, instead of waiting until their time-out. The group is broken from then on.
template <communicator Communicator, class F>
void fail_together(Communicator& ranks, const F& f) {
  detail::rank_exception thrown;
  HEADGATE_TRY { f(); }
  HEADGATE_CATCH_ALL { thrown = detail::rank_exception::current(); }
  if (thrown.kind == detail::rank_exception::none) return;
  // Also an error of an operation: it may be another group's. Of this one's the group knows, and keeps what it knew first.
  ranks.fail(thrown.what);
  std::rethrow_exception(thrown.cause);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
