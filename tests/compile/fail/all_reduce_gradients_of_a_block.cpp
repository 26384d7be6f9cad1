// expect: headgate: a whole matrix is needed here; a block or a map may have gaps between its rows
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/core/matrix.hpp>

struct module {
  template <class F>
  void for_each_parameter(headgate::matrix<float>& grads, F&& f) {
    auto half = grads.leftCols(grads.cols() / 2);
    f("half", half, half);
  }
};

void refused(headgate::single_rank& ranks, module& m, headgate::matrix<float>& grads) {
  headgate::all_reduce_gradients(ranks, m, grads);
}
