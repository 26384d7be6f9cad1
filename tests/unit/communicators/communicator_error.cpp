// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/communicator_error.hpp>

#include "support/catch.hpp"

#include <new>
#include <stdexcept>
#include <string>

namespace hg = headgate;
using hg::detail::rank_exception;

namespace {

template <class E>
rank_exception caught(const E& exception) {
  try {
    throw exception;
  } catch (...) {
    return rank_exception::current();
  }
}

}  // namespace

TEST_CASE("fail_operation throws a communicator_error with its sentence", "[communicators][communicator_error]") {
  CHECK_THROWS_AS(hg::fail_operation("barrier: rank ", 2, " failed"), hg::communicator_error);
  CHECK_THROWS_WITH(hg::fail_operation("barrier: rank ", 2, " failed"), "barrier: rank 2 failed");
}

TEST_CASE("a rank's exception keeps its kind and gets the rank's name", "[communicators][communicator_error]") {
  CHECK(rank_exception{}.kind == rank_exception::none);
  CHECK_THROWS_AS(caught(std::invalid_argument("k is 0")).rethrow(2), std::invalid_argument);
  CHECK_THROWS_WITH(caught(std::invalid_argument("k is 0")).rethrow(2), "rank 2: k is 0");
  CHECK_THROWS_AS(caught(hg::communicator_error("barrier: ...")).rethrow(0), hg::communicator_error);
  CHECK_THROWS_WITH(caught(hg::communicator_error("barrier: ...")).rethrow(0), "rank 0: barrier: ...");
  CHECK_THROWS_AS(caught(std::bad_alloc()).rethrow(1), hg::rank_error);
  CHECK_THROWS_WITH(caught(7).rethrow(1), "rank 1: an exception that is no std::exception");
  try {
    caught(7).rethrow(1);
  } catch (const hg::rank_error& error) {
    CHECK_THROWS_AS(std::rethrow_exception(error.cause()), int);
  }
}
