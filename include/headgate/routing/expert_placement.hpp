// SPDX-License-Identifier: BSD-3-Clause
// Which rank holds which expert.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Each expert lies on one rank; a rank may have none. The same object on all ranks.
class expert_placement {
 public:
  /// Contiguous: rank 0 has the first experts, each rank experts / ranks of them, the first ranks one more if they do not
  /// divide.
  expert_placement(index experts, index ranks) : expert_placement(checked(experts, ranks), ranks) {
    const index each = experts / ranks, longer = experts % ranks;
    for (index e = 0; e < experts; ++e) {
      const index in_longer = longer * (each + 1);
      rank_of_[e] = e < in_longer ? e / (each + 1) : longer + (e - in_longer) / each;
    }
    list();
  }

  /// Expert e on rank_of_expert[e].
  expert_placement(std::span<const index> rank_of_expert, index ranks)
      : expert_placement(checked(static_cast<index>(rank_of_expert.size()), ranks), ranks) {
    for (index e = 0; e < experts(); ++e) {
      const index rank = rank_of_expert[static_cast<std::size_t>(e)];
      if (rank < 0 || rank >= ranks)
        refuse("expert_placement: expert ", e, " is placed on rank ", rank, ", there are ", ranks, " ranks");
      rank_of_[e] = rank;
    }
    list();
  }

  [[nodiscard]] index experts() const { return rank_of_.size(); }
  [[nodiscard]] index ranks() const { return offsets_.size() - 1; }
  [[nodiscard]] index rank_of(index expert) const { return rank_of_[expert]; }
  /// Ascending.
  [[nodiscard]] std::span<const index> experts_of(index rank) const {
    return {experts_.data() + offsets_[rank], static_cast<std::size_t>(offsets_[rank + 1] - offsets_[rank])};
  }

 private:
  expert_placement(array<index> rank_of, index ranks)
      : rank_of_(std::move(rank_of)), offsets_(ranks + 1), experts_(rank_of_.size()) {}

  static array<index> checked(index experts, index ranks) {
    if (experts < 1 || ranks < 1)
      refuse("expert_placement: there are ", experts, " experts and ", ranks, " ranks, both must be at least 1");
    return array<index>(experts);
  }

  void list() {
    index next = 0;
    for (index r = 0; r < ranks(); ++r) {
      for (index e = 0; e < experts(); ++e)
        if (rank_of_[e] == r) experts_[next++] = e;
      offsets_[r + 1] = next;
    }
  }

  array<index> rank_of_;  // (experts)
  array<index> offsets_;  // (ranks + 1)
  array<index> experts_;  // (experts), by rank
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
