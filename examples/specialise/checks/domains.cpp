// SPDX-License-Identifier: BSD-3-Clause
// Training text, validation text and what is drawn.
#include "checks.hpp"

#include <cmath>
#include <map>
#include <vector>

namespace specialise {

void domains() {
  const text data = small_text(16);
  std::map<index, index> by_domain;
  constexpr index draws = 3000;
  for (index i = 0; i < draws; ++i) {
    const place at = data.training(1, i / 16, i % 16);
    ++by_domain[at.domain];
    const index size = static_cast<index>(data.domains()[static_cast<std::size_t>(at.domain)].bytes.size());
    require(at.at >= 0 && at.at + 16 < size, "a training sequence begins at ", at.at, " of ", size);
    for (const index byte : {at.at, at.at + 16})
      require(byte / 4096 % 16 != 7, "a training sequence touches the validation block at ", byte);
  }
  for (const auto& [domain, count] : by_domain)
    require(std::abs(count - draws / 3) < 120, "domain ", domain, " is drawn ", count, " times of ", draws);
  const std::vector<place> held_out = data.validation(1, 0);
  require(held_out.size() == 4095 / 16, "there are ", held_out.size(), " validation sequences, expected 255");
  for (const place& at : held_out)
    require(at.at >= 7 * 4096 && at.at + 16 < 8 * 4096, "a validation sequence begins at ", at.at);
  const std::vector<place> some = data.validation(1, 5);
  require(some.size() == 5, "there are ", some.size(), " validation sequences, expected 5");
  for (std::size_t i = 0; i < some.size(); ++i)
    require(some[i].at == held_out[51 * i].at, "validation sequence ", i, " of 5 begins at ", some[i].at);
  require(data.training_bytes() == 3 * 9 * 4096 && data.validation_bytes() == 3 * 4096, "the parts have ",
          data.training_bytes(), " and ", data.validation_bytes(), " bytes");
}

}  // namespace specialise
