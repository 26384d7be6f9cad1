// SPDX-License-Identifier: BSD-3-Clause
// Balance over the whole batch (arXiv:2501.11873): each micro-batch comes from one domain, and experts may specialise
// in domains as long as all of them are busy over all micro-batches together.
#include <headgate/headgate.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace hg = headgate;

constexpr hg::index model = 16, experts = 8, domains = 4, tokens = 64;

// The busiest expert's load over an even one: 1 is perfect, experts / k the worst.
double imbalance(const hg::expert_counts& counts) {
  const auto all = counts.counts();
  return static_cast<double>(*std::max_element(all.begin(), all.end()) * counts.experts()) /
         static_cast<double>(counts.total());
}

int main() {
  hg::layer layer{hg::softmax_topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                  hg::swiglu_expert<float>{.model = model, .hidden = 32}, /*seed=*/3};
  std::mt19937_64 random(4);
  std::array<hg::matrix<float>, domains> x, y;
  for (auto& domain : x)  // each domain around its own centre
    domain = hg::randn<float>(tokens, model, random, 0.7F).rowwise() + hg::randn<float>(1, model, random).row(0);
  for (const auto& domain : x)  // a bad start: experts 0 and 1 answer to everything
    for (const hg::index e : {0, 1}) layer.params().gate.head.weight.row(e) += 0.5F * domain.colwise().mean() / domains;

  std::array<decltype(layer)::tape, domains> tapes;
  auto grads = layer.zero_gradients();
  hg::expert_counts counts;
  hg::adamw<float> adam{.rate = 1e-2};
  hg::matrix<float> dx;
  hg::loss_values<float> values;
  double first = 0, last = 0;
  for (int step = 0; step <= 300; ++step) {
    // Step one: forward on all micro-batches, and the counts of all of them.
    counts.reset();
    for (std::size_t m = 0; m < domains; ++m) {
      layer.forward(x[m], y[m], tapes[m]);
      counts.collect(tapes[m].routing);
    }
    // Step two: backward with the counts of the whole batch. Gradients add up. The balance within the domains is watched,
    // with the weight 0. Each micro-batch's gradient counts in full: the gradient is of the sum of the errors, the error that
    // is shown is their mean.
    layer.set_zero(grads);
    values.reset();
    float loss = 0;
    for (std::size_t m = 0; m < domains; ++m) {
      const auto [error, dy] = hg::mean_squared_error<float>(y[m], x[m]);
      layer.backward(x[m], dy, tapes[m], dx, grads,
                     values(hg::global_balance<float>{.weight = 0.5F, .counts = &counts}),
                     values(hg::switch_balance<float>{.weight = 0}));
      loss += error / domains;
    }
    adam.step(layer, grads);

    last = imbalance(counts);
    if (step == 0) first = last;
    if (step % 100 == 0) {
      std::printf("step %3d  error %.3f", step, double(loss));
      for (const auto& one : values) std::printf("  %s %.3f", one.name.data(), double(one.mean()));
      std::printf("  busiest expert %.2f x even  load", last);
      for (const hg::index count : counts.counts()) std::printf(" %td", count);
      std::puts("");
    }
  }
  return first > 2 && last < 1.2 ? 0 : 1;
}
