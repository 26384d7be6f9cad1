// SPDX-License-Identifier: BSD-3-Clause
// Which tokens of a batch a loss looks at.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A padding mask as losses read it: true = the token counts; an empty mask = all count. Looks at the caller's mask,
/// which must outlive it. Of a record, those tokens count that count in this mask and in the one of the pass
/// (`steering::mask`, which the record keeps): padding is named once, in the pass. A token that does not count is as good
/// as absent: a loss has the same value and the same gradient as on the batch without it.
class token_mask {
 public:
  token_mask(const char* owner, std::span<const bool> mask, index batch) : mask_(mask), counting_(batch) {
    if (mask.empty()) return;
    const auto length = static_cast<index>(mask.size());
    if (length != batch) refuse(owner, ": the mask has ", length, " entries, the batch has ", batch, " tokens");
    counting_ = count(batch);
  }
  template <class T>
  token_mask(const char* owner, std::span<const bool> mask, const routing<T>& r) : token_mask(owner, mask, r.tokens) {
    if (r.mask.size() == 0) return;
    if (!fit(mask, r))
      refuse(owner, ": the pass's mask has ", r.mask.size(), " entries, the record has ", r.tokens, " tokens");
    of_pass_ = {r.mask.data(), static_cast<std::size_t>(r.mask.size())};
    counting_ = count(r.tokens);
  }

  /// Whether both masks have the length that they must have, else the constructor refuses.
  template <class T>
  [[nodiscard]] static bool fit(std::span<const bool> mask, const routing<T>& r) {
    return (mask.empty() || static_cast<index>(mask.size()) == r.tokens) &&
           (r.mask.size() == 0 || r.mask.size() == r.tokens);
  }

  [[nodiscard]] bool operator()(index token) const { return is_on(mask_, token) && is_on(of_pass_, token); }
  /// How many tokens count.
  [[nodiscard]] index counting() const { return counting_; }

 private:
  static bool is_on(std::span<const bool> mask, index token) {
    return mask.empty() || mask[static_cast<std::size_t>(token)];
  }
  [[nodiscard]] index count(index batch) const {
    index sum = 0;
    for (index t = 0; t < batch; ++t) sum += (*this)(t) ? 1 : 0;
    return sum;
  }

  std::span<const bool> mask_, of_pass_{};
  index counting_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
