// SPDX-License-Identifier: BSD-3-Clause
// The k best experts of each of 512 tokens. One item is one token.
#include <headgate/kernels/topk.hpp>
#include <headgate/reference/topk.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

constexpr hg::index tokens = 512;

template <class Topk>
void run(benchmark::State& state, Topk topk) {
  const hg::index k = state.range(1);
  const hg::matrix<float> s = some_matrix<float>(tokens, state.range(0));
  std::vector<hg::index> ids(static_cast<std::size_t>(tokens * k));
  for (auto _ : state) {
    topk(hg::view_of(s), k, ids.data());
    benchmark::DoNotOptimize(ids.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, tokens, s.size() * static_cast<hg::index>(sizeof(float)));
}

void topk_kernel(benchmark::State& state) {
  run(state, [](auto s, hg::index k, hg::index* ids) { hg::kernels::topk_rows(s, k, ids); });
}
void topk_reference(benchmark::State& state) {
  run(state, [](auto s, hg::index k, hg::index* ids) { hg::reference::topk_rows(s, k, ids); });
}
/// What one writes with the standard library: indices, sorted as far as needed.
void topk_partial_sort(benchmark::State& state) {
  std::vector<hg::index> all(static_cast<std::size_t>(state.range(0)));
  run(state, [&](auto s, hg::index k, hg::index* ids) {
    for (hg::index r = 0; r < s.rows; ++r) {
      std::iota(all.begin(), all.end(), 0);
      std::partial_sort(all.begin(), all.begin() + k, all.end(), [row = s.row(r)](hg::index a, hg::index b) {
        return row[a] > row[b] || (row[a] == row[b] && a < b);
      });
      std::copy_n(all.begin(), k, ids + r * k);
    }
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"experts", "k"})->Args({8, 2})->Args({16, 2})->Args({64, 8})->Args({256, 8})->Args({256, 32});
}
BENCHMARK(topk_kernel)->Apply(sizes);
BENCHMARK(topk_partial_sort)->Apply(sizes);
BENCHMARK(topk_reference)->Apply(sizes);

}  // namespace
