// SPDX-License-Identifier: BSD-3-Clause
// The rules that keep experts busy, side by side: losses, the bias that only selects, a capacity and three ways to choose, on
// ranks that are threads. The pages docs/balance.md and docs/losses.md say what each is.
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/headgate.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

namespace hg = headgate;

constexpr hg::index model = 16, experts = 8, k = 2, sequences = 4, length = 16, ranks = 3;
constexpr std::array<hg::index, experts> devices{0, 0, 0, 0, 1, 1, 1, 1};

// The busiest expert's load over an even one: 1 is perfect, experts / k the worst of a top-k gate.
double imbalance(const hg::expert_counts& counts) {
  const auto all = counts.counts();
  return static_cast<double>(*std::max_element(all.begin(), all.end()) * experts) / static_cast<double>(counts.total());
}

// Tokens of one rank: around a centre of their own, so that a gate that knows nothing of balance prefers few experts.
hg::matrix<float> tokens_of(hg::index rank) {
  std::mt19937_64 random(10 + static_cast<unsigned>(rank));
  const auto centre = hg::randn<float>(1, model, random);
  return hg::randn<float>(sequences * length, model, random, 0.5F).rowwise() + centre.row(0);
}

// Trains one rank's replica; returns the imbalance over all ranks before and after.
std::array<double, 2> train(hg::thread_rank& rank) {
  hg::layer layer{hg::balanced_sigmoid_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = k}},
                  hg::swiglu_expert<float>{.model = model, .hidden = 32},
                  /*seed=*/3,
                  {.capacity = {.factor = 2, .drop = hg::drop::by_choice}}};
  const hg::matrix<float> x = tokens_of(rank.rank());
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::expert_counts counts;  // of all ranks
  hg::loss_values<float> values;
  hg::adamw<float> adam{.rate = 1e-2};
  hg::matrix<float> y, dx;
  std::array<double, 2> found{};
  for (int step = 0; step <= 100; ++step) {
    layer.forward(x, y, tape);
    counts.reset();
    counts.collect(rank, tape.routing);

    const auto [error, dy] = hg::mean_squared_error<float>(y, x);
    layer.set_zero(grads);
    values.reset();
    layer.backward(
        x, dy, tape, dx, grads,  // any number of losses; one of weight 0 is watched only
        values(hg::global_balance<float>{.weight = 1e-2F, .counts = &counts}),
        values(hg::sequence_balance<float>{.weight = 1e-4F, .length = length}),
        values(hg::device_balance<float>{.weight = 5e-2F, .devices = devices, .counts = &counts}),
        values(hg::communication_balance<float>{.weight = 2e-2F, .devices = devices}),
        values(hg::router_z<float>{.weight = 1e-3F}), values(hg::switch_balance<float>{.weight = 0}),
        values("first choices", hg::switch_balance<float>{.weight = 0, .choices = hg::counted_choices::first}),
        values(hg::importance_balance<float>{.weight = 0}), values(hg::mutual_information_balance<float>{.weight = 0}));
    hg::average_gradients(rank, layer, grads);
    adam.step(layer, grads);
    hg::update_selection_bias(layer.params().gate.select.selection_bias, counts, 1e-2F);

    found[step == 0 ? 0 : 1] = imbalance(counts);
    if (step % 100 != 0) continue;
    hg::index dropped = tape.plan.dropped();
    rank.all_reduce(std::span(&dropped, 1));
    if (rank.rank() == 0)
      std::printf("step %d: busiest expert %.2f x even, %td dropped\n", step, found[step > 0], dropped);
    for (const auto& one : values) {
      float value = one.value;
      rank.all_reduce(std::span(&value, 1));
      if (rank.rank() == 0)
        std::printf("  %-26s weight %-6g value %6.3f\n", one.name.data(), double(one.weight), double(value / ranks));
    }
  }
  return found;
}

// How a gate spreads the tokens of rank 0 in training, before it has learnt anything.
template <class Gate>
double spread(const char* name, const Gate& gate) {
  const hg::layer layer{gate, hg::linear_expert<float>{.model = model, .outputs = model}, /*seed=*/3};
  typename decltype(layer)::tape tape;
  hg::matrix<float> y;
  layer.forward(tokens_of(0), y, tape);
  hg::expert_counts counts;
  counts.collect(tape.routing);
  std::printf("%-20s busiest expert %.2f x even\n", name, imbalance(counts));
  return imbalance(counts);
}

int main() {
  std::array<std::array<double, 2>, ranks> found{};
  hg::run_thread_ranks(ranks, [&](hg::thread_rank& rank) { found[std::size_t(rank.rank())] = train(rank); });

  const hg::linear_head<float> head{.model = model, .experts = experts};
  const double plain = spread("softmax_topk_gate", hg::softmax_topk_gate<float>{.head = head, .select = {.k = k}});
  const double balanced =
      spread("sinkhorn", hg::sinkhorn<hg::softmax_topk_gate<float>>{.gate = {.head = head, .select = {.k = k}}});
  const double chosen = spread("expert_choice_gate", hg::expert_choice_gate<float>{.head = head});
  return found[0] == found[1] && found[1] == found[2] && found[0][1] < found[0][0] && chosen == 1 && balanced < plain
             ? 0
             : 1;
}
