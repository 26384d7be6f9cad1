// SPDX-License-Identifier: BSD-3-Clause
// The inner part of a SwiGLU expert, h = silu(u) * v, and its backward. Eight rows stay in cache, 4096 do not.
#include <headgate/activations/silu.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/reference/elementwise.hpp>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

template <class Glu>
void run(benchmark::State& state, Glu glu) {
  const auto u = some_matrix<float>(state.range(0), state.range(1));
  const auto v = some_matrix<float>(state.range(0), state.range(1));
  hg::matrix<float> h(u.rows(), u.cols());
  for (auto _ : state) {
    glu(u, v, h);
    benchmark::DoNotOptimize(h.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, u.rows(), 3 * u.size() * static_cast<hg::index>(sizeof(float)));
}

void glu_kernel(benchmark::State& state) {
  run(state, [](const auto& u, const auto& v, auto& h) {
    hg::kernels::glu(hg::view_of(u), hg::view_of(v), hg::view_of(h), hg::silu{});
  });
}
void glu_eigen(benchmark::State& state) {
  run(state, [](const auto& u, const auto& v, auto& h) { h = u.array() / (1.0f + (-u.array()).exp()) * v.array(); });
}
void glu_reference(benchmark::State& state) {
  run(state, [](const auto& u, const auto& v, auto& h) {
    hg::reference::glu(hg::view_of(u), hg::view_of(v), hg::view_of(h), hg::silu{});
  });
}

template <class Backward>
void run_backward(benchmark::State& state, Backward backward) {
  const auto u = some_matrix<float>(state.range(0), state.range(1));
  const auto v = some_matrix<float>(state.range(0), state.range(1));
  const auto dh = some_matrix<float>(state.range(0), state.range(1));
  hg::matrix<float> du(u.rows(), u.cols()), dv(u.rows(), u.cols());
  for (auto _ : state) {
    backward(u, v, dh, du, dv);
    benchmark::DoNotOptimize(du.data());
    benchmark::DoNotOptimize(dv.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, u.rows(), 5 * u.size() * static_cast<hg::index>(sizeof(float)));
}

void glu_backward_kernel(benchmark::State& state) {
  run_backward(state, [](const auto& u, const auto& v, const auto& dh, auto& du, auto& dv) {
    hg::kernels::glu_backward(hg::view_of(u), hg::view_of(v), hg::view_of(dh), hg::view_of(du), hg::view_of(dv),
                              hg::silu{});
  });
}
void glu_backward_eigen(benchmark::State& state) {
  run_backward(state, [](const auto& u, const auto& v, const auto& dh, auto& du, auto& dv) {
    for (hg::index r = 0; r < u.rows(); ++r) {  // row by row, so that the logistic function s is computed once
      dv.row(r) = 1.0f / (1.0f + (-u.row(r).array()).exp());
      const auto s = dv.row(r).array();
      du.row(r) = dh.row(r).array() * v.row(r).array() * s * (1.0f + u.row(r).array() * (1.0f - s));
      dv.row(r).array() *= dh.row(r).array() * u.row(r).array();
    }
  });
}
void glu_backward_reference(benchmark::State& state) {
  run_backward(state, [](const auto& u, const auto& v, const auto& dh, auto& du, auto& dv) {
    hg::reference::glu_backward(hg::view_of(u), hg::view_of(v), hg::view_of(dh), hg::view_of(du), hg::view_of(dv),
                                hg::silu{});
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "cols"})->Args({8, 1024})->Args({8, 1020})->Args({4096, 4096});
}
BENCHMARK(glu_kernel)->Apply(sizes);
BENCHMARK(glu_eigen)->Apply(sizes);
BENCHMARK(glu_reference)->Apply(sizes);
BENCHMARK(glu_backward_kernel)->Apply(sizes);
BENCHMARK(glu_backward_eigen)->Apply(sizes);
BENCHMARK(glu_backward_reference)->Apply(sizes);

}  // namespace
