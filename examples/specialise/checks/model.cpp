// SPDX-License-Identifier: BSD-3-Clause
// The language model: its gradients, and what a row sees.
#include "../model.hpp"
#include "../balance.hpp"
#include "checks.hpp"

#include <headgate/testing/gradcheck.hpp>

#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

namespace specialise {

namespace {

constexpr model_sizes tiny{.layers = 2, .experts = 4, .k = 2, .model = 5, .hidden = 3, .taps = 3, .sequence = 4};

std::vector<index> some_bytes(index count, index row) {
  std::vector<index> bytes;
  for (index i = 0; i < count; ++i) bytes.push_back(hg::uniform_index({5, 0}, row, i, vocabulary));
  return bytes;
}

}  // namespace

void gradients() {
  const auto alone = hg::testing::check_layer_gradients(
      hg::dense_layer{causal_convolution<double>{.model = 4, .taps = 3, .sequence = 5}, 1},
      hg::testing::random_matrix(15, 4, {2}));
  require(static_cast<bool>(alone), "convolution: ", alone.text());

  // Two micro-batches of two sequences, with counts of their own, and all parts of the loss.
  language_model<double> model(tiny, 3);
  const index rows = 4 * tiny.sequence;
  const std::vector<index> bytes = some_bytes(rows, 0), next = some_bytes(rows, 1);
  hg::expert_counts counts[2] = {hg::expert_counts(tiny.experts), hg::expert_counts(tiny.experts)};
  for (index e = 0; e < tiny.experts; ++e) counts[0].counts()[static_cast<std::size_t>(e)] = 1 + 3 * e;
  for (index e = 0; e < tiny.experts; ++e) counts[1].counts()[static_cast<std::size_t>(e)] = 9 - 2 * e;
  const hg::expert_counts* const used[2] = {&counts[0], &counts[1]};
  const micro_masks masks(2, 2 * tiny.sequence);
  const pooled_balance<double> balance{0.7, used, &masks};
  constexpr double share = 0.4, z = 0.3;

  language_model<double>::tape tape;
  language_model<double>::workspace work;
  auto grads = model.zero_gradients();
  const auto loss = [&] {
    double sum = share * model.forward(bytes, next, tape);
    for (auto& one : tape.blocks) {
      one.moe.gradient.reset(one.moe.routing);
      sum += balance.weight * balance(one.moe.routing, one.moe.gradient) +
             z * share * hg::router_z<double>{}(one.moe.routing, one.moe.gradient);
    }
    return sum;
  };
  loss();
  model.backward(
      bytes, tape, share, [&](index) { return balance; }, z, work, grads);
  hg::testing::gradient_report report;
  model.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
    report.include(hg::testing::gradient_check(loss, {{name, w, dw}}));
  });
  require(static_cast<bool>(report), "model: ", report.text());
  std::printf("gradients: worst relative error %.2g of %td elements\n", report.worst, report.elements);
}

/// What a row sees: the bytes before it in its own sequence.
void causality() {
  const language_model<float> model(tiny, 3);
  const index rows = 3 * tiny.sequence;
  std::vector<index> bytes = some_bytes(rows, 0);
  language_model<float>::tape before, after;
  model.forward(bytes, bytes, before);
  const index changed = tiny.sequence + 1;
  bytes[static_cast<std::size_t>(changed)] ^= 1;
  model.forward(bytes, bytes, after);
  for (index t = 0; t < rows; ++t) {
    const bool same = std::memcmp(before.normed.row(t).data(), after.normed.row(t).data(),
                                  static_cast<std::size_t>(tiny.model) * sizeof(float)) == 0;
    const bool sees = t >= changed && t < 2 * tiny.sequence;
    require(same != sees, "row ", t, same ? " does not see" : " sees", " byte ", changed, " of a sequence of ",
            tiny.sequence, " that begins at ", tiny.sequence);
  }
}

}  // namespace specialise
