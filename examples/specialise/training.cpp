// SPDX-License-Identifier: BSD-3-Clause
#include "training.hpp"

#include <headgate/communicators/single_rank.hpp>

namespace specialise {

std::filesystem::path log_path(const std::filesystem::path& out, const std::string& name) {
  return out / (name + ".jsonl");
}

std::filesystem::path checkpoint_path(const std::filesystem::path& out, const std::string& name) {
  return out / (name + ".checkpoint");
}

resumption find_checkpoint(const std::filesystem::path& path, const std::filesystem::path& log,
                           std::vector<state_matrix>& state, const std::string& run) {
  resumption found;
  for (const std::filesystem::path& one : {path, previous_of(path)}) {
    std::error_code error;
    if (!std::filesystem::exists(one, error)) continue;
    try {
      found.mark = load_checkpoint(one, state, run);
      found.from = one.string();
      return found;
    } catch (const std::runtime_error& reason) {
      found.refused.push_back(reason.what());
    }
  }
  static_cast<void>(log);
  return found;
}

}  // namespace specialise
