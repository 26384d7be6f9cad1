// SPDX-License-Identifier: BSD-3-Clause
#include "training.hpp"

#include "rank_training.hpp"

#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>

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
      found.mark = load_checkpoint(one, state, run, log);
      found.from = one.string();
      return found;
    } catch (const damaged_checkpoint& reason) {
      found.refused.push_back(reason.what());
      std::filesystem::remove(one, error);  // or the next save would move it over the one that is whole
    }
  }
  return found;
}

void train(const settings& how, const text& data, const std::filesystem::path& out, index ranks, const watcher& watch) {
  check(how, ranks);
  if (ranks > 1)
    return hg::run_thread_ranks(ranks, {.time_out = how.time_out},
                                [&](auto& rank) { train_rank(how, data, out, rank, watch); });
  hg::single_rank alone;
  train_rank(how, data, out, alone, watch);
}

}  // namespace specialise
