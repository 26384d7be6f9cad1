// expect: broadcast_parameters: the module needs for_each_tensor(f), and for_each_replicated_tensor(f) if each rank has
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/broadcast_parameters.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/core/matrix.hpp>

void refused(headgate::single_rank& ranks, headgate::matrix<float>& weights) {
  headgate::broadcast_parameters(ranks, weights, 0);
}
