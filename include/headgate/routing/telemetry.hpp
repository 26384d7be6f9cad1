// SPDX-License-Identifier: BSD-3-Clause
// What a router does, added up over batches: who is loaded, who is idle, how sure it is, how large its logits are.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/routing/plan.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One object for each layer, any number of `add`s. Numbers that the records did not hold (probabilities of a gate without
/// scores, z of one without logits, drops without a plan) are absent, the others are there. Allocates in the first `add`
/// only.
class routing_telemetry {
 public:
  routing_telemetry() = default;
  /// Of so many experts, for somebody who may have nothing to add before a `merge`.
  explicit routing_telemetry(index experts) : load_(experts) {}

  /// Adds a pass: what it left in `routing` of its workspace or tape.
  template <class T>
  void add(const routing<T>& r) {
    for (const assignment<T>& one : r.assignments)
      if (one.expert < 0 || one.expert >= r.experts)
        refuse("routing_telemetry::add: an assignment names expert ", one.expert, ", the record is of ", r.experts);
    match("routing_telemetry::add", r.experts);
    sums_.tokens += r.counting();
    sums_.assignments += r.assignments.size();
    for (const assignment<T>& one : r.assignments) ++load_[one.expert];
    add_probabilities(r);
    add_logits(r);
  }
  /// The same, and what its plan dropped.
  template <class T>
  void add(const routing<T>& r, const dispatch_plan& plan) {
    if (plan.slots() + plan.dropped() != r.assignments.size())
      refuse("routing_telemetry::add: the plan is of ", plan.slots() + plan.dropped(), " assignments, the record has ",
             r.assignments.size());
    add(r);
    sums_.planned += r.assignments.size();
    sums_.dropped += plan.dropped();
  }
  /// Adds what another thread, rank or time has collected of the same layer.
  void merge(const routing_telemetry& other) {
    if (other.experts() == 0) return;
    match("routing_telemetry::merge", other.experts());
    for (index e = 0; e < experts(); ++e) load_[e] += other.load_[e];
    sums_.add(other.sums_);
  }
  /// Back to nothing, of the same number of experts.
  void reset() {
    load_.assign(experts(), 0);
    sums_ = {};
  }

  [[nodiscard]] index experts() const { return load_.size(); }
  [[nodiscard]] std::int64_t tokens() const { return sums_.tokens; }
  /// Dropped ones included, here and in the load.
  [[nodiscard]] std::int64_t assignments() const { return sums_.assignments; }
  [[nodiscard]] std::int64_t load(index expert) const { return load_[expert]; }
  /// Of all assignments; 0 if there are none.
  [[nodiscard]] double share(index expert) const { return ratio(load_[expert], sums_.assignments).value_or(0); }

  /// -sum of share log share, in nats; 0 if there are no assignments.
  [[nodiscard]] double entropy() const {
    double sum = 0;
    for (index e = 0; e < experts(); ++e)
      if (const double p = share(e); p > 0) sum -= p * std::log(p);
    return sum;
  }
  /// Divided by its maximum, log(experts): 1 where all are equally loaded. 1 for a single expert.
  [[nodiscard]] double normalised_entropy() const {
    if (experts() < 2) return sums_.assignments > 0 ? 1 : 0;
    return entropy() / std::log(static_cast<double>(experts()));
  }
  /// Largest load over mean load: how long the slowest expert takes where each has a processor. 0 without assignments.
  [[nodiscard]] double max_over_mean() const {
    if (sums_.assignments == 0) return 0;
    const std::int64_t largest = *std::max_element(load_.begin(), load_.end());
    return static_cast<double>(largest) * static_cast<double>(experts()) / static_cast<double>(sums_.assignments);
  }
  [[nodiscard]] index unused_experts() const {
    return static_cast<index>(std::count(load_.begin(), load_.end(), std::int64_t{0}));
  }

  /// Dropped assignments over those of passes that came with a plan.
  [[nodiscard]] std::optional<double> drop_rate() const { return ratio(sums_.dropped, sums_.planned); }
  /// Mean over tokens of the largest probability among the experts.
  [[nodiscard]] std::optional<double> mean_top1_probability() const {
    return mean(sums_.top1, sums_.with_probabilities);
  }
  /// Mean over tokens of z = log sum exp of the logits, and of z^2, which the router z-loss keeps small.
  [[nodiscard]] std::optional<double> mean_z() const { return mean(sums_.z, sums_.with_logits); }
  [[nodiscard]] std::optional<double> mean_z_squared() const { return mean(sums_.z_squared, sums_.with_logits); }

 private:
  static std::optional<double> mean(double sum, std::int64_t count) {
    if (count == 0) return std::nullopt;
    return sum / static_cast<double>(count);
  }
  static std::optional<double> ratio(std::int64_t part, std::int64_t whole) {
    return mean(static_cast<double>(part), whole);
  }

  void match(const char* owner, index experts_given) {
    if (experts() == 0) load_.assign(experts_given, 0);
    if (experts() != experts_given)
      refuse(owner, ": ", experts_given, " experts, the telemetry so far is of ", experts());
  }

  /// The largest of what losses/probabilities.hpp makes of a row; a token whose row is all zero has
  /// none: all its experts are switched off.
  template <class T>
  void add_probabilities(const routing<T>& r) {
    const scratch<T>& rows = r.scores_are == score_kind::logits ? r.logits : r.scores;
    if (r.scores_are == score_kind::none || rows.rows() != r.tokens) return;
    for (index t = 0; t < r.tokens; ++t) {
      const T* const row = rows.row(t);
      double largest = static_cast<double>(kernels::max_row(row, r.experts));
      if (r.scores_are == score_kind::logits)
        largest = std::exp(largest - static_cast<double>(kernels::log_sum_exp_row(row, r.experts)));
      else if (r.scores_are == score_kind::positive)
        largest /= static_cast<double>(kernels::sum_row(row, r.experts));
      if (!(largest > 0 && kernels::is_finite(largest))) continue;
      sums_.top1 += largest;
      ++sums_.with_probabilities;
    }
  }

  /// A token without any finite logit has no z.
  template <class T>
  void add_logits(const routing<T>& r) {
    if (r.logits.rows() != r.tokens) return;
    for (index t = 0; t < r.tokens; ++t) {
      const double z = static_cast<double>(kernels::log_sum_exp_row(r.logits.row(t), r.experts));
      if (!kernels::is_finite(z)) continue;
      sums_.z += z;
      sums_.z_squared += z * z;
      ++sums_.with_logits;
    }
  }

  struct sums {
    std::int64_t tokens = 0, assignments = 0, planned = 0, dropped = 0, with_probabilities = 0, with_logits = 0;
    double top1 = 0, z = 0, z_squared = 0;

    void add(const sums& other) {
      for (auto member : {&sums::tokens, &sums::assignments, &sums::planned, &sums::dropped, &sums::with_probabilities,
                          &sums::with_logits})
        this->*member += other.*member;
      for (auto member : {&sums::top1, &sums::z, &sums::z_squared}) this->*member += other.*member;
    }
  };

  array<std::int64_t> load_;  // (experts)
  sums sums_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
