// SPDX-License-Identifier: BSD-3-Clause
// The weighted sum of each token's two slots, 512 tokens, slots in expert order. One item is one token.
#include <headgate/kernels/combine.hpp>
#include <headgate/reference/combine.hpp>

#include <vector>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

constexpr hg::index tokens = 512;
constexpr hg::index k = 2;

struct slots_of_tokens {
  std::vector<hg::index> offsets, slots;
  std::vector<float> weights;
};

template <class Combine>
void run(benchmark::State& state, Combine combine) {
  const auto rows = some_matrix<float>(k * tokens, state.range(0));
  hg::matrix<float> y(tokens, rows.cols());
  slots_of_tokens at;
  for (hg::index t = 0; t <= tokens; ++t) at.offsets.push_back(k * t);
  for (hg::index i = 0; i < rows.rows(); ++i) {
    at.slots.push_back(i * 197 % rows.rows());  // 197 is prime: each slot once, far apart
    at.weights.push_back(0.5F);
  }
  for (auto _ : state) {
    combine(rows, at, y);
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, tokens, (rows.size() + y.size()) * static_cast<hg::index>(sizeof(float)));
}

void combine_kernel(benchmark::State& state) {
  run(state, [](const auto& rows, const slots_of_tokens& at, auto& y) {
    hg::kernels::combine_rows(hg::view_of(rows), at.offsets.data(), at.slots.data(), at.weights.data(), hg::view_of(y),
                              0, tokens, false);
  });
}
void combine_eigen(benchmark::State& state) {
  run(state, [](const auto& rows, const slots_of_tokens& at, auto& y) {
    for (hg::index t = 0; t < tokens; ++t) {
      y.row(t).setZero();
      for (hg::index i = k * t; i < k * (t + 1); ++i) {
        const hg::index slot = at.slots[static_cast<std::size_t>(i)];
        y.row(t) += at.weights[static_cast<std::size_t>(slot)] * rows.row(slot);
      }
    }
  });
}
void combine_reference(benchmark::State& state) {
  run(state, [](const auto& rows, const slots_of_tokens& at, auto& y) {
    hg::reference::combine_rows(hg::view_of(rows), at.offsets.data(), at.slots.data(), at.weights.data(),
                                hg::view_of(y), 0, tokens, false);
  });
}

void sizes(benchmark::internal::Benchmark* bench) { bench->ArgName("cols")->Arg(20)->Arg(64)->Arg(512)->Arg(4096); }
BENCHMARK(combine_kernel)->Apply(sizes);
BENCHMARK(combine_eigen)->Apply(sizes);
BENCHMARK(combine_reference)->Apply(sizes);

}  // namespace
