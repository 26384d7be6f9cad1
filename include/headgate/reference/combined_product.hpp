// SPDX-License-Identifier: BSD-3-Clause
// Products of several experts added to one output in plain loops: what kernels/combined_product.hpp must compute.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// One expert's share of y: row i of x w' [+ bias], of `count` rows, goes to row rows[i] of y (row i if null) with weight
/// weights[i]. A null list of weights means that the row is not added but written.
template <class T>
struct combined_term {
  index count = 0;
  view<const T> x;                ///< (rows x inputs)
  const index* x_rows = nullptr;  ///< row i comes from row x_rows[i] of x, or from row i if null
  view<const T> w;                ///< (outputs x inputs)
  const T* bias = nullptr;        ///< (1 x outputs) or null
  const index* rows = nullptr;
  const T* weights = nullptr;
};

/// y_t = sum over the terms, in order, and their rows i with rows[i] = t, of weights[i] * (x w' [+ bias])_i
///
/// y (tokens x outputs); a first term without weights is where the sum starts, else it starts at zero.
template <class T>
void combined_product(std::span<const combined_term<T>> terms, view<T> y) {
  if (terms.empty() || terms.front().weights)
    for (index t = 0; t < y.rows; ++t)
      for (index c = 0; c < y.cols; ++c) y(t, c) = 0;
  for (const combined_term<T>& term : terms)
    for (index i = 0; i < term.count; ++i)
      for (index c = 0; c < y.cols; ++c) {
        T sum = term.bias ? term.bias[c] : T{0};
        for (index l = 0; l < term.w.cols; ++l) sum += term.x(term.x_rows ? term.x_rows[i] : i, l) * term.w(c, l);
        T& to = y(term.rows ? term.rows[i] : i, c);
        to = term.weights ? to + term.weights[i] * sum : sum;
      }
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
