// SPDX-License-Identifier: BSD-3-Clause
#include "simulation.hpp"

#include "paper.hpp"

#include <headgate/core/random.hpp>
#include <headgate/gates/select/adjusted.hpp>
#include <headgate/gates/select/group_limit.hpp>
#include <headgate/gates/select/top_k.hpp>

#include <algorithm>
#include <cmath>

namespace scaling {

namespace hg = headgate;

namespace {

template <class F>
hg::matrix<float> logits_by(const setting& s, const F& logit) {
  hg::matrix<float> logits(s.draws, s.experts);
  for (index t = 0; t < s.draws; ++t)
    for (index e = 0; e < s.experts; ++e) logits(t, e) = static_cast<float>(logit(t, e));
  return logits;
}

/// Sums of a number and of its square over tokens.
struct sums {
  double value = 0, square = 0;
  void add(double x) {
    value += x;
    square += x * x;
  }
  [[nodiscard]] estimate over(index count) const {
    const double n = static_cast<double>(count), mean = value / n;
    const double error = std::sqrt((std::max)(0.0, square / n - mean * mean) / n);
    return {mean, error, error > 0 ? 0 : 10 / n};
  }
};

/// Calls row(token, rank) for each distinct rank of the experts of each of the first `tokens` tokens.
template <class F>
void for_each_row(const setting& s, std::span<const index> choice, index tokens, index ranks, const F& row) {
  std::vector<index> last(static_cast<std::size_t>(ranks), -1);  // the token that came to the rank last
  for (index t = 0; t < tokens; ++t)
    for (index i = 0; i < s.k; ++i) {
      const index rank = rank_of(choice[static_cast<std::size_t>(t * s.k + i)], s.experts, ranks);
      if (last[static_cast<std::size_t>(rank)] == t) continue;
      last[static_cast<std::size_t>(rank)] = t;
      row(t, rank);
    }
}

}  // namespace

hg::matrix<float> uniform_logits(const setting& s) {
  const hg::random_stream stream = hg::random_stream{s.seed}.channel(0);
  return logits_by(s, [&](index t, index e) { return hg::normal(stream, t, e); });
}

hg::matrix<float> correlated_logits(const setting& s) {
  const hg::random_stream each = hg::random_stream{s.seed}.channel(0), common = hg::random_stream{s.seed}.channel(1);
  const double shared = std::sqrt(s.correlation), alone = std::sqrt(1 - s.correlation);
  return logits_by(s, [&](index t, index e) {
    return alone * hg::normal(each, t, e) + shared * hg::normal(common, t, rank_of(e, s.experts, s.groups));
  });
}

hg::matrix<float> skewed_logits(const setting& s, std::span<const double> popularity) {
  const hg::random_stream stream = hg::random_stream{s.seed}.channel(2);
  return logits_by(s, [&](index t, index e) {
    return std::log(popularity[static_cast<std::size_t>(e)]) + hg::gumbel(stream, t, e);
  });
}

std::vector<index> choose(const setting& s, const hg::matrix<float>& logits) {
  const hg::top_k<> select{.k = s.k};
  select.check({.model = s.model, .experts = s.experts});
  std::vector<index> choice(static_cast<std::size_t>(logits.rows() * s.k));
  for (index t = 0; t < logits.rows(); ++t) select(logits.data() + t * s.experts, s.experts, choice.data() + t * s.k);
  return choice;
}

std::vector<index> choose_limited(const setting& s, const hg::matrix<float>& logits, index groups, index keep) {
  using limited = hg::adjusted<hg::group_limit<hg::top_two_sum>, hg::top_k<>>;
  const limited select{.adjust = {.groups = groups, .keep = keep}, .select = {.k = s.k}};
  select.check({.model = s.model, .experts = s.experts});
  const auto experts = static_cast<std::size_t>(s.experts);
  std::vector<index> choice(static_cast<std::size_t>(logits.rows() * s.k)), ids(experts);
  std::vector<float> memory(2 * experts);
  for (index t = 0; t < logits.rows(); ++t) {
    select(limited::params{}, logits.data() + t * s.experts, s.experts, ids.data(), memory.data());
    std::copy_n(ids.data(), s.k, choice.data() + t * s.k);
  }
  return choice;
}

bool can_limit(const setting& s, index groups, index keep) {
  return groups <= s.experts && s.experts % groups == 0 && keep <= groups && s.experts / groups >= 2 &&
         keep * (s.experts / groups) >= s.k;
}

observed observe(const setting& s, std::span<const index> choice, index ranks) {
  observed seen;
  seen.received.resize(static_cast<std::size_t>(ranks));
  std::vector<index> distinct(static_cast<std::size_t>(s.draws)), own(distinct.size());
  for_each_row(s, choice, s.draws, ranks, [&](index t, index rank) {
    ++distinct[static_cast<std::size_t>(t)];
    if (rank == t % ranks) ++own[static_cast<std::size_t>(t)];
    seen.received[static_cast<std::size_t>(rank)] += 1 / static_cast<double>(s.draws);
  });
  sums of_distinct, of_own, of_remote, of_returns;
  for (index t = 0; t < s.draws; ++t) {
    of_distinct.add(static_cast<double>(distinct[static_cast<std::size_t>(t)]));
    of_own.add(static_cast<double>(own[static_cast<std::size_t>(t)]));
    of_remote.add(static_cast<double>(distinct[static_cast<std::size_t>(t)] - own[static_cast<std::size_t>(t)]));
    index elsewhere = 0;
    for (index i = 0; i < s.k; ++i)
      if (rank_of(choice[static_cast<std::size_t>(t * s.k + i)], s.experts, ranks) != t % ranks) ++elsewhere;
    of_returns.add(static_cast<double>(elsewhere));
  }
  seen.distinct = of_distinct.over(s.draws);
  seen.own = of_own.over(s.draws);
  seen.remote = of_remote.over(s.draws);
  seen.remote_returns = of_returns.over(s.draws);
  return seen;
}

observed_messages observe_messages(const setting& s, std::span<const index> choice, index ranks) {
  std::vector<index> rows(static_cast<std::size_t>(ranks * ranks));  // [from][to]
  for_each_row(s, choice, ranks * s.tokens, ranks,
               [&](index t, index to) { ++rows[static_cast<std::size_t>(t % ranks * ranks + to)]; });
  observed_messages seen;
  index all = 0, most = 0, empty = 0;
  seen.smallest = s.tokens;
  for (index to = 0; to < ranks; ++to) {
    index received = 0;
    for (index from = 0; from < ranks; ++from) {
      if (from == to) continue;
      const index message = rows[static_cast<std::size_t>(from * ranks + to)];
      received += message;
      empty += message == 0;
      seen.smallest = (std::min)(seen.smallest, message);
    }
    all += received;
    most = (std::max)(most, received);
  }
  const double messages = static_cast<double>(ranks * (ranks - 1));
  seen.mean = static_cast<double>(all) / messages;
  seen.empty = static_cast<double>(empty) / messages;
  seen.busiest = static_cast<double>(most) * static_cast<double>(ranks) / static_cast<double>(all);
  return seen;
}

}  // namespace scaling
