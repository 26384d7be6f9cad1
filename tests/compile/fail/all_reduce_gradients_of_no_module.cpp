// expect: all_reduce_gradients: the module needs for_each_parameter(grads, f), and for_each_replicated_gradient(grads, f)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/core/matrix.hpp>

void refused(headgate::single_rank& ranks, headgate::matrix<float>& weights, headgate::matrix<float>& grads) {
  headgate::all_reduce_gradients(ranks, weights, grads);
}
