// SPDX-License-Identifier: BSD-3-Clause
// One rank of the library's own exchange, counted; threads and processes share it.
#pragma once

#include "measure.hpp"

#include <headgate/communicators/counted.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/routing/expert_placement.hpp>

#include <vector>

namespace scaling {

namespace hg = headgate;

/// What this rank sends in a forward and a backward over its tokens: those t of the logits with t mod ranks = rank.
template <hg::communicator Communicator>
two_passes measure_rank(const setting& s, const hg::matrix<float>& logits, Communicator& self) {
  constexpr index hidden = 8;  // of the experts: what they compute does not matter here
  const index ranks = self.size();
  std::vector<index> rank_of_expert;
  for (index e = 0; e < s.experts; ++e) rank_of_expert.push_back(rank_of(e, s.experts, ranks));
  hg::counted counted(self);
  const hg::topk_gate<float> gate{.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}};
  const hg::swiglu_expert<float> expert{.model = s.model, .hidden = hidden};
  hg::expert_parallel_layer layer(gate, expert, s.seed, hg::expert_placement(rank_of_expert, ranks), self.rank());
  // With this router a token is its own logits, so the layer routes as the simulation does.
  layer.params().gate.head.weight = hg::matrix<float>::Identity(s.experts, s.model);
  hg::matrix<float> x(s.draws / ranks, s.model), y, dx;
  for (index t = 0; t < x.rows(); ++t) x.row(t) = logits.row(t * ranks + self.rank());

  const auto counts = [&] {
    const hg::traffic sum = counted.counts().total();
    counted.reset_counts();
    return sent{sum.messages, sum.bytes};
  };
  two_passes mine;
  typename decltype(layer)::tape tape;
  layer.forward(counted, x, y, tape);
  mine.forward = counts();
  auto gradients = layer.zero_gradients();
  layer.backward(counted, x, y, tape, dx, gradients);
  mine.backward = counts();
  return mine;
}

}  // namespace scaling
