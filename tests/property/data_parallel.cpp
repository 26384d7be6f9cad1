// SPDX-License-Identifier: BSD-3-Clause
// Replicas of a layer on ranks that have tokens of their own stay equal, and learn what one rank learns from all tokens.
#include <headgate/communicators/broadcast_parameters.hpp>
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/mean_squared_error.hpp>
#include <headgate/optim/adamw.hpp>

#include "support/on_threads.hpp"

#include <vector>

using namespace headgate_test;

namespace {

constexpr hg::index tokens = 10;

auto make(std::uint64_t seed) {
  return hg::layer{hg::softmax_topk_gate<double>{.head = {.model = 5, .experts = 4}, .select = {.k = 2}},
                   hg::linear_expert<double>{.model = 5, .outputs = 5}, seed};
}
hg::matrix<double> batch(hg::index ranks) { return random_matrix<double>(ranks * tokens, 5, {3}); }

/// Three steps on this rank's tokens.
template <class Communicator>
auto train(Communicator& ranks, const hg::matrix<double>& x) {
  auto layer = make(100 + static_cast<std::uint64_t>(ranks.rank()));
  if (ranks.rank() == 0) layer = make(1);
  hg::broadcast_parameters(ranks, layer, 0);  // what rank 0 has loaded, say
  typename decltype(layer)::tape tape;
  hg::adamw<double> adam{.rate = 1e-2};
  hg::matrix<double> y, dx;
  for (int step = 0; step < 3; ++step) {
    auto grads = layer.zero_gradients();
    layer.forward(x, y, tape);
    const auto [loss, dy] = hg::mean_squared_error<double>(y, x);
    layer.backward(x, dy, tape, dx, grads);
    hg::average_gradients(ranks, layer, grads);
    adam.step(layer, grads);
  }
  return layer;
}

}  // namespace

TEST_CASE("replicas stay equal and learn from all ranks' tokens", "[data_parallel]") {
  for (hg::index size = 1; size <= 3; ++size) {
    hg::single_rank alone;
    const auto expected = train(alone, batch(size));
    std::vector<hg::matrix<double>> gates(static_cast<std::size_t>(size));
    CHECK(on_threads(size, [&](hg::thread_rank& rank) {
            complaints all;
            const auto layer = train(rank, hg::matrix<double>(batch(size).middleRows(rank.rank() * tokens, tokens)));
            gates[static_cast<std::size_t>(rank.rank())] = layer.params().gate.head.weight;
            for (hg::index e = 0; e < 4; ++e)
              all.expect(
                  relative_distance(layer.params().experts[e].weight, expected.params().experts[e].weight) < 1e-9,
                  "an expert learned something else");
            return all.text;
          }) == "");
    for (const auto& gate : gates) CHECK(same_matrix(gate, gates[0]));
  }
}
