// SPDX-License-Identifier: BSD-3-Clause
// A record of float for a loss of double, which shows what sums of float lose.
#pragma once

#include <headgate/core/scratch.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>

namespace headgate_test {

/// The same numbers in double.
inline headgate::routing<double> widened(const headgate::routing<float>& r) {
  headgate::routing<double> wide;
  wide.reset(r.tokens, r.experts);
  wide.scores_are = r.scores_are;
  for (const auto& a : r.assignments) wide.assignments.push_back({a.token, a.expert, static_cast<double>(a.weight)});
  const auto widen = [](const headgate::scratch<float>& from, headgate::scratch<double>& to) {
    std::copy_n(from.data(), from.size(), to.resize(from.rows(), from.cols()).data);
  };
  widen(r.logits, wide.logits);
  widen(r.scores, wide.scores);
  widen(r.clean_logits, wide.clean_logits);
  widen(r.noise_scale, wide.noise_scale);
  return wide;
}

}  // namespace headgate_test
