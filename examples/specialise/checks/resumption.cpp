// SPDX-License-Identifier: BSD-3-Clause
// A run that is killed, at any moment and any number of times, ends as if nobody had disturbed it.
#include "runs.hpp"

#include <cstdio>
#include <utility>

namespace specialise {

void resumption() {
  const text data = small_text(16);
  for (const auto& [pool, ranks] : {std::pair{"micro", 1}, {"shuffled", 1}, {"4x", 2}}) {
    settings how = small_settings();
    how.pool = parse_pool(pool, how.micro_batches());
    const folder whole("specialise-whole"), cut("specialise-cut");
    const std::string name = run_name(how, ranks);
    require(train_in_child(how, data, whole, ranks, {}), "the undisturbed run was killed");
    const std::string expected = comparable_log(log_path(whole, name));
    // Before the first checkpoint, at one, after one, at the last step.
    for (const index step : {1, 4, 5, 6, 9, 10, 11, 12}) {
      require(!train_in_child(how, data, cut, ranks, killed_after(step)), "nothing killed the run at step ", step);
      require(train_in_child(how, data, cut, ranks, {}), "the resumed run was killed");
      same_end(how, log_path(cut, name), expected, hg::sentence("killed after step ", step));
      fs::remove_all(cut);
      fs::create_directories(cut);
    }
    // Again and again.
    for (const index step : {3, 6, 8, 11, 12})
      require(!train_in_child(how, data, cut, ranks, killed_after(step)), "nothing killed the run at step ", step);
    require(train_in_child(how, data, cut, ranks, {}), "the resumed run was killed");
    same_end(how, log_path(cut, name), expected, "killed five times");
  }

  // At any moment, in the middle of a checkpoint too, of which there is one a step. Later kills come later, for a disk that
  // takes longer than the first to hold a checkpoint.
  settings how = small_settings();
  how.checkpoint_every = 1;
  how.steps = 40;
  const folder whole("specialise-whole"), cut("specialise-cut");
  require(train_in_child(how, data, whole, 1, {}), "the undisturbed run was killed");
  const std::string expected = comparable_log(log_path(whole, run_name(how, 1)));
  index kills = 0;
  while (!train_in_child(how, data, cut, 1, {}, 0.004 + 0.002 * static_cast<double>(kills % 23 * (1 + kills / 23))))
    ++kills;
  same_end(how, log_path(cut, run_name(how, 1)), expected, hg::sentence("killed ", kills, " times"));
  std::printf("resumption: killed %td times at any moment\n", kills);
}

}  // namespace specialise
