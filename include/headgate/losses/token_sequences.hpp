// SPDX-License-Identifier: BSD-3-Clause
// How a batch is cut into sequences.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The sequences of a batch as losses read them, one after another: all of one length, or given by offsets (sequences + 1)
/// from 0 to the number of tokens, as variable-length attention takes them. Looks at the caller's offsets, which must outlive
/// it.
class token_sequences {
 public:
  /// The whole batch as one sequence.
  explicit token_sequences(index batch) : length_(batch), count_(1) {}

  /// Exactly one of the two is given: a length above 0 that divides the batch, or offsets.
  token_sequences(const char* owner, index length, std::span<const index> offsets, index batch)
      : offsets_(offsets), length_(length) {
    if (offsets.empty()) {
      if (length <= 0) refuse(owner, ": the sequences have neither a length above 0 (it is ", length, ") nor offsets");
      if (batch % length != 0) refuse(owner, ": the batch has ", batch, " tokens, no multiple of the length ", length);
      count_ = batch / length;
      return;
    }
    if (length != 0) refuse(owner, ": the sequences have a length (", length, ") and offsets, give one of them");
    if (offsets.front() != 0 || offsets.back() != batch)
      refuse(owner, ": the offsets go from ", offsets.front(), " to ", offsets.back(), ", the tokens from 0 to ",
             batch);
    for (std::size_t i = 1; i < offsets.size(); ++i)
      if (offsets[i] < offsets[i - 1])
        refuse(owner, ": the offsets fall from ", offsets[i - 1], " to ", offsets[i], ", they must ascend");
    count_ = static_cast<index>(offsets.size()) - 1;
  }

  [[nodiscard]] index count() const { return count_; }
  /// The tokens of a sequence: begin <= token < end.
  [[nodiscard]] index begin(index sequence) const {
    return offsets_.empty() ? sequence * length_ : offsets_[static_cast<std::size_t>(sequence)];
  }
  [[nodiscard]] index end(index sequence) const {
    return offsets_.empty() ? (sequence + 1) * length_ : offsets_[static_cast<std::size_t>(sequence) + 1];
  }
  /// The sequence of a token.
  [[nodiscard]] index of(index token) const {
    if (offsets_.empty()) return token / length_;
    return std::upper_bound(offsets_.begin(), offsets_.end(), token) - offsets_.begin() - 1;
  }

 private:
  std::span<const index> offsets_;
  index length_ = 0;
  index count_ = 0;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
