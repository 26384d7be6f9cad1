// SPDX-License-Identifier: BSD-3-Clause
// What the checks train on, and how.
#include "checks.hpp"

#include <headgate/core/random.hpp>

#include <string>
#include <utility>
#include <vector>

namespace specialise {

text small_text(index sequence) {
  std::vector<domain> domains;
  for (index d = 0; d < 3; ++d) {
    std::string bytes;
    for (index i = 0; i < 40 * 1024; ++i) {
      const double u = hg::uniform({17, 0}, d, i);
      bytes.push_back(static_cast<char>('a' + 8 * d + static_cast<index>(8 * u * u)));
    }
    domains.push_back({std::string(1, static_cast<char>('a' + d)), std::move(bytes)});
  }
  return {std::move(domains), sequence};
}

settings small_settings() {
  settings how;
  how.sizes = {.layers = 2, .experts = 6, .k = 2, .model = 8, .hidden = 8, .taps = 3, .sequence = 16};
  how.batch = 16;
  how.micro = 1;
  how.chunk = 4;
  how.steps = 12;
  how.log_every = 2;
  how.validate_every = 6;
  how.checkpoint_every = 5;
  how.validation_sequences = 12;
  return how;
}

}  // namespace specialise
