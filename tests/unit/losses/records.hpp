// SPDX-License-Identifier: BSD-3-Clause
// Routing records made by hand, and what every loss on them is tested for.
#pragma once

#include <headgate/concepts/routing_loss.hpp>
#include <headgate/routing/routing.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace headgate_test {

using headgate::index;
using headgate::routing;
using headgate::routing_gradient;
using headgate::score_kind;

/// Numbers in [-1, 1) that are the same everywhere.
class loss_numbers {
 public:
  explicit loss_numbers(std::uint64_t seed) : state_(seed * 2 + 1) {}
  double operator()() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-52 - 1.0;
  }
  double normal() {
    const double u = 0.5 * ((*this)() + 1.0), v = (*this)();
    return std::sqrt(-2.0 * std::log(1.0 - u)) * std::cos(3.14159265358979323846 * v);
  }

 private:
  std::uint64_t state_;
};

/// The k largest of a row, largest first.
inline std::vector<index> largest(const double* row, index n, index k) {
  std::vector<index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), index{0});
  std::stable_sort(order.begin(), order.end(), [row](index a, index b) { return row[a] > row[b]; });
  order.resize(static_cast<std::size_t>(k));
  return order;
}

/// s = softmax(z), in the plainest way.
inline void plain_softmax(const double* z, double* s, index n) {
  double sum = 0;
  for (index i = 0; i < n; ++i) sum += s[i] = std::exp(z[i]);
  for (index i = 0; i < n; ++i) s[i] /= sum;
}

/// A record with the given probabilities (tokens x experts) as its scores, and no assignment.
inline routing<double> record_of(const std::vector<std::vector<double>>& p) {
  routing<double> r;
  r.reset(static_cast<index>(p.size()), static_cast<index>(p.front().size()));
  r.scores_are = score_kind::distribution;
  r.scores.resize(r.tokens, r.experts);
  for (index t = 0; t < r.tokens; ++t) std::copy_n(p[static_cast<std::size_t>(t)].data(), r.experts, r.scores.row(t));
  return r;
}

/// The same with a top-k choice by these probabilities.
inline routing<double> record_of(const std::vector<std::vector<double>>& p, index k) {
  auto r = record_of(p);
  r.best_first = true;
  for (index t = 0; t < r.tokens; ++t)
    for (const index e : largest(r.scores.row(t), r.experts, k)) r.assignments.push_back({t, e, r.scores(t, e)});
  return r;
}

/// A random record with all its blocks: token t has 1 + (t mod most) experts, the largest logits; a negative `most` is
/// a fixed number of experts. The noisy blocks are there if `noisy`.
inline routing<double> random_record(index tokens, index experts, index most, score_kind kind, std::uint64_t seed,
                                     bool noisy = false) {
  loss_numbers draw(seed);
  routing<double> r;
  r.reset(tokens, experts);
  r.scores_are = kind;
  r.best_first = true;
  r.logits.resize(tokens, experts);
  r.scores.resize(tokens, experts);
  if (noisy) {
    r.clean_logits.resize(tokens, experts);
    r.noise_scale.resize(tokens, experts);
  }
  for (index t = 0; t < tokens; ++t) {
    for (index i = 0; i < experts; ++i) {
      r.logits(t, i) = 2 * draw();
      if (!noisy) continue;
      r.clean_logits(t, i) = r.logits(t, i);
      r.noise_scale(t, i) = 0.8 + 0.5 * draw();
      r.logits(t, i) += r.noise_scale(t, i) * draw.normal();
    }
    const double* z = r.logits.row(t);
    double* s = r.scores.row(t);
    if (kind == score_kind::positive)
      for (index i = 0; i < experts; ++i) s[i] = 1 / (1 + std::exp(-z[i]));
    else if (kind == score_kind::distribution)
      plain_softmax(z, s, experts);
    else
      std::copy_n(z, experts, s);
    const index k = most < 0 ? -most : 1 + t % most;
    for (const index e : largest(z, experts, k)) r.assignments.push_back({t, e, 0.6 + 0.5 * draw()});
  }
  return r;
}

/// The record without the tokens whose mask is false.
inline routing<double> without(const routing<double>& r, std::span<const bool> mask) {
  std::vector<index> place(mask.size(), -1);
  index kept = 0;
  for (std::size_t t = 0; t < mask.size(); ++t)
    if (mask[t]) place[t] = kept++;
  routing<double> rest;
  rest.reset(kept, r.experts);
  rest.scores_are = r.scores_are;
  rest.best_first = r.best_first;
  for (const auto& a : r.assignments)
    if (const index t = place[static_cast<std::size_t>(a.token)]; t >= 0)
      rest.assignments.push_back({t, a.expert, a.weight});
  for (const auto block : {&routing<double>::logits, &routing<double>::scores, &routing<double>::clean_logits,
                           &routing<double>::noise_scale}) {
    const auto& from = r.*block;
    if (from.size() == 0) continue;
    auto& to = rest.*block;
    to.resize(kept, r.experts);
    for (index t = 0; t < r.tokens; ++t)
      if (const index row = place[static_cast<std::size_t>(t)]; row >= 0)
        std::copy_n(from.row(t), r.experts, to.row(row));
  }
  return rest;
}

/// Every second token, and the last.
inline std::unique_ptr<bool[]> some_mask(index tokens) {
  auto mask = std::make_unique<bool[]>(static_cast<std::size_t>(tokens));
  for (index t = 0; t < tokens; ++t) mask[static_cast<std::size_t>(t)] = t % 2 == 0 || t == tokens - 1;
  return mask;
}

struct named_block {
  const char* name;
  std::vector<double> values;
};

/// All blocks of a gradient, in one order.
inline std::vector<named_block> blocks_of(const routing_gradient<double>& d) {
  const auto copy = [](const headgate::scratch<double>& block) {
    return std::vector<double>(block.data(), block.data() + block.size());
  };
  return {{"weights", copy(d.weights)},
          {"logits", copy(d.logits)},
          {"scores", copy(d.scores)},
          {"clean_logits", copy(d.clean_logits)},
          {"noise_scale", copy(d.noise_scale)}};
}

/// The plain value, without the weight.
template <class Loss>
double value_of(const Loss& loss, const routing<double>& r) {
  routing_gradient<double> d;
  d.reset(r);
  return loss(r, d);
}

/// No entry of the gradient is other than zero.
inline bool is_zero(const routing_gradient<double>& d) {
  for (const auto& block : blocks_of(d))
    for (const double value : block.values)
      if (!(value == 0)) return false;
  return true;
}

/// Central differences in each number of the record, the assignments' tokens and experts staying as they are, against
/// the analytic gradient, block by block, to a relative error of 1e-6; that the gradient is added to what is there; and
/// that a weight of zero leaves the value and no gradient.
/// Returns the names of the blocks that get a gradient.
template <class Loss>
std::string check_gradient(const Loss& loss, routing<double> r) {
  routing_gradient<double> d;
  d.reset(r);
  const double value = loss(r, d);
  CHECK(std::isfinite(value));
  const auto analytic = blocks_of(d);
  loss(r, d);
  const auto twice = blocks_of(d);
  if constexpr (requires { loss.weight; }) {
    auto watched = loss;
    watched.weight = 0;
    d.reset(r);
    CHECK(watched(r, d) == value);
    CHECK(is_zero(d));
  }

  std::vector<double*> first = {nullptr, r.logits.data(), r.scores.data(), r.clean_logits.data(), r.noise_scale.data()};
  std::string with_gradient;
  for (std::size_t b = 0; b < analytic.size(); ++b) {
    CAPTURE(analytic[b].name);
    double error = 0, size = 0;
    for (std::size_t i = 0; i < analytic[b].values.size(); ++i) {
      double& number = b == 0 ? r.assignments[static_cast<index>(i)].weight : first[b][i];
      const double there = number, step = 1e-5;
      number = there + step;
      const double above = value_of(loss, r);
      number = there - step;
      const double below = value_of(loss, r);
      number = there;
      const double numeric = headgate::weight_of<double>(loss) * (above - below) / (2 * step),
                   exact = analytic[b].values[i];
      error = (std::max)(error, std::abs(numeric - exact));
      size = (std::max)(size, std::abs(exact));
      CHECK(twice[b].values[i] == Approx(2 * exact).epsilon(1e-12));
    }
    CHECK(error <= (std::max)(1e-6 * size, 1e-10));
    if (size > 0) with_gradient += (with_gradient.empty() ? "" : " ") + std::string(analytic[b].name);
  }
  return with_gradient;
}

/// With a mask the value and the gradient are those of the record without the masked tokens, which get none; a mask of
/// the wrong length is refused. `make(mask)` is the loss with that mask.
template <class Make>
void check_mask(const Make& make, const routing<double>& r) {
  const auto mask = some_mask(r.tokens);
  const std::span<const bool> counts(mask.get(), static_cast<std::size_t>(r.tokens));
  const auto rest = without(r, counts);
  routing_gradient<double> d, expected;
  d.reset(r);
  expected.reset(rest);
  CHECK(make(counts)(r, d) == Approx(make({})(rest, expected)).epsilon(1e-14));
  CHECK(value_of(make(counts), r) != value_of(make({}), r));

  for (const auto block : {&routing_gradient<double>::logits, &routing_gradient<double>::scores,
                           &routing_gradient<double>::clean_logits, &routing_gradient<double>::noise_scale}) {
    if ((d.*block).size() == 0) continue;
    index row = 0;
    for (index t = 0; t < r.tokens; ++t) {
      for (index i = 0; i < r.experts; ++i)
        CHECK((d.*block)(t, i) ==
              Approx(mask[static_cast<std::size_t>(t)] ? (expected.*block)(row, i) : 0.0).margin(1e-15));
      if (mask[static_cast<std::size_t>(t)]) ++row;
    }
  }
  index place = 0;
  for (index i = 0; i < r.assignments.size(); ++i) {
    const bool kept = mask[static_cast<std::size_t>(r.assignments[i].token)];
    CHECK(d.weights(i, 0) == Approx(kept ? expected.weights(place, 0) : 0.0).margin(1e-15));
    if (kept) ++place;
  }

  const bool three[3] = {true, false, true};
  d.reset(r);
  CHECK_THROWS_WITH(make(three)(r, d), contains("the mask has 3 entries, the batch has " + std::to_string(r.tokens)));
}

/// No token, every token masked, no assignment at all: the value is finite, no gradient is NaN, and with no token that
/// counts both are zero.
template <class Make>
void check_nothing_to_do(const Make& make, routing<double> r) {
  routing_gradient<double> d;
  d.reset(r);
  const auto none = std::make_unique<bool[]>(static_cast<std::size_t>(r.tokens));
  const std::span<const bool> counts(none.get(), static_cast<std::size_t>(r.tokens));
  CHECK(make(counts)(r, d) == 0);
  CHECK(is_zero(d));

  r.assignments.clear();
  d.reset(r);
  CHECK(std::isfinite(make({})(r, d)));
  for (const auto& block : blocks_of(d))
    for (const double value : block.values) CHECK(std::isfinite(value));

  const auto kind = r.scores_are;
  r.reset(0, r.experts);
  r.scores_are = kind;
  d.reset(r);
  CHECK(make({})(r, d) == 0);
  CHECK(is_zero(d));
}

/// The second call takes its working memory from the first.
template <class Loss>
void check_reuses_memory(const Loss& loss, const routing<double>& r) {
  routing_gradient<double> d;
  d.reset(r);
  loss(r, d);
  const double* first = d.row.data();
  loss(r, d);
  CHECK(d.row.data() == first);
}

}  // namespace headgate_test
