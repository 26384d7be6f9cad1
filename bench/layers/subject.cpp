// SPDX-License-Identifier: BSD-3-Clause
#include "layers/subject.hpp"

#include <algorithm>
#include <cmath>

#include "layers/inputs.hpp"

namespace headgate_bench {

namespace {

void fill(hg::weights<float>& w, hg::index rows, hg::index cols, std::uint64_t seed) {
  w.resize(rows, cols);
  counter_hash random(seed);
  const float bound =
      std::sqrt(3.0f / static_cast<float>(cols));  // a variance of 1 / inputs, as the library draws them
  for (hg::index i = 0; i < w.size(); ++i) w.data()[i] = random.within(bound);
}

/// Passes through different banks that read twice the last-level cache.
std::size_t banks_for(const shape& s) {
  if (level_of(weight_bytes(s, static_cast<double>(s.experts), 4)) != memory_level::dram) return 1;
  const double active = weight_bytes(s, static_cast<double>(s.k), 4);
  const double most = 4e9 / weight_bytes(s, static_cast<double>(s.experts), 4);  // memory is finite
  return static_cast<std::size_t>(std::max(1.0, std::min(std::ceil(2 * caches().l3 / active), most)));
}

}  // namespace

layer make_layer(const shape& s) {
  using expert = hg::swiglu_expert<float>;
  layer l{hg::topk_gate<float>{.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
          expert{.model = s.model, .hidden = 1}, /*seed=*/1};
  const_cast<expert&>(l.expert()).hidden =
      s.hidden;  // l is ours and not const; its own constructor would draw them all
  fill_router(l.params().gate.head.weight);
  std::uint64_t seed = 0;
  for (auto& p : l.params().experts) {
    fill(p.gate, s.hidden, s.model, ++seed);
    fill(p.up, s.hidden, s.model, ++seed);
    fill(p.down, s.model, s.hidden, ++seed);
  }
  return l;
}

subject::subject(const shape& s) {
  const std::size_t count = banks_for(s);
  banks_.push_back(make_layer(s));
  while (banks_.size() < count) banks_.push_back(banks_.front());
}

}  // namespace headgate_bench
