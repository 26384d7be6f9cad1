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

/// An empty bias is none.
template <class T>
[[nodiscard]] const T* bias_or_null(const matrix<T>& bias) {
  return bias.size() > 0 ? bias.data() : nullptr;
}

/// y_s = x_row(s) w' [+ b] for every slot s with the matrix w of its expert. Keeps the list of products, so that later
/// passes do not allocate. `Params` is an expert's params; weight (`weights<T>` or `matrix<T>`) and bias (`matrix<T>`) name
/// its members, and an empty bias is none.
template <class T, class Params>
class projection {
 public:
  using bias_member = matrix<T> Params::*;

  template <class Weight, class Pass, class... Finish>
  void forward(std::span<const Params> p, const row_groups& g, view<const T> x, Weight Params::*weight,
               bias_member bias, view<T> y, const Pass& pass, const Finish&... finish) {
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e) {
      const Params& of_expert = p[static_cast<std::size_t>(e)];
      products_[e] = {kernels::times_transposed(g.source(x, e), g.rows_of(e), view_of(of_expert.*weight), g.slice(y, e),
                                                bias_of(of_expert, bias))};
    }
    run(products_, pass, finish...);
  }

  /// The pair x w' and x v' with the experts' two matrices w and v: no y, the finish gets both sums.
  template <class Weight, class Pass, class Finish>
  void forward_pair(std::span<const Params> p, const row_groups& g, view<const T> x, Weight Params::*w,
                    bias_member w_bias, Weight Params::*v, bias_member v_bias, const Pass& pass, const Finish& finish) {
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e) {
      const Params& of_expert = p[static_cast<std::size_t>(e)];
      products_[e] = {kernels::pair_times_transposed(g.source(x, e), g.rows_of(e), g.size(e), view_of(of_expert.*w),
                                                     view_of(of_expert.*v), bias_of(of_expert, w_bias),
                                                     bias_of(of_expert, v_bias))};
    }
    run(products_, pass, finish);
  }

  /// dx_s = dy_s w.
  template <class Weight, class Pass, class... Finish>
  void backward_input(std::span<const Params> p, const row_groups& g, view<const T> dy, Weight Params::*weight,
                      view<T> dx, const Pass& pass, const Finish&... finish) {
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e)
      products_[e] = {
          kernels::times(g.slice(dy, e), view_of(p[static_cast<std::size_t>(e)].*weight), g.slice(dx, e), false)};
    run(products_, pass, finish...);
  }

  /// dx_s = dy_s w + dz_s v.
  template <class Weight, class Pass>
  void backward_input_pair(std::span<const Params> p, const row_groups& g, view<const T> dy, Weight Params::*w,
                           view<const T> dz, Weight Params::*v, view<T> dx, const Pass& pass) {
    sums_.resize(g.count);
    for (index e = 0; e < g.count; ++e) {
      const Params& of_expert = p[static_cast<std::size_t>(e)];
      sums_[e] = {kernels::times(g.slice(dy, e), view_of(of_expert.*w), g.slice(dx, e), false),
                  kernels::times(g.slice(dz, e), view_of(of_expert.*v), g.slice(dx, e), true)};
    }
    run(sums_, pass);
  }

  /// dw += dy' x and db += sum of dy over each expert's slots. Nothing where dp is empty.
  template <class Weight, class Pass>
  void backward_weight(std::span<Params> dp, const row_groups& g, view<const T> dy, view<const T> x,
                       Weight Params::*weight, bias_member bias, const Pass& pass) {
    if (dp.empty()) return;
    products_.resize(g.count);
    for (index e = 0; e < g.count; ++e) {
      Params& d = dp[static_cast<std::size_t>(e)];
      products_[e] = {kernels::add_transposed_times(g.slice(dy, e), g.source(x, e), g.rows_of(e), view_of(d.*weight))};
      if ((d.*bias).size() > 0) kernels::add_column_sums(g.slice(dy, e), (d.*bias).data());
    }
    run(products_, pass);
  }

 private:
  static const T* bias_of(const Params& p, bias_member bias) { return bias_or_null(p.*bias); }

  template <std::size_t Parts, class Pass, class... Finish>
  static void run(const array<kernels::product_group<T, Parts>>& groups, const Pass& pass, const Finish&... finish) {
    kernels::grouped_product(std::span<const kernels::product_group<T, Parts>>(groups), pass.executor,
                             pass.working_memory, finish...);
  }

  array<kernels::product_group<T, 1>> products_;
  array<kernels::product_group<T, 2>> sums_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
