// SPDX-License-Identifier: BSD-3-Clause
// Softmax of a batch's router logits: 512 tokens, as many columns as experts. One item is one token.
#include <headgate/kernels/softmax.hpp>
#include <headgate/reference/softmax.hpp>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

constexpr hg::index tokens = 512;

template <class T, class Softmax>
void run(benchmark::State& state, Softmax softmax) {
  const hg::matrix<T> z = some_matrix<T>(tokens, state.range(0));
  hg::matrix<T> p(z.rows(), z.cols());
  for (auto _ : state) {
    softmax(z, p);
    benchmark::DoNotOptimize(p.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, tokens, 2 * z.size() * static_cast<hg::index>(sizeof(T)));
}

template <class T>
void softmax_kernel(benchmark::State& state) {
  run<T>(state, [](const auto& z, auto& p) { hg::kernels::softmax_rows(hg::view_of(z), hg::view_of(p)); });
}
template <class T>
void softmax_reference(benchmark::State& state) {
  run<T>(state, [](const auto& z, auto& p) { hg::reference::softmax_rows(hg::view_of(z), hg::view_of(p)); });
}
template <class T>
void softmax_eigen(benchmark::State& state) {
  run<T>(state, [](const auto& z, auto& p) {
    for (hg::index r = 0; r < z.rows(); ++r) {
      p.row(r) = (z.row(r).array() - z.row(r).maxCoeff()).exp();
      p.row(r) /= p.row(r).sum();
    }
  });
}

void sizes(benchmark::internal::Benchmark* bench) { bench->ArgName("experts")->Arg(8)->Arg(20)->Arg(64)->Arg(256); }
BENCHMARK(softmax_kernel<float>)->Apply(sizes);
BENCHMARK(softmax_eigen<float>)->Apply(sizes);
BENCHMARK(softmax_reference<float>)->Apply(sizes);
BENCHMARK(softmax_kernel<double>)->Apply(sizes);
BENCHMARK(softmax_eigen<double>)->Apply(sizes);
BENCHMARK(softmax_reference<double>)->Apply(sizes);

}  // namespace
