// SPDX-License-Identifier: BSD-3-Clause
// What a rank is told: a refusal of its own, or what became of the group.
#pragma once

#include <headgate/communicators/communicator_error.hpp>

#include <stdexcept>
#include <string>

namespace headgate_test {

/// What f throws, "refused " before it if it is a refusal, or "nothing".
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const headgate::communicator_error& error) {
    return error.what();
  } catch (const std::invalid_argument& error) {
    return std::string("refused ") + error.what();
  }
  return "nothing";
}

}  // namespace headgate_test
