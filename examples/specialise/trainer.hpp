// SPDX-License-Identifier: BSD-3-Clause
// One rank's part of the training: steps and validation.
#pragma once

#include "balance.hpp"
#include "deal.hpp"
#include "domains.hpp"
#include "model.hpp"
#include "pooled_counts.hpp"
#include "records.hpp"

#include <headgate/concepts/communicator.hpp>
#include <headgate/optim/adamw.hpp>
#include <headgate/optim/clip_gradient_norm.hpp>
#include <headgate/optim/schedules.hpp>

#include <algorithm>
#include <numbers>
#include <vector>

namespace specialise {

/// Trains a language model of float together with the other ranks of the communicator. All members are collective.
///
/// A step draws `batch` sequences and deals their micro-batches to the ranks. It runs all forwards, then knows the frequencies
/// of every pool, then runs the backwards. Gradients are summed over ranks in their order, and every rank takes the
/// same optimiser step, so that parameters stay equal without being sent.
template <hg::communicator Communicator>
class trainer {
  using model_type = language_model<float>;

 public:
  trainer(const settings& how, const text& data, Communicator& communicator)
      : how_(how),
        data_(data),
        communicator_(communicator),
        deal_(how, communicator.rank(), communicator.size()),
        model_(how.sizes, how.seed),
        grads_(model_.zero_gradients()),
        rate_{.peak = how.rate, .floor = 0.1 * how.rate, .warmup_steps = how.warmup_steps(), .total_steps = how.steps},
        micro_tokens_(how.micro * how.sizes.sequence),
        chunk_(std::min(how.chunk, deal_.local())),
        masks_(chunk_, micro_tokens_),
        counts_(deal_.rows(), how.sizes.layers, how.sizes.experts) {
    adam_.weight_decay = how.weight_decay;
    adam_.beta2 = 0.99;
    adam_.decays = hg::decay_matrices;
    for (index first = 0; first < deal_.local(); first += chunk_)
      chunks_.push_back({first, std::min(chunk_, deal_.local() - first), {}, {}, {}});
    used_.resize(static_cast<std::size_t>(chunk_));
  }

  [[nodiscard]] index steps() const { return adam_.memory.steps(); }
  /// Of the last step, summed over ranks and before it was clipped.
  [[nodiscard]] double gradient_norm() const { return gradient_norm_; }
  [[nodiscard]] index parameters() {
    index count = 0;
    walk([&](std::string_view, const auto& w, const auto&) { count += w.size(); });
    return count;
  }

  /// Of the last step, for those who check it: the record of micro-batch i of this rank (its tokens begin at `first`), and the
  /// counts that its balance loss took.
  struct routed_micro_batch {
    const hg::routing<float>* routing;
    index first;
    const hg::expert_counts* counts;
  };
  [[nodiscard]] routed_micro_batch routed(index i, index layer) const {
    return {&routing_of(chunks_[static_cast<std::size_t>(i / chunk_)], layer), i % chunk_ * micro_tokens_,
            &counts_(deal_.row(i), layer)};
  }

  /// One optimiser step. The record is filled if it is wanted.
  void step(step_record* record) {
    const index now = steps();
    walk([](std::string_view, auto&, auto& dw) { dw.setZero(); });
    double loss = 0;
    for (chunk& one : chunks_) {
      read(one, now);
      loss += static_cast<double>(model_.forward(one.bytes, one.next, one.tape)) * static_cast<double>(one.count);
    }
    pool_counts(now);
    if (record) fill(*record, now + 1, loss);

    const auto micro_batches = static_cast<float>(how_.micro_batches());
    for (chunk& one : chunks_) {
      const auto balance = [&](index layer) {
        for (index j = 0; j < one.count; ++j)
          used_[static_cast<std::size_t>(j)] = &counts_(deal_.row(one.first + j), layer);
        return pooled_balance<float>{static_cast<float>(how_.weight) / micro_batches,
                                     {used_.data(), static_cast<std::size_t>(one.count)},
                                     &masks_};
      };
      model_.backward(one.bytes, one.tape, static_cast<float>(one.count) / micro_batches, balance,
                      static_cast<float>(how_.router_z), work_, grads_);
    }
    sum_gradients();
    gradient_norm_ = hg::clip_gradient_norm(how_.clip, model_, grads_);
    adam_.rate = rate_(now);
    adam_.step([this](auto&& visit) { this->walk(visit); });
  }

  [[nodiscard]] validation_record validate() {
    validation_record record;
    record.step = steps();
    const index layers = how_.sizes.layers, experts = how_.sizes.experts;
    record.counts.resize(static_cast<std::size_t>(layers));
    chunk batch;
    for (index d = 0; d < data_.count(); ++d) {
      const std::vector<place> places = data_.validation(d, how_.validation_sequences);
      std::vector<hg::expert_counts> chosen(static_cast<std::size_t>(layers), hg::expert_counts(experts));
      double nats = 0;
      const auto all = static_cast<index>(places.size());
      const index together = chunk_ * how_.micro;
      for (index first = communicator_.rank() * together; first < all; first += communicator_.size() * together) {
        batch.count = std::min(together, all - first);
        resize(batch, batch.count);
        for (index s = 0; s < batch.count; ++s) read(batch, s, places[static_cast<std::size_t>(first + s)]);
        nats += static_cast<double>(model_.forward(batch.bytes, batch.next, chunks_.front().tape)) *
                static_cast<double>(batch.count);
        for (index l = 0; l < layers; ++l) chosen[static_cast<std::size_t>(l)].collect(routing_of(chunks_.front(), l));
      }
      communicator_.all_reduce(std::span(&nats, 1));
      record.bpb_by_domain.push_back(nats / static_cast<double>(all) / std::numbers::ln2);
      for (std::size_t l = 0; l < chosen.size(); ++l) {
        communicator_.all_reduce(chosen[l].counts());
        record.counts[l].emplace_back(chosen[l].counts().begin(), chosen[l].counts().end());
      }
    }
    return record;
  }

  /// f(name, values), values being a view of float, for all that a checkpoint holds: parameters "model.*" and
  /// moments "adam.*". Before the first step the moments are zeros.
  template <class F>
  void for_each_state(F&& f) {
    std::string name;
    const auto named = [&](const char* part, std::string_view field) -> const std::string& {
      return name = std::string(part).append(field);
    };
    walk([&](std::string_view field, auto& w, const auto&) { f(named("model.", field), hg::view_of(w)); });
    adam_.memory.for_each_moment([&](auto&& visit) { walk(visit); },
                                 [&](std::string_view field, auto moments) { f(named("adam.", field), moments); });
  }
  /// After the state was filled.
  void resume_at(index steps) { adam_.memory.resume_at(steps); }

 private:
  /// Micro-batches of this rank that are computed together.
  struct chunk {
    index first = 0, count = 0;      // in this rank's micro-batches
    std::vector<index> bytes, next;  // (count * micro * sequence)
    typename model_type::tape tape;
  };

  template <class F>
  void walk(F&& f) {
    model_.for_each_parameter(grads_, f);
  }

  static const hg::routing<float>& routing_of(const chunk& one, index layer) {
    return one.tape.blocks[static_cast<std::size_t>(layer)].moe.routing;
  }

  void resize(chunk& one, index sequences) const {
    one.bytes.resize(static_cast<std::size_t>(sequences * how_.sizes.sequence));
    one.next.resize(one.bytes.size());
  }
  void read(chunk& one, index sequence, const place& from) const {
    const index at = sequence * how_.sizes.sequence;
    data_.read(from, one.bytes.data() + at, one.next.data() + at);
  }
  void read(chunk& one, index step) const {
    resize(one, one.count * how_.micro);
    for (index j = 0; j < one.count; ++j)
      for (index s = 0; s < how_.micro; ++s)
        read(one, j * how_.micro + s, data_.training(how_.seed, step, deal_.global(one.first + j) * how_.micro + s));
  }

  /// Fills the counts of every pool from the forwards of this step.
  void pool_counts(index step) {
    counts_.reset();
    const bool shuffled = how_.pool.kind == pool_kind::shuffled;
    if (shuffled) deal_.start_draws(step);
    for (index b = 0; shuffled && b < how_.micro_batches(); ++b) {
      const std::span<const bool> drawn = deal_.draw(b);
      for (const chunk& one : chunks_)
        for (index l = 0; l < how_.sizes.layers; ++l)
          counts_(b, l).collect(routing_of(one, l), drawn.subspan(static_cast<std::size_t>(one.first * micro_tokens_),
                                                                  static_cast<std::size_t>(one.count * micro_tokens_)));
    }
    for (const chunk& one : chunks_)
      for (index j = 0; !shuffled && j < one.count; ++j)
        for (index l = 0; l < how_.sizes.layers; ++l)
          counts_(deal_.row(one.first + j), l).collect(routing_of(one, l), masks_(j, one.count));

    if (deal_.reduces() && communicator_.size() > 1) counts_.all_reduce(communicator_);
    if (how_.pool.kind == pool_kind::buffer) counts_.accumulate();
  }

  void sum_gradients() {
    if (communicator_.size() == 1) return;
    flat_.clear();
    walk([&](std::string_view, auto&, auto& dw) { flat_.insert(flat_.end(), dw.data(), dw.data() + dw.size()); });
    communicator_.all_reduce(std::span(flat_));
    const float* from = flat_.data();
    walk([&](std::string_view, auto&, auto& dw) {
      std::copy_n(from, dw.size(), dw.data());
      from += dw.size();
    });
  }

  /// `loss` is the sum of this rank's micro-batches' cross entropies.
  void fill(step_record& record, index step, double loss) {
    const index layers = how_.sizes.layers, experts = how_.sizes.experts;
    // The loss, then of each layer the sum of the micro-batches' values, the assignments and the mean probabilities.
    const index width = 1 + 2 * experts;
    std::vector<double> sums(static_cast<std::size_t>(1 + layers * width));
    sums[0] = loss;
    hg::expert_counts own(experts);
    std::vector<double> mean(static_cast<std::size_t>(experts));
    for (const chunk& one : chunks_)
      for (index l = 0; l < layers; ++l)
        for (index j = 0; j < one.count; ++j) {
          const hg::routing<float>& r = routing_of(one, l);
          own.reset();
          own.collect(r, masks_(j, one.count));
          std::fill(mean.begin(), mean.end(), 0.0);
          for (index t = j * micro_tokens_; t < (j + 1) * micro_tokens_; ++t)
            for (index e = 0; e < experts; ++e)
              mean[static_cast<std::size_t>(e)] +=
                  static_cast<double>(r.scores(t, e)) / static_cast<double>(micro_tokens_);
          double* const layer = sums.data() + 1 + l * width;
          for (index e = 0; e < experts; ++e) {
            const auto count = static_cast<double>(own[e]);
            const double p = mean[static_cast<std::size_t>(e)];
            layer[0] += static_cast<double>(experts) * count / static_cast<double>(own.total()) * p;
            layer[1 + e] += count;
            layer[1 + experts + e] += p;
          }
        }
    communicator_.all_reduce(std::span(sums));

    const auto micro_batches = static_cast<double>(how_.micro_batches());
    record.step = step;
    record.train_bpb = sums[0] / micro_batches / std::numbers::ln2;
    record.balance.clear();
    record.micro_balance.clear();
    for (index l = 0; l < layers; ++l) {
      const double* const layer = sums.data() + 1 + l * width;
      double total = 0, product = 0;
      for (index e = 0; e < experts; ++e) {
        total += layer[1 + e];
        product += layer[1 + e] * layer[1 + experts + e];
      }
      record.balance.push_back(static_cast<double>(experts) * product / total / micro_batches);
      record.micro_balance.push_back(layer[0] / micro_batches);
    }
  }

  settings how_;
  const text& data_;
  Communicator& communicator_;
  deal deal_;
  model_type model_;
  typename model_type::gradients grads_;
  hg::adamw<float> adam_;
  hg::cosine_schedule rate_;
  double gradient_norm_ = 0;
  index micro_tokens_;
  index chunk_;  // micro-batches in a full chunk
  micro_masks masks_;
  pooled_counts counts_;
  std::vector<chunk> chunks_;
  typename model_type::workspace work_;
  std::vector<const hg::expert_counts*> used_;
  std::vector<float> flat_;
};

}  // namespace specialise
