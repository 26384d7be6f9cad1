// SPDX-License-Identifier: BSD-3-Clause
// Several ranks compute what one does, to rounding.
#include "runs.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <vector>

namespace specialise {

void ranks() {
  const text data = small_text(16);
  for (const char* pool : {"micro", "4x", "global", "shuffled"}) {
    std::vector<nlohmann::json> of_one;
    for (const index count : {1, 2, 4}) {
      settings how = small_settings();
      how.steps = 6;
      how.pool = parse_pool(pool, how.micro_batches());
      const folder out("specialise-ranks");
      train(how, data, out, count, {});
      std::ifstream file(log_path(out, run_name(how, count)));
      std::size_t line_number = 0;
      for (std::string line; std::getline(file, line);) {
        const auto said = nlohmann::json::parse(line);
        if (!said.contains("step")) continue;
        if (count == 1) {
          of_one.push_back(said);
          continue;
        }
        const auto& expected = of_one.at(line_number++);
        for (const char* key : {"/train_bpb", "/balance/0", "/balance/1", "/micro_balance/0", "/micro_balance/1"}) {
          const nlohmann::json::json_pointer at(key);
          const double found = said.at(at).get<double>(), one = expected.at(at).get<double>();
          require(std::abs(found - one) < 1e-4, pool, " on ", count, " ranks: ", key, " of step ",
                  said.at("step").get<index>(), " is ", found, ", on one rank ", one);
        }
      }
    }
    require(of_one.size() == 3, "there are ", of_one.size(), " steps in the log, expected 3");
  }
  settings how = small_settings();
  how.pool = parse_pool("2x", how.micro_batches());
  std::string sentence;
  try {
    check(how, 4);
  } catch (const std::invalid_argument& error) {
    sentence = error.what();
  }
  require(sentence == "a pool of 2 micro-batches cannot be dealt to 4 ranks evenly", "it says '", sentence, "'");
}

}  // namespace specialise
