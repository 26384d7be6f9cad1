// SPDX-License-Identifier: BSD-3-Clause
// A whole sparse mixture of experts, token by token (Shazeer et al. 2017, arXiv:1701.06538, eq. 1).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <algorithm>
#include <type_traits>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

namespace detail {
/// Token t's assignments by expert.
template <class Assignments>
auto of_token(const Assignments& assignments, index t) {
  std::vector<std::remove_cvref_t<decltype(*assignments.begin())>> mine;
  for (const auto& a : assignments)
    if (a.token == t) mine.push_back(a);
  std::stable_sort(mine.begin(), mine.end(), [](const auto& a, const auto& b) { return a.expert < b.expert; });
  return mine;
}
}  // namespace detail

/// y_t = sum over the experts e of token t of g_te E_e(x_t), with x (tokens x inputs) and y (tokens x outputs).
///
/// `assignments` is a range of {token, expert, weight}, as in a routing record; those of one token are added by ascending
/// expert, those of one expert in the order in which they stand. `expert(e, x_row, y_row)` writes E_e(x_row) to y_row. A
/// token without an assignment gets zeros.
template <class T, class Assignments, class Expert>
void moe(read_view<T> x, const Assignments& assignments, view<T> y, const Expert& expert) {
  std::vector<T> answer(static_cast<std::size_t>(y.cols));
  for (index t = 0; t < y.rows; ++t) {
    for (index c = 0; c < y.cols; ++c) y(t, c) = 0;
    for (const auto& a : detail::of_token(assignments, t)) {
      expert(a.expert, x.row(t), answer.data());
      for (index c = 0; c < y.cols; ++c) y(t, c) += a.weight * answer[static_cast<std::size_t>(c)];
    }
  }
}

/// The same with the weight on the expert's input (Llama 4): y_t = sum over e of E_e(g_te x_t).
template <class T, class Assignments, class Expert>
void moe_with_weighted_inputs(read_view<T> x, const Assignments& assignments, view<T> y, const Expert& expert) {
  std::vector<T> weighted(static_cast<std::size_t>(x.cols));
  std::vector<T> answer(static_cast<std::size_t>(y.cols));
  for (index t = 0; t < y.rows; ++t) {
    for (index c = 0; c < y.cols; ++c) y(t, c) = 0;
    for (const auto& a : detail::of_token(assignments, t)) {
      for (index c = 0; c < x.cols; ++c) weighted[static_cast<std::size_t>(c)] = a.weight * x(t, c);
      expert(a.expert, static_cast<const T*>(weighted.data()), answer.data());
      for (index c = 0; c < y.cols; ++c) y(t, c) += answer[static_cast<std::size_t>(c)];
    }
  }
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
