// SPDX-License-Identifier: BSD-3-Clause
// The rows of 512 tokens collected into expert order, each twice. One item is one collected row.
#include <headgate/kernels/gather_rows.hpp>
#include <headgate/reference/gather_rows.hpp>

#include <vector>

#include "rows.hpp"

using namespace headgate_bench;

namespace {

constexpr hg::index tokens = 512;

template <class Gather>
void run(benchmark::State& state, Gather gather) {
  const auto x = some_matrix<float>(tokens, state.range(0));
  hg::matrix<float> y(2 * tokens, x.cols());
  std::vector<hg::index> ids;
  for (hg::index i = 0; i < y.rows(); ++i) ids.push_back(i * 197 % tokens);  // 197 is prime: each token, far apart
  for (auto _ : state) {
    gather(x, ids, y);
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  count_rows(state, y.rows(), 2 * y.size() * static_cast<hg::index>(sizeof(float)));
}

void gather_kernel(benchmark::State& state) {
  run(state, [](const auto& x, const auto& ids, auto& y) {
    hg::kernels::gather_rows(hg::view_of(x), ids.data(), hg::view_of(y));
  });
}
void gather_eigen(benchmark::State& state) {
  run(state, [](const auto& x, const auto& ids, auto& y) { y = x(ids, Eigen::all); });
}
void gather_reference(benchmark::State& state) {
  run(state, [](const auto& x, const auto& ids, auto& y) {
    hg::reference::gather_rows(hg::view_of(x), ids.data(), hg::view_of(y));
  });
}

void sizes(benchmark::internal::Benchmark* bench) { bench->ArgName("cols")->Arg(20)->Arg(64)->Arg(512)->Arg(4096); }
BENCHMARK(gather_kernel)->Apply(sizes);
BENCHMARK(gather_eigen)->Apply(sizes);
BENCHMARK(gather_reference)->Apply(sizes);

}  // namespace
