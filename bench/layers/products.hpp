// SPDX-License-Identifier: BSD-3-Clause
// The matrix product of an expert as users of Eigen, OpenBLAS and oneDNN write it.
#pragma once

#include <headgate/core/matrix.hpp>
#include <headgate/core/weights.hpp>

#include <string>

namespace headgate_bench {

namespace hg = headgate;

/// y = x w'; x (rows x inputs), w (outputs x inputs), y (rows x outputs). One row is a product with a vector.
struct eigen_products {
  static constexpr const char* name = "eigen";
  static void use_threads(hg::index) {}  // Eigen's own threads need OpenMP, which is off here
  static void times_transposed(hg::in<float> x, const hg::weights<float>& w, hg::out<float> y) {
    if (x.rows() == 1)
      y.row(0).transpose().noalias() = w * x.row(0).transpose();
    else
      y.noalias() = x * w.transpose();
  }
};

#if HEADGATE_BENCH_OPENBLAS
struct openblas_products {
  static constexpr const char* name = "openblas";
  static void use_threads(hg::index threads);
  static void times_transposed(hg::in<float> x, const hg::weights<float>& w, hg::out<float> y);
  [[nodiscard]] static std::string version();  ///< and the processor whose kernels it runs
};
#endif

#if HEADGATE_BENCH_ONEDNN
struct onednn_products {
  static constexpr const char* name = "onednn";
  static void use_threads(hg::index threads);
  static void times_transposed(hg::in<float> x, const hg::weights<float>& w, hg::out<float> y);
  [[nodiscard]] static std::string version();  ///< and the instruction set it runs
};
#endif

}  // namespace headgate_bench
