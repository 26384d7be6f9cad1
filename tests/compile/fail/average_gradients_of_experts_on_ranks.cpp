// expect: average_gradients: each rank has experts of its own; use all_reduce_gradients
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

using layer = headgate::expert_parallel_layer<headgate::topk_gate<float>, headgate::linear_expert<float>>;

void refused([[maybe_unused]] headgate::single_rank& ranks, layer& of_a_rank, layer::gradients& grads) {
  headgate::average_gradients(ranks, of_a_rank, grads);
}
