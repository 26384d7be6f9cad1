// expect: clip_gradient_norm: each rank has experts of its own, and would find another norm; pass the communicator
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/optim/clip_gradient_norm.hpp>

using layer = headgate::expert_parallel_layer<headgate::topk_gate<float>, headgate::linear_expert<float>>;

void refused([[maybe_unused]] headgate::single_rank& ranks, layer& of_a_rank, layer::gradients& grads) {
  headgate::clip_gradient_norm(1.0, of_a_rank, grads);
}
