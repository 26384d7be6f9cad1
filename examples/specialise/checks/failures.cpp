// SPDX-License-Identifier: BSD-3-Clause
// A run that ends early says so in its log and goes on from there; a run is of one program at a time.
#include "runs.hpp"

#include <cmath>
#include <fstream>
#include <functional>

namespace specialise {

void failures() {
  const text data = small_text(16);
  settings how = small_settings();
  for (const index ranks : {1, 2}) {
    const folder whole("specialise-whole"), cut("specialise-cut");
    const std::string name = run_name(how, ranks);
    train(how, data, whole, ranks, {});
    watcher watch;
    watch.step = [](const run_view& now) {
      if (now.step == 7) throw std::runtime_error("the lamp is out");
    };
    const std::string said = sentence_of([&] { train(how, data, cut, ranks, watch); });
    require(said.find("the lamp is out") != std::string::npos, "it says '", said, "'");
    std::ifstream file(log_path(cut, name));
    std::string last;
    for (std::string line; std::getline(file, line);) last = line;
    require(last.starts_with("{\"refused\":\"after step 7: ") && last.find("the lamp is out") != std::string::npos,
            "the log ends with ", last);
    {
      const run_lock other(log_path(cut, name));
      const std::string locked = sentence_of([&] { train(how, data, cut, ranks, {}); });
      require(locked.find("another program is at this run") != std::string::npos, "it says '", locked, "'");
    }
    train(how, data, cut, ranks, {});
    same_end(how, log_path(cut, name), comparable_log(log_path(whole, name)), "failed after step 7");
  }

  const auto refuses = [&](const auto& change, const std::string& expected) {
    settings other = how;
    change(other);
    const std::string said = sentence_of([&] { check(other, 1); });
    require(said == expected, "it says '", said, "', expected '", expected, "'");
  };
  refuses([](settings& s) { s.rate = std::nan(""); }, "rate is nan, it must be more than 0 and finite");
  refuses([](settings& s) { s.clip = 0; }, "clip is 0, it must be more than 0 and finite");
  refuses([](settings& s) { s.time_out = -1; }, "time-out is -1, it must be more than 0 and finite");
  refuses([](settings& s) { s.weight = 2e6; }, "weight is 2e+06, it must be at least 0 and below 1e+06");
  refuses([](settings& s) { s.weight_decay = -1; }, "weight-decay is -1, it must be at least 0 and finite");
  refuses([](settings& s) { s.sizes.k = 20; }, "k is 20, there are 6 experts");
  refuses([](settings& s) { s.warmup = 1; }, "warmup is 1, which is 12 of 12 steps and leaves none after it");
  refuses([](settings& s) { s.validation_sequences = -1; },
          "validation-sequences is -1, it must be at least 1, or 0 for all");
}

}  // namespace specialise
