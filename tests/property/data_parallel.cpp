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
#include <headgate/optim/clip_gradient_norm.hpp>
#include <headgate/optim/sgd.hpp>

#include "support/on_threads.hpp"

#include <cmath>
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

/// What replicas and experts on ranks have in common: from a rank's gradients to a step.
template <class Communicator, class Module, class Gradients>
double step(Communicator& ranks, Module& module, Gradients& grads) {
  hg::all_reduce_gradients(ranks, module, grads);
  const double norm = hg::clip_gradient_norm(ranks, 0.5, module, grads);
  hg::sgd<double>{.rate = 0.1}.step(module, grads);
  return norm;
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

TEST_CASE("one code steps replicas and experts on ranks, and they learn the same", "[data_parallel][expert_parallel]") {
  for (hg::index size = 1; size <= 3; ++size)
    CHECK(on_threads(size, [&](hg::thread_rank& rank) {
            complaints all;
            auto whole = make(1);
            auto part = part_of(whole, {4, size}, rank.rank());
            const hg::matrix<double> x = batch(size).middleRows(rank.rank() * tokens, tokens);
            hg::matrix<double> y, dx;
            typename decltype(whole)::tape tape;
            typename decltype(part)::tape tape_of_part;
            auto grads = whole.zero_gradients();
            auto grads_of_part = part.zero_gradients();
            whole.forward(x, y, tape);
            whole.backward(x, y, tape, dx, grads);
            part.forward(rank, x, y, tape_of_part);
            part.backward(rank, x, y, tape_of_part, dx, grads_of_part);
            const double norm = step(rank, whole, grads);
            all.expect(norm > 0.5, "nothing was clipped");
            all.expect(std::fabs(step(rank, part, grads_of_part) - norm) < 1e-12 * norm, "the norm is another");
            all.expect(relative_distance(part.params().gate.head.weight, whole.params().gate.head.weight) < 1e-12,
                       "the gate is another");
            for (hg::index i = 0; i < part.params().ids.size(); ++i)
              all.expect(relative_distance(part.params().experts[i].weight,
                                           whole.params().experts[part.params().ids[i]].weight) < 1e-12,
                         "an expert is another");
            return all.text;
          }) == "");
}
