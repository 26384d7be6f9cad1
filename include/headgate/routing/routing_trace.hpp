// SPDX-License-Identifier: BSD-3-Clause
// The routing of a sequence of passes of one layer, to compare, to keep in a file, or to replay.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/routing/recorded_pass.hpp>
#include <headgate/routing/routing.hpp>

#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Recorded passes, the oldest first. `&trace[i]` is what `steering::forced` takes; it stays where it is until the trace
/// grows.
template <class T>
class routing_trace {
 public:
  routing_trace() = default;

  /// Adds what a pass left in its workspace's or tape's `routing`. Refuses another number of experts than before.
  void append(const routing<T>& r, record_weights weights = record_weights::yes) {
    append(recorded_pass<T>(r, weights));
  }
  void append(recorded_pass<T> one) {
    if (!passes_.empty() && one.experts() != experts())
      refuse("routing_trace: a pass of ", one.experts(), " experts, those before have ", experts());
    passes_.push_back(std::move(one));
  }
  void clear() { passes_.clear(); }

  [[nodiscard]] index size() const { return passes_.size(); }
  [[nodiscard]] bool empty() const { return passes_.empty(); }
  /// 0 for an empty trace.
  [[nodiscard]] index experts() const { return empty() ? 0 : passes_[0].experts(); }
  [[nodiscard]] const recorded_pass<T>& operator[](index pass) const { return passes_[pass]; }
  [[nodiscard]] auto begin() const { return passes_.begin(); }
  [[nodiscard]] auto end() const { return passes_.end(); }

 private:
  array<recorded_pass<T>> passes_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
