// SPDX-License-Identifier: BSD-3-Clause
// Promise 3 over ranks: experts on any number of ranks, placed anyhow, give the bits of one rank.
#include <headgate/activations/gelu.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/expert_parallel_checks.hpp"
#include "support/on_threads.hpp"

using namespace headgate_test;

TEMPLATE_TEST_CASE("experts on ranks give the bits of one rank, and gradients summed in the same order",
                   "[expert_parallel][bits]", float, double) {
  using T = TestType;
  check_placements_on_threads(
      hg::layer{hg::topk_gate<T>{.head = {.model = 13, .experts = 5}, .select = {.k = 2}},
                hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 13, .hidden = 21},
                hg::ffn_expert<T, hg::gelu>{.model = 13, .hidden = 17}, 1});
}
