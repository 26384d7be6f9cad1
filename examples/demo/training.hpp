// SPDX-License-Identifier: BSD-3-Clause
// Training and judging, the same for the mixture and the dense networks.
#pragma once

#include "model.hpp"
#include "runs.hpp"

#include <headgate/losses/expert_counts.hpp>
#include <headgate/optim/adamw.hpp>
#include <headgate/optim/schedules.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include <algorithm>
#include <chrono>

namespace demo {

using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

inline index count_right(const hg::matrix<float>& logits, const std::vector<index>& labels) {
  index right = 0;
  for (index i = 0; i < logits.rows(); ++i) {
    index best = 0;
    logits.row(i).maxCoeff(&best);
    right += best == labels[static_cast<std::size_t>(i)] ? 1 : 0;
  }
  return right;
}

/// Shares of a whole, one for each expert.
inline std::vector<double> shares(const hg::expert_counts& counts) {
  std::vector<double> result;
  for (const index count : counts.counts())
    result.push_back(static_cast<double>(count) / static_cast<double>((std::max)(counts.total(), index{1})));
  return result;
}

/// Fills the epochs and the training rate of the record.
template <class Body, class... RoutingLosses>
void train(classifier<Body>& model, const settings& how, const task& what, const hg::thread_pool& pool,
           const watcher& watch, run_record& record, const RoutingLosses&... losses) {
  constexpr bool routed = requires { model.tape().routing; };
  const digits& set = what.split.training;
  const index steps = (set.count() + how.batch - 1) / how.batch * how.epochs;
  const hg::cosine_schedule rate{
      .peak = how.rate, .floor = 0.01 * how.rate, .warmup_steps = steps / 20, .total_steps = steps};
  hg::adamw<float> adam{.weight_decay = how.weight_decay, .decays = hg::decay_matrices};
  hg::matrix<float> x;
  std::vector<index> which, labels;
  clock::duration in_steps{};

  for (index epoch = 0; epoch < how.epochs; ++epoch) {
    const hg::random_stream stream{how.seed, static_cast<std::uint64_t>(epoch)};
    const std::vector<index> order = shuffled(set.count(), stream.channel(0));
    epoch_record means;
    hg::expert_counts counts;
    for (index first = 0; first < set.count(); first += how.batch) {
      which.assign(order.begin() + first, order.begin() + (std::min)(first + how.batch, set.count()));
      make_batch(set, which, how.distort, what.standard, stream.channel(1), x, labels);

      const auto start = clock::now();
      const auto& logits = model.forward(pool, x);
      means.accuracy += static_cast<double>(count_right(logits, labels));
      means.loss += model.backward(pool, x, labels, losses...) * static_cast<double>(x.rows());
      adam.rate = rate(adam.memory.steps());
      adam.step([&](auto&& update) { model.for_each_parameter(update); });
      in_steps += clock::now() - start;
      if constexpr (routed) counts.collect(model.tape().routing);
    }
    means.loss /= static_cast<double>(set.count());
    means.accuracy /= static_cast<double>(set.count());
    if constexpr (routed) means.load = shares(counts);
    record.epochs.push_back(means);
    watch(epoch + 1, means);
  }
  record.training_rate =
      static_cast<double>(set.count() * how.epochs) / std::chrono::duration<double>(in_steps).count();
}

/// Fills the accuracy on the held-out part, the inference rate and what the router did.
template <class Body>
void judge(classifier<Body>& model, const task& what, const hg::thread_pool& pool, run_record& record) {
  const digits& set = what.split.held_out;
  hg::matrix<float> x = set.images;
  what.standard.apply(x);
  model.tape().training = false;
  record.accuracy =
      static_cast<double>(count_right(model.forward(pool, x), set.labels)) / static_cast<double>(set.count());

  if constexpr (requires { model.tape().routing; }) {
    const hg::routing<float>& routing = model.tape().routing;
    hg::expert_counts all;
    all.collect(routing);
    for (const index count : all.counts()) record.experts_used += count > 0 ? 1 : 0;
    std::vector<hg::expert_counts> by_class(classes, hg::expert_counts(routing.experts));
    for (const auto& a : routing.assignments)
      ++by_class[static_cast<std::size_t>(set.labels[static_cast<std::size_t>(a.token)])]
            .counts()[static_cast<std::size_t>(a.expert)];
    for (const hg::expert_counts& counts : by_class) record.specialisation.push_back(shares(counts));
  }

  double best = 1e9;  // of several rounds: the others measure what else the machine is doing
  for (int round = 0; round < 20; ++round) {
    const auto start = clock::now();
    model.forward(pool, x);
    best = (std::min)(best, seconds_since(start));
  }
  record.inference_rate = static_cast<double>(set.count()) / best;
}

}  // namespace demo
