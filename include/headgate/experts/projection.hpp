// SPDX-License-Identifier: BSD-3-Clause
// One weight matrix of every expert, applied to all slots at once: the step that experts are made of.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/column_sums.hpp>
#include <headgate/kernels/gemm.hpp>
#include <headgate/routing/groups.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y_s = x_row(s) w' [+ b] for every slot s with the matrix w of its expert. Keeps the list of products, so that later
/// passes do not allocate. `Params` is an expert's params; weight and bias name its members, and an empty bias is none.
template <class T, class Params>
class projection {
 public:
  using member = matrix<T> Params::*;

  template <class Pass, class Epilogue = kernels::no_epilogue>
  void forward(std::span<const Params> p, const row_groups& g, view<const T> x, member weight, member bias, view<T> y,
               const Pass& pass, const Epilogue& epilogue = {}) {
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e) products_[e] = {one(p, g, x, weight, bias, y, e)};
    kernels::grouped_product(products_, pass.executor, pass.working_memory, epilogue);
  }

  /// dx_s = dy_s w, or added to dx_s.
  template <class Pass, class Epilogue = kernels::no_epilogue>
  void backward_input(std::span<const Params> p, const row_groups& g, view<const T> dy, member weight, view<T> dx,
                      const Pass& pass, bool accumulate = false, const Epilogue& epilogue = {}) {
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e)
      products_[e] = {
          kernels::times(g.slice(dy, e), view_of(p[static_cast<std::size_t>(e)].*weight), g.slice(dx, e), accumulate)};
    kernels::grouped_product(products_, pass.executor, pass.working_memory, epilogue);
  }

  /// dw += dy' x and db += sum of dy over each expert's slots. Nothing where dp is empty.
  template <class Pass>
  void backward_weight(std::span<Params> dp, const row_groups& g, view<const T> dy, view<const T> x, member weight,
                       member bias, const Pass& pass) {
    if (dp.empty()) return;
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e) {
      Params& d = dp[static_cast<std::size_t>(e)];
      products_[e] = {kernels::add_transposed_times(g.slice(dy, e), g.source(x, e), g.rows_of(e), view_of(d.*weight))};
      if ((d.*bias).size() > 0) kernels::add_column_sums(g.slice(dy, e), (d.*bias).data());
    }
    kernels::grouped_product(products_, pass.executor, pass.working_memory);
  }

  /// The product of expert e in `forward`, for experts that compute two projections in one task.
  static kernels::product<T> one(std::span<const Params> p, const row_groups& g, view<const T> x, member weight,
                                 member bias, view<T> y, index e) {
    const Params& of_expert = p[static_cast<std::size_t>(e)];
    const matrix<T>& b = of_expert.*bias;
    return kernels::times_transposed(g.source(x, e), g.rows_of(e), view_of(of_expert.*weight), g.slice(y, e),
                                     b.size() > 0 ? b.data() : nullptr);
  }

 private:
  array<kernels::product_group<T, 1>> products_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
