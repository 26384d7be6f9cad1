// SPDX-License-Identifier: BSD-3-Clause
// The forward product of a linear layer, y = x w', on one thread. One item is one row of x.
#include <headgate/kernels/gemm.hpp>
#include <headgate/reference/gemm.hpp>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

template <class Product>
void run(benchmark::State& state, Product product) {
  const auto x = some_matrix<float>(state.range(0), state.range(2));
  const auto w = some_matrix<float>(state.range(1), state.range(2));
  hg::matrix<float> y(x.rows(), w.rows());
  for (auto _ : state) {
    product(x, w, y);
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, x.rows(), (x.size() + w.size() + y.size()) * static_cast<hg::index>(sizeof(float)));
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(x.rows() * w.size()),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

void gemm_kernel(benchmark::State& state) {
  hg::scratch<float> memory;
  run(state, [&](const auto& x, const auto& w, auto& y) {
    hg::kernels::gemm(hg::kernels::times_transposed(hg::view_of(x), nullptr, hg::view_of(w), hg::view_of(y)),
                      hg::run_sequentially, memory);
  });
}
/// Its weight packed beforehand, as inference could.
void gemm_kernel_packed(benchmark::State& state) {
  hg::scratch<float> memory;
  hg::scratch<float> panels;
  run(state, [&](const auto& x, const auto& w, auto& y) {
    if (panels.rows() == 0) {
      panels.resize(1, hg::kernels::packed_size<xsimd::default_arch, float>(w.rows(), w.cols()));
      hg::kernels::pack_panels<xsimd::default_arch>(hg::kernels::of_weight<float>(hg::view_of(w)), panels.data());
    }
    auto p = hg::kernels::times_transposed(hg::view_of(x), nullptr, hg::view_of(w), hg::view_of(y));
    p.panels = panels.data();
    hg::kernels::gemm(p, hg::run_sequentially, memory);
  });
}
void gemm_eigen(benchmark::State& state) {
  run(state, [](const auto& x, const auto& w, auto& y) { y.noalias() = x * w.transpose(); });
}
void gemm_reference(benchmark::State& state) {
  run(state, [](const auto& x, const auto& w, auto& y) {
    hg::reference::times_transposed(hg::view_of(x), nullptr, hg::view_of(w), hg::view_of(y));
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "outputs", "inputs"})->Args({1, 1024, 512})->Args({6, 1024, 512})->Args({128, 1024, 512});
  bench->Args({128, 100, 30});
}
BENCHMARK(gemm_kernel)->Apply(sizes);
BENCHMARK(gemm_kernel_packed)->Apply(sizes);
BENCHMARK(gemm_eigen)->Apply(sizes);
BENCHMARK(gemm_reference)->Apply(sizes);

}  // namespace
