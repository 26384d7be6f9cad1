// SPDX-License-Identifier: BSD-3-Clause
// What a task loss returns.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A loss on a layer's output y and dL/dy, shaped like y: `const auto [loss, dy] = mean_squared_error<float>(y,
/// target);`
template <class T>
struct task_loss {
  T value{};
  matrix<T> gradient;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
