// SPDX-License-Identifier: BSD-3-Clause
// Which tokens of a batch a loss looks at.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A padding mask as losses read it: true = the token counts; an empty mask = all count. Looks at the caller's mask,
/// which must outlive it. A token that does not count is as good as absent: a loss has the same value and the same
/// gradient as on the batch without it.
class token_mask {
 public:
  token_mask(const char* owner, std::span<const bool> mask, index batch) : mask_(mask), counting_(batch) {
    if (mask.empty()) return;
    const auto length = static_cast<index>(mask.size());
    if (length != batch) refuse(owner, ": the mask has ", length, " entries, the batch has ", batch, " tokens");
    counting_ = 0;
    for (const bool counts : mask) counting_ += counts ? 1 : 0;
  }

  [[nodiscard]] bool operator()(index token) const { return mask_.empty() || mask_[static_cast<std::size_t>(token)]; }
  /// How many tokens count.
  [[nodiscard]] index counting() const { return counting_; }

 private:
  std::span<const bool> mask_;
  index counting_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
