// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints of a run: parameters, moments, how far it was, how long its log was.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace specialise {

namespace hg = headgate;
using hg::index;

/// How far a run was.
struct progress_mark {
  index step = 0;
  std::uintmax_t log_bytes = 0;
  double seconds = 0;
  std::string run;  // its description: a checkpoint of another run is refused
};

/// A matrix of the state, in the trainer's memory.
struct state_matrix {
  std::string name;
  hg::view<float> values;  // without gaps
};

/// Writes a safetensors file whose metadata hold the mark and a checksum over all bytes of the file (its own digits read as
/// zeros). The file that was there becomes `path`.previous. A cut at any moment, of power too (`replacing_file`), leaves one of
/// the two whole.
void save_checkpoint(const std::filesystem::path& path, const std::vector<state_matrix>& state,
                     const progress_mark& mark);

/// A checkpoint whose bytes are not those that were written.
struct damaged_checkpoint : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Fills the state and returns the mark. Refuses a file with another checksum or none (damaged_checkpoint), one of another run
/// (std::invalid_argument), and, whole as they are, one of other tensors, of a log that was longer, and one that cannot be read
/// (std::runtime_error); then the state is as before.
[[nodiscard]] progress_mark load_checkpoint(const std::filesystem::path& path, std::vector<state_matrix>& state,
                                            const std::string& run, const std::filesystem::path& log);

/// The name of the checkpoint before the last.
[[nodiscard]] std::filesystem::path previous_of(std::filesystem::path path);

}  // namespace specialise
