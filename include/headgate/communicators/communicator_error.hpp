// SPDX-License-Identifier: BSD-3-Clause
// How an operation of a communicator ends that a rank cannot finish, and how a run of ranks ends in which one threw.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <exception>
#include <stdexcept>
#include <string>

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

/// An exception of a rank's function that is neither `std::invalid_argument` nor `communicator_error`: "rank 2: ", and
/// its sentence. `cause()` is the exception itself.
class rank_error : public std::runtime_error {
 public:
  explicit rank_error(const std::string& what, std::exception_ptr cause = nullptr)
      : std::runtime_error(what), cause_(std::move(cause)) {}
  [[nodiscard]] const std::exception_ptr& cause() const { return cause_; }

 private:
  std::exception_ptr cause_;
};

namespace detail {

/// What kind of exception a rank's function threw, and its sentence.
struct rank_exception {
  enum kind { none, refusal, communication, other } kind = none;
  std::string what;
  std::exception_ptr cause;

  /// Of the exception being handled.
  [[nodiscard]] static rank_exception current() {
    rank_exception found{other, "an exception that is no std::exception", std::current_exception()};
    const auto is = [&](enum kind its, const std::exception& error) {
      found.kind = its;
      found.what = error.what();
    };
    HEADGATE_TRY { std::rethrow_exception(found.cause); }
    HEADGATE_CATCH(communicator_error, error) { is(communication, error); }
    HEADGATE_CATCH(std::invalid_argument, error) { is(refusal, error); }
    HEADGATE_CATCH(std::exception, error) { is(other, error); }
    HEADGATE_CATCH_ALL {}
    return found;
  }

  /// Throws it again, with the rank in the sentence.
  [[noreturn]] void rethrow(index rank) const {
    const std::string with_rank = sentence("rank ", rank, ": ", what);
    if (kind == refusal) HEADGATE_THROW(std::invalid_argument(with_rank));
    if (kind == communication) HEADGATE_THROW(communicator_error(with_rank));
    HEADGATE_THROW(rank_error(with_rank, cause));
  }
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
