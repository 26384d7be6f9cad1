// SPDX-License-Identifier: BSD-3-Clause
// Data-parallel training: each rank has the whole layer and a part of the batch; gradients and the counts of the balance
// loss are summed over the ranks. The same function runs on threads (here) and, with hg::run_mpi_ranks, on processes.
#include <headgate/communicators/counted.hpp>
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/headgate.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

namespace hg = headgate;

constexpr hg::index model = 16, experts = 8, micro_batches = 4, tokens = 64;

struct outcome {
  float loss = 0;  // of the last step, over the whole batch
  bool same = true;
  std::vector<hg::index> counts;
};

template <hg::communicator Ranks>
outcome train(Ranks& ranks) {
  // Every rank makes the same layer and the same batch, and works on every size()-th micro-batch: on as many as the others,
  // because operations are for all ranks; where the last round has fewer micro-batches than ranks, some get one without tokens.
  hg::layer layer{hg::softmax_topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                  hg::swiglu_expert<float>{.model = model, .hidden = 32}, /*seed=*/3};
  std::mt19937_64 random(4);
  std::vector<hg::matrix<float>> x, mine;
  for (hg::index m = 0; m < micro_batches; ++m) x.push_back(hg::randn<float>(tokens, model, random));
  for (hg::index m = 0; m < micro_batches; m += ranks.size()) {
    const hg::index which = m + ranks.rank();
    mine.push_back(which < micro_batches ? x[std::size_t(which)] : hg::matrix<float>(0, model));
  }

  std::vector<decltype(layer)::tape> tapes(mine.size());
  std::vector<hg::matrix<float>> y(mine.size());
  auto grads = layer.zero_gradients();
  hg::expert_counts counts(experts);
  hg::adamw<float> adam{.rate = 1e-2};
  hg::matrix<float> dx;
  float loss = 0;
  for (int step = 0; step < 100; ++step) {
    counts.reset();
    for (std::size_t m = 0; m < mine.size(); ++m) {
      layer.forward(mine[m], y[m], tapes[m]);
      counts.collect(ranks, tapes[m].routing);  // of all ranks; after the last one of the whole batch
    }

    layer.set_zero(grads);
    loss = 0;  // the mean over micro-batches; the gradient is of their sum
    for (std::size_t m = 0; m < mine.size() && mine[m].rows() > 0; ++m) {
      const auto [error, dy] = hg::mean_squared_error<float>(y[m], mine[m]);
      layer.backward(mine[m], dy, tapes[m], dx, grads, hg::global_balance<float>{.weight = 0.1F, .counts = &counts});
      loss += error / micro_batches;
    }
    ranks.all_reduce(std::span(&loss, 1));
    hg::all_reduce_gradients(ranks, layer, grads);
    adam.step(layer, grads);  // on the same sums everywhere, so the layers stay the same to the last bit
  }

  outcome result{.loss = loss, .counts = {counts.counts().begin(), counts.counts().end()}};
  layer.for_each_parameter(grads, [&](std::string_view, auto& w, auto&) {
    std::vector<float> first(w.data(), w.data() + w.size());
    ranks.broadcast(std::span(first), 0);
    result.same = result.same && std::equal(first.begin(), first.end(), w.data());
  });
  return result;
}

int main() {
  float alone = 0;
  for (const hg::index size : {1, 2, 3, 4}) {
    outcome result;
    hg::traffic sent;
    hg::run_thread_ranks(size, {.time_out = 300}, [&](hg::thread_rank& rank) {
      hg::counted ranks(rank);
      const outcome mine = train(ranks);
      if (!mine.same) hg::fail_operation("the layers of ranks 0 and ", rank.rank(), " differ");
      if (rank.rank() != 0) return;
      result = mine;
      sent = ranks.counts().total();
    });
    std::printf("%td ranks: loss %.4f, rank 0 sends %.1f MB in %td messages, load", size, double(result.loss),
                double(sent.bytes) / 1e6, sent.messages);
    for (const hg::index count : result.counts) std::printf(" %td", count);
    std::puts("");
    // Sums over ranks are rounded elsewhere than sums over micro-batches: the runs agree, but not to the last bit.
    if (size == 1) alone = result.loss;
    if (!(std::abs(result.loss - alone) < 0.1F * alone)) return 1;
  }
  return 0;
}
