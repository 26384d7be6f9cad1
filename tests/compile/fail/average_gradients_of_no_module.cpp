// expect: average_gradients: the module needs for_each_parameter(grads, f)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/core/matrix.hpp>

void refused(headgate::single_rank& ranks, headgate::matrix<float>& weights, headgate::matrix<float>& grads) {
  headgate::average_gradients(ranks, weights, grads);
}
