// SPDX-License-Identifier: BSD-3-Clause
// Whole layers against the same layer written by hand with Eigen: gather, three products for each expert, scatter.
#include <headgate/headgate.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace hg = headgate;

namespace {

struct shape {
  const char* name;
  hg::index model, hidden, experts, k;
};
constexpr shape shapes[] = {{"small", 512, 1024, 8, 2}, {"tabular", 64, 128, 16, 2}};

using gate = hg::topk_gate<float>;
using expert = hg::swiglu_expert<float>;
using layer = hg::layer<gate, expert>;

layer make_layer(const shape& s) {
  return layer{gate{.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
               expert{.model = s.model, .hidden = s.hidden}, /*seed=*/1};
}

/// Multiply-adds counted twice: three products for each assignment, and the router.
double flops(const shape& s, hg::index tokens) {
  return 2.0 * static_cast<double>(tokens * s.model * (3 * s.hidden * s.k + s.experts));
}

void report(benchmark::State& state, const shape& s, hg::index tokens, double passes) {
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["GFLOP/s"] =
      benchmark::Counter(passes * flops(s, tokens) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void ours(benchmark::State& state, const shape& s, hg::index tokens, hg::index threads) {
  const layer l = make_layer(s);
  const hg::matrix<float> x = hg::matrix<float>::Random(tokens, s.model);
  hg::matrix<float> y;
  const hg::thread_pool pool(threads);
  layer::workspace memory;
  for (auto _ : state) l.forward(pool, x, y, memory);
  report(state, s, tokens, 1);
}

void training(benchmark::State& state, const shape& s, hg::index tokens, hg::index threads) {
  const layer l = make_layer(s);
  const hg::matrix<float> x = hg::matrix<float>::Random(tokens, s.model);
  hg::matrix<float> y;
  hg::matrix<float> dx;
  const hg::thread_pool pool(threads);
  layer::tape tape;
  auto grads = l.zero_gradients();
  for (auto _ : state) {
    l.forward(pool, x, y, tape);
    l.backward(pool, x, y, tape, dx, grads);
  }
  report(state, s, tokens, 3);
}

/// What a competent user writes: the gate and the parameters are the layer's own, the rest is Eigen.
void by_hand(benchmark::State& state, const shape& s, hg::index tokens) {
  const layer l = make_layer(s);
  const hg::matrix<float> x = hg::matrix<float>::Random(tokens, s.model);
  gate::cache cache;
  hg::routing<float> r;
  for (auto _ : state) {
    l.gate().route(l.params().gate, x, r, cache);
    std::vector<std::vector<hg::assignment<float>>> of_expert(static_cast<std::size_t>(s.experts));
    for (const auto& a : r.assignments) of_expert[static_cast<std::size_t>(a.expert)].push_back(a);
    hg::matrix<float> y = hg::matrix<float>::Zero(tokens, s.model);
    for (hg::index e = 0; e < s.experts; ++e) {
      const auto& mine = of_expert[static_cast<std::size_t>(e)];
      const auto& p = l.params().experts[e];
      hg::matrix<float> rows(static_cast<hg::index>(mine.size()), s.model);
      for (std::size_t i = 0; i < mine.size(); ++i) rows.row(static_cast<hg::index>(i)) = x.row(mine[i].token);
      const hg::matrix<float> u = rows * p.gate.transpose();
      const hg::matrix<float> v = rows * p.up.transpose();
      const hg::matrix<float> h = u.array() / (1.0f + (-u.array()).exp()) * v.array();
      const hg::matrix<float> f = h * p.down.transpose();
      for (std::size_t i = 0; i < mine.size(); ++i)
        y.row(mine[i].token) += mine[i].weight * f.row(static_cast<hg::index>(i));
    }
    benchmark::DoNotOptimize(y.data());
  }
  report(state, s, tokens, 1);
}

const int registered = [] {
  for (const shape& s : shapes)
    for (const hg::index tokens : {1, 8, 64, 512}) {
      const std::string tail = std::string(s.name) + "/T:" + std::to_string(tokens) + "/threads:";
      for (const hg::index threads : {1, 2}) {
        const std::string name = tail + std::to_string(threads) + "/headgate";
        benchmark::RegisterBenchmark(("layer/" + name).c_str(), [&s, tokens, threads](auto& state) {
          ours(state, s, tokens, threads);
        })->UseRealTime();
        if (tokens == 512)
          benchmark::RegisterBenchmark(("train/" + name).c_str(), [&s, tokens, threads](auto& state) {
            training(state, s, tokens, threads);
          })->UseRealTime();
      }
      benchmark::RegisterBenchmark(("layer/" + tail + "1/eigen").c_str(), [&s, tokens](auto& state) {
        by_hand(state, s, tokens);
      })->UseRealTime();
    }
  return 0;
}();

}  // namespace
