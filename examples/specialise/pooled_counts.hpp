// SPDX-License-Identifier: BSD-3-Clause
// The assignments that the balance losses of a step count.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/losses/expert_counts.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace specialise {

namespace hg = headgate;
using hg::index;

/// Counts of every pool of a step and every layer.
class pooled_counts {
 public:
  pooled_counts(index pools, index layers, index experts)
      : pools_(pools), layers_(layers), counts_(static_cast<std::size_t>(pools * layers), hg::expert_counts(experts)) {}

  [[nodiscard]] hg::expert_counts& operator()(index pool, index layer) { return counts_[place(pool, layer)]; }
  [[nodiscard]] const hg::expert_counts& operator()(index pool, index layer) const {
    return counts_[place(pool, layer)];
  }

  void reset() {
    for (hg::expert_counts& each : counts_) each.reset();
  }

  /// Sums over the ranks, in one operation.
  template <hg::communicator Communicator>
  void all_reduce(Communicator& ranks) {
    all_.clear();
    for (const hg::expert_counts& each : counts_) all_.insert(all_.end(), each.counts().begin(), each.counts().end());
    ranks.all_reduce(std::span(all_));
    auto from = all_.begin();
    for (hg::expert_counts& each : counts_) {
      std::copy_n(from, each.experts(), each.counts().begin());
      from += each.experts();
    }
  }

  /// Adds to each pool those before it.
  void accumulate() {
    for (index pool = 1; pool < pools_; ++pool)
      for (index l = 0; l < layers_; ++l) (*this)(pool, l).merge((*this)(pool - 1, l));
  }

 private:
  [[nodiscard]] std::size_t place(index pool, index layer) const {
    return static_cast<std::size_t>(pool * layers_ + layer);
  }

  index pools_, layers_;
  std::vector<hg::expert_counts> counts_;  // (pools x layers)
  std::vector<index> all_;
};

}  // namespace specialise
