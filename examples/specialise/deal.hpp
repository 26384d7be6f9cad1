// SPDX-License-Identifier: BSD-3-Clause
// Which rank computes which micro-batch, and which of them share their frequencies.
#pragma once

#include "settings.hpp"

#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace specialise {

/// Deals the micro-batches of a step: of each pool of several, every rank gets the same number; otherwise each gets
/// neighbours.
class deal {
 public:
  /// The settings have been checked.
  deal(const settings& how, index rank, index ranks)
      : how_(how), local_(how.micro_batches() / ranks), tokens_(how.micro * how.sizes.sequence) {
    const index pool = how.pool.kind == pool_kind::pooled && how.pool.size > 1 ? how.pool.size : how.micro_batches();
    const index share = pool / ranks;
    own_.assign(static_cast<std::size_t>(how.micro_batches()), -1);
    for (index i = 0; i < local_; ++i) {
      global_.push_back(i / share * pool + rank * share + i % share);
      own_[static_cast<std::size_t>(global_.back())] = i;
    }
  }

  /// Micro-batches of this rank.
  [[nodiscard]] index local() const { return local_; }
  /// The number in the step of this rank's micro-batch i.
  [[nodiscard]] index global(index i) const { return global_[static_cast<std::size_t>(i)]; }

  /// How many frequencies there are in a step, and which of them this rank's micro-batch i uses.
  [[nodiscard]] index rows() const {
    if (how_.pool.kind == pool_kind::buffer) return local_;
    return how_.micro_batches() / how_.pool.size;  // shuffled: one for each micro-batch
  }
  [[nodiscard]] index row(index i) const {
    return how_.pool.kind == pool_kind::buffer ? i : global(i) / how_.pool.size;
  }
  /// Whether other ranks' micro-batches count.
  [[nodiscard]] bool reduces() const { return how_.pool.kind != pool_kind::pooled || how_.pool.size > 1; }

  void start_draws(index step) {
    stream_ = hg::random_stream{how_.seed, static_cast<std::uint64_t>(step)}.channel(3);
    order_.resize(static_cast<std::size_t>(how_.micro_batches() * tokens_));
    std::iota(order_.begin(), order_.end(), index{0});
    drawn_.resize(1, local_ * tokens_);
  }
  /// As many different tokens of the step as a micro-batch has: true for those that are this rank's, in the order of its
  /// micro-batches. Depends on the order of calls, which is b = 0, 1, 2 ...
  [[nodiscard]] std::span<const bool> draw(index b) {
    const auto all = static_cast<index>(order_.size());
    std::fill_n(drawn_.data(), drawn_.size(), false);
    for (index i = 0; i < tokens_; ++i) {  // the beginning of a Fisher-Yates shuffle
      const index other = i + hg::uniform_index(stream_, b, i, all - i);
      std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(other)]);
      const index token = order_[static_cast<std::size_t>(i)];
      const index own = own_[static_cast<std::size_t>(token / tokens_)];
      if (own >= 0) drawn_(0, own * tokens_ + token % tokens_) = true;
    }
    return {drawn_.data(), static_cast<std::size_t>(drawn_.size())};
  }

 private:
  settings how_;
  index local_;
  index tokens_;               // of a micro-batch
  std::vector<index> global_;  // (local)
  std::vector<index> own_;     // (micro-batches of the step), -1 for another rank's
  hg::random_stream stream_;
  std::vector<index> order_;
  hg::scratch<bool> drawn_;  // (1 x this rank's tokens)
};

}  // namespace specialise
