// SPDX-License-Identifier: BSD-3-Clause
// The text: one file a domain, cut into training and validation.
#pragma once

#include "settings.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace specialise {

/// One domain's bytes. The eighth of each 16 blocks of 4096 bytes is validation.
struct domain {
  std::string name;
  std::string bytes;
};

/// Where a sequence stands: its inputs are `sequence` bytes from `at`, its targets the same one byte further on.
struct place {
  index domain = 0;
  index at = 0;
};

class text {
 public:
  /// Takes the domains in this order. Refuses one without a training and a validation sequence.
  text(std::vector<domain> domains, index sequence);

  [[nodiscard]] const std::vector<domain>& domains() const { return domains_; }
  [[nodiscard]] index count() const { return static_cast<index>(domains_.size()); }
  [[nodiscard]] index sequence() const { return sequence_; }
  [[nodiscard]] index training_bytes() const { return training_bytes_; }
  [[nodiscard]] index validation_bytes() const { return validation_bytes_; }

  /// Sequence `number` of step `step`: a domain, all equally likely, and a place in its training part, drawn from (seed, step,
  /// number) and nothing else: every pool, rank and resumed run sees the same text.
  [[nodiscard]] place training(std::uint64_t seed, index step, index number) const;

  /// The validation sequences of a domain, side by side in each block: all for 0, else `most` of them, evenly spread.
  [[nodiscard]] std::vector<place> validation(index domain, index most) const;

  /// Writes the bytes of a sequence and those that follow each, both (sequence).
  void read(const place& from, index* bytes, index* next) const;

  /// Hexadecimal digits that tell this text from another (FNV-1a of names and bytes).
  [[nodiscard]] std::string checksum() const;

 private:
  struct run {  // between two validation blocks
    index first = 0;
    index starts = 0;  // how many sequences may start in it
  };

  std::vector<domain> domains_;
  index sequence_;
  std::vector<std::vector<run>> runs_;  // by domain
  std::vector<index> starts_;           // by domain, in all its runs
  index training_bytes_ = 0;
  index validation_bytes_ = 0;
};

/// Reads DIR/<domain>.txt, sorted by name. Throws std::runtime_error with the folder or the file.
[[nodiscard]] text read_domains(const std::filesystem::path& folder, index sequence);

}  // namespace specialise
