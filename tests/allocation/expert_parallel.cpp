// SPDX-License-Identifier: BSD-3-Clause
// After a first step with experts on ranks, a step of the same size allocates nothing, exchange included.
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/gates/named.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

/// Steps of one rank; all threads' allocations count, so ranks meet before and after each.
template <class Communicator>
long allocations_of_second_step(Communicator& ranks, hg::weight_on where) {
  const hg::softmax_gate<float> all{
      .head = {.model = 24, .experts = 6}};  // as many slots for each expert in every batch
  const hg::ffn_expert<float> expert{.model = 24, .hidden = 40};
  hg::expert_parallel_layer layer{
      all, expert, expert, 1, hg::expert_placement(6, ranks.size()), ranks.rank(), {.weight_on = where}};
  typename decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::matrix<float> y, dx;
  const auto dy = random_matrix<float>(60, 24, {1});
  const auto step = [&](const hg::matrix<float>& x) {
    layer.forward(ranks, x, y, tape);
    layer.backward(ranks, x, dy, tape, dx, grads);
    hg::all_reduce_gradients(ranks, layer, grads);
    layer.set_zero(grads);
    ranks.barrier();
  };
  const auto first = random_matrix<float>(60, 24, {2}), second = random_matrix<float>(60, 24, {3});
  step(first);
  ranks.barrier();
  return allocations_of([&] {
    step(second);
    step(first);
  });
}

}  // namespace

TEST_CASE("the second step with experts on ranks allocates nothing", "[allocation]") {
  for (const auto where : {hg::weight_on::output, hg::weight_on::input}) {
    hg::single_rank alone;
    CHECK(allocations_of_second_step(alone, where) == 0);
    long counted[3] = {-1, -1, -1};
    hg::run_thread_ranks(3, [&](hg::thread_rank& rank) {
      counted[rank.rank()] = allocations_of_second_step(rank, where);
      rank.barrier();  // before anybody cleans up
    });
    CHECK((counted[0] == 0 && counted[1] == 0 && counted[2] == 0));
  }
}
