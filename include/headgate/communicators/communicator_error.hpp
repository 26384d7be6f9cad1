// SPDX-License-Identifier: BSD-3-Clause
// How an operation of a communicator ends that a rank cannot finish.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <stdexcept>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A rank failed, went silent, or called another operation than the others. The sentence names the rank and the operation.
class communicator_error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws a `communicator_error` with the sentence made of the parts, and ends the program where exceptions are off.
template <class... Parts>
[[noreturn]] HEADGATE_NEVER_INLINE void fail_operation(const Parts&... parts) {
  HEADGATE_THROW(communicator_error(sentence(parts...)));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
