// SPDX-License-Identifier: BSD-3-Clause
// What a loss checks before it reads a block of the routing record.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/scratch.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Refuses a block that the gate leaves empty, and a gradient that was not reset for this record.
template <class T>
void check_recorded(const char* owner, const char* name, const scratch<T>& block, const scratch<T>& gradient) {
  if (block.size() == 0) refuse(owner, ": the gate records no ", name);
  if (gradient.rows() != block.rows() || gradient.cols() != block.cols())
    refuse(owner, ": the gradient of the ", name, " is ", gradient.rows(), " x ", gradient.cols(),
           ", the record's are ", block.rows(), " x ", block.cols());
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
