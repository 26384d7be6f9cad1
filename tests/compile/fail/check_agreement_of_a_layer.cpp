// expect: check_agreement: this is no expert_parallel_layer; replicas are made equal by broadcast_parameters
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/expert_parallel_agreement.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

using layer = headgate::layer<headgate::topk_gate<float>, headgate::linear_expert<float>>;

void refused(headgate::single_rank& ranks, const layer& of_all_ranks) {
  headgate::check_agreement(ranks, of_all_ranks);
}
