// SPDX-License-Identifier: BSD-3-Clause
// What one forward or backward pass hands to the policies beside their data.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/parallel/sequential.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

template <class T>
struct steering;

/// The circumstances of a pass. Gates and experts that use randomness, threads or working memory take it as their last
/// argument; simpler policies leave it out.
template <class T, class Executor = sequential>
struct pass {
  const Executor& executor;
  scratch<T>& working_memory;                       ///< of the kernels; its contents do not outlive one kernel call
  bool training = false;                            ///< noise and dropout act in training only
  random_stream random{};                           ///< in training: one step of the caller's stream
  const headgate::steering<T>* steering = nullptr;  ///< null: the gate decides (routing/steering.hpp)
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
