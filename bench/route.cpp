// SPDX-License-Identifier: BSD-3-Clause
// Routing from ready logits: softmax, top-k, renormalise, group by expert. 4096 tokens, one thread.
#include <headgate/gates/gate.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/weigh/renormalised.hpp>
#include <headgate/routing/plan.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

constexpr hg::index tokens = 4096;

void report(benchmark::State& state) {
  state.counters["ns/token"] = benchmark::Counter(
      static_cast<double>(tokens) * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

/// What a layer runs after its router's product: the gate's stages and the dispatch plan.
void ours(benchmark::State& state, hg::index experts, hg::index k) {
  using gate = hg::gate<hg::linear_head<float>, hg::softmax, hg::top_k<>, hg::renormalised>;
  const gate g{.head = {.model = 1, .experts = experts}, .score = {}, .select = {.k = k}, .weigh = {}};
  const gate::params p{};
  const hg::matrix<float> x(tokens, 1), z = some_matrix<float>(tokens, experts);
  gate::cache cache;
  hg::routing<float> r;
  hg::dispatch_plan plan;
  hg::scratch<float> memory;
  r.reset(tokens, experts);
  std::copy_n(z.data(), z.size(), r.logits.resize(tokens, experts).data);
  for (auto _ : state) {
    g.route_logits(p, x, r, cache, hg::pass<float>{hg::run_sequentially, memory});
    plan.make(r, {});
    benchmark::ClobberMemory();
  }
  report(state);
}

/// What a competent user writes with the standard library.
void naive(benchmark::State& state, hg::index experts, hg::index k) {
  struct sent {
    hg::index token;
    float weight;
  };
  const hg::matrix<float> z = some_matrix<float>(tokens, experts);
  hg::matrix<float> scores(tokens, experts);
  std::vector<hg::index> ids(static_cast<std::size_t>(experts));
  std::vector<std::vector<sent>> of_expert(static_cast<std::size_t>(experts));
  for (auto _ : state) {
    for (auto& list : of_expert) list.clear();
    for (hg::index t = 0; t < tokens; ++t) {
      const float* const logits = z.row(t).data();
      float* const s = scores.row(t).data();
      const float largest = *std::max_element(logits, logits + experts);
      float sum = 0;
      for (hg::index e = 0; e < experts; ++e) sum += s[e] = std::exp(logits[e] - largest);
      for (hg::index e = 0; e < experts; ++e) s[e] /= sum;
      std::iota(ids.begin(), ids.end(), 0);
      std::partial_sort(ids.begin(), ids.begin() + k, ids.end(),
                        [s](hg::index a, hg::index b) { return s[a] > s[b] || (s[a] == s[b] && a < b); });
      float total = 0;
      for (hg::index i = 0; i < k; ++i) total += s[ids[static_cast<std::size_t>(i)]];
      for (hg::index i = 0; i < k; ++i) {
        const auto e = ids[static_cast<std::size_t>(i)];
        of_expert[static_cast<std::size_t>(e)].push_back({t, s[e] / total});
      }
    }
    benchmark::ClobberMemory();
  }
  report(state);
}

const int registered = [] {
  for (const auto& [experts, k] : {std::pair{hg::index{8}, hg::index{2}}, {64, 8}, {256, 8}}) {
    const std::string name = "route/E:" + std::to_string(experts) + "/k:" + std::to_string(k);
    benchmark::RegisterBenchmark((name + "/headgate").c_str(), ours, experts, k);
    benchmark::RegisterBenchmark((name + "/naive").c_str(), naive, experts, k);
  }
  return 0;
}();

}  // namespace
