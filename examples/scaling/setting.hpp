// SPDX-License-Identifier: BSD-3-Clause
// What is asked: the sizes of the layer, the numbers of nodes, and how its tokens choose experts.
#pragma once

#include <headgate/config.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace scaling {

using headgate::index;

/// The defaults are a layer of DeepSeek-V3 (DeepSeek-AI 2024, arXiv:2412.19437, section 4.2).
struct setting {
  index experts = 256;
  index k = 8;
  index model = 7168;
  index hidden = 2048;
  index tokens = 128;  ///< of each node, in one pass
  std::vector<index> nodes{8, 16, 32, 64, 128, 256, 512, 1024};
  double bytes_per_value = 2;
  index limit_nodes = 4;     ///< nodes, or groups, that a token may use
  index groups = 8;          ///< of the limit that does not depend on the nodes
  double zipf = 0.5;         ///< exponent of the skewed popularity of experts
  double correlation = 0.5;  ///< of the logits of one group
  index draws = 32768;       ///< tokens of the simulation
  std::uint64_t seed = 1;
  bool check = false;
  std::string pictures;  ///< folder, or empty
  index measure = 0;     ///< ranks of the real run, 0: none
};

}  // namespace scaling
