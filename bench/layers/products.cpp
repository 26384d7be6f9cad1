// SPDX-License-Identifier: BSD-3-Clause
#include "layers/products.hpp"

#if HEADGATE_BENCH_OPENBLAS
#include <cblas.h>

namespace headgate_bench {

void openblas_products::use_threads(hg::index threads) { openblas_set_num_threads(static_cast<int>(threads)); }

void openblas_products::times_transposed(hg::in<float> x, const hg::weights<float>& w, hg::out<float> y) {
  const auto rows = static_cast<blasint>(x.rows());
  const auto inputs = static_cast<blasint>(w.cols());
  const auto outputs = static_cast<blasint>(w.rows());
  if (rows == 1)
    cblas_sgemv(CblasRowMajor, CblasNoTrans, outputs, inputs, 1, w.data(), inputs, x.data(), 1, 0, y.data(), 1);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, outputs, inputs, 1, x.data(),
                static_cast<blasint>(x.outerStride()), w.data(), inputs, 0, y.data(),
                static_cast<blasint>(y.outerStride()));
}

std::string openblas_products::version() {
  return std::string(openblas_get_config()) + ", running as " + openblas_get_corename();
}

}  // namespace headgate_bench
#endif

#if HEADGATE_BENCH_ONEDNN
#include <headgate/core/error.hpp>

#include <dnnl.h>
#include <omp.h>

#include <cstdlib>

namespace headgate_bench {

namespace {

/// oneDNN takes the widest instructions the processor has; all lines of a picture have the peak of one instruction set,
/// so it is held to that of this build, unless its own variable says otherwise.
void hold_to_our_instructions() {
  static const bool done = [] {
    if (std::getenv("ONEDNN_MAX_CPU_ISA") || std::getenv("DNNL_MAX_CPU_ISA")) return true;
#if defined(__AVX512F__)
    return true;
#elif defined(__AVX2__)
    return dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2) == dnnl_success;
#else
    return dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41) == dnnl_success;
#endif
  }();
  static_cast<void>(done);
}

}  // namespace

void onednn_products::use_threads(hg::index threads) {
  hold_to_our_instructions();
  omp_set_num_threads(static_cast<int>(threads));
}

void onednn_products::times_transposed(hg::in<float> x, const hg::weights<float>& w, hg::out<float> y) {
  if (dnnl_sgemm('N', 'T', x.rows(), w.rows(), w.cols(), 1, x.data(), x.outerStride(), w.data(), w.cols(), 0, y.data(),
                 y.outerStride()) != dnnl_success)
    hg::refuse("dnnl_sgemm refuses ", x.rows(), " x ", w.cols(), " times ", w.cols(), " x ", w.rows());
}

std::string onednn_products::version() {
  hold_to_our_instructions();
  const dnnl_version_t* const v = dnnl_version();
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  const char* const name = isa == dnnl_cpu_isa_sse41 ? "SSE4.1" : isa == dnnl_cpu_isa_avx2 ? "AVX2" : "another one";
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) +
         ", instruction set " + (isa > dnnl_cpu_isa_avx2 ? "beyond AVX2" : name);
}

}  // namespace headgate_bench
#endif
