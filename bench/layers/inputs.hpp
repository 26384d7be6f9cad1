// SPDX-License-Identifier: BSD-3-Clause
// Tokens that go where a benchmark wants them, through the real gate.
#pragma once

#include <headgate/core/matrix.hpp>

#include <string>
#include <vector>

#include "layers/shapes.hpp"

namespace headgate_bench {

/// How tokens choose their k experts: all alike, the r-th most popular with a weight of 1 / r, or all tokens the same k.
enum class spread { uniform, zipf, one };

/// What it adds to a benchmark's name; nothing for `uniform`.
[[nodiscard]] std::string suffix_of(spread kind);

struct batch_of_tokens {
  hg::matrix<float> x;      // (tokens x model)
  double active_experts{};  // that at least one token chose
};

/// Batches to take turns with, so that neither caches nor branch predictors learn one routing: up to 61 of few tokens, 3
/// of many. All have the same number of active experts, the median of what such a batch would have, hence the same work.
///
/// The first `experts` features of a token say where it goes: 2 to 3 for the wanted experts, -1 to 1 for the others.
[[nodiscard]] std::vector<batch_of_tokens> make_batches(const shape& s, hg::index tokens, spread kind);

/// A router (experts x model) that reads these features, with a little of everything else.
void fill_router(hg::matrix<float>& weight);

}  // namespace headgate_bench
