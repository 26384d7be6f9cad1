// SPDX-License-Identifier: BSD-3-Clause
// Experts over ranks: each rank has its own tokens and some of the experts, and gets the bits that one rank would. Here ranks are
// threads; with `hg::mpi_rank` in place of `hg::thread_rank` they are processes.
#include <headgate/communicators/counted.hpp>
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/headgate.hpp>

#include <array>
#include <cstdio>

namespace hg = headgate;

constexpr hg::index ranks = 3, model = 32, tokens = 40;

const hg::topk_gate<float> gate{.head = {.model = model, .experts = 8}, .select = {.k = 2}};
const hg::swiglu_expert<float> expert{.model = model, .hidden = 64};

/// One training step of one rank; returns whether it gives the rank's tokens what the whole layer gives them.
bool step(hg::counted<hg::thread_rank>& rank, const hg::matrix<float>& all_x, const hg::matrix<float>& all_y,
          const hg::matrix<float>& all_dx) {
  const hg::matrix<float> x = all_x.middleRows(rank.rank() * tokens, tokens);
  hg::expert_parallel_layer layer{gate, expert, /*seed=*/7, hg::expert_placement(8, rank.size()), rank.rank()};
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::matrix<float> y, dx;

  layer.forward(rank, x, y, tape);  // every rank, also one without a token
  layer.backward(rank, x, y, tape, dx, grads);
  hg::all_reduce_gradients(rank, layer, grads);  // the gate's; those of the rank's experts are complete
  hg::adamw<float>{}.step(layer, grads);

  return y == all_y.middleRows(rank.rank() * tokens, tokens) && dx == all_dx.middleRows(rank.rank() * tokens, tokens);
}

int main() {
  std::mt19937_64 random(1);
  const hg::matrix<float> x = hg::randn<float>(ranks * tokens, model, random, 1.0F);
  const hg::layer whole{gate, expert, /*seed=*/7};
  decltype(whole)::tape tape;
  auto grads = whole.zero_gradients();
  hg::matrix<float> y, dx;
  whole.forward(x, y, tape);
  whole.backward(x, y, tape, dx, grads);

  std::array<bool, ranks> same{};
  std::array<hg::traffic_counts, ranks> sent;
  hg::run_thread_ranks(ranks, [&](hg::thread_rank& thread) {
    hg::counted rank(thread);
    const auto r = static_cast<std::size_t>(rank.rank());
    same[r] = step(rank, x, y, dx);
    sent[r] = rank.counts();
  });
  for (std::size_t r = 0; r < ranks; ++r)
    std::printf("rank %zu: %s bits as one rank, %td bytes sent to experts and back, %td for the gate's gradient\n", r,
                same[r] ? "same" : "OTHER", sent[r].all_to_all.bytes, sent[r].all_reduce.bytes);
  return same == std::array{true, true, true} ? 0 : 1;
}
