// SPDX-License-Identifier: BSD-3-Clause
#include "paper.hpp"

#include <headgate/core/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>  // accumulate, iota

namespace scaling {

std::vector<index> experts_of_ranks(index experts, index ranks) {
  std::vector<index> sizes(static_cast<std::size_t>(ranks));
  for (index e = 0; e < experts; ++e) ++sizes[static_cast<std::size_t>(rank_of(e, experts, ranks))];
  return sizes;
}

double miss(index experts, index held, index k) {
  double chance = 1;
  for (index i = 0; i < k; ++i)
    chance *= static_cast<double>((std::max)(experts - held - i, index{0})) / static_cast<double>(experts - i);
  return chance;
}

double distinct_parts(std::span<const index> sizes, index k) {
  const index experts = std::accumulate(sizes.begin(), sizes.end(), index{0});
  double sum = 0;
  for (const index held : sizes) sum += 1 - miss(experts, held, k);
  return sum;
}

traffic paper_traffic(const setting& s, index nodes, beyond rule) {
  const double k = static_cast<double>(s.k), parameters = 3.0 * static_cast<double>(s.model * s.hidden);
  const index ranks = (std::min)(nodes, s.experts);
  const double copies = static_cast<double>(nodes) / static_cast<double>(ranks);
  const double shards = rule == beyond::shards ? copies : 1.0;
  traffic t;
  t.peers = (rule == beyond::shards ? nodes : ranks) - 1;
  const double across = static_cast<double>(t.peers + 1);
  t.distinct = shards * distinct_parts(experts_of_ranks(s.experts, ranks), s.k);
  t.hit = t.distinct / across;
  t.own = t.hit;  // a token's rank and its experts have nothing to do with each other
  t.remote = t.distinct - t.own;
  t.remote_returns = shards * k * (1 - 1 / across);
  t.weights_per_rank = parameters * static_cast<double>(s.experts) / static_cast<double>(ranks) / shards;
  return t;
}

std::span<const row_format> row_formats() {
  static constexpr std::array<row_format, 3> all{
      {{"fp32", 4, 4}, {"bf16", 2, 2}, {"fp8 out, bf16 back", 1 + 4.0 / 128, 2}}};
  return all;
}

double forward_bytes(const setting& s, const traffic& t, double out, double back, bool one_return_per_rank) {
  const double returns = one_return_per_rank ? t.remote : t.remote_returns;
  return static_cast<double>(s.model) * (t.remote * out + returns * back);
}

std::span<const machine> machines() {
  static constexpr double gigabit = 1e9 / 8;
  static constexpr std::array<machine, 5> all{{
      {"2 CPU cores, 100 Gb/s Ethernet", 272e9, 86e9, 100 * gigabit, 20e-6, "2 cores, Ethernet"},
      {"100 CPU cores, 100 Gb/s Ethernet", 5e12, 400e9, 100 * gigabit, 20e-6, "100 cores, Ethernet"},
      {"100 CPU cores, 400 Gb/s InfiniBand", 5e12, 400e9, 400 * gigabit, 2e-6, "100 cores, InfiniBand"},
      {"8 GPUs, one 400 Gb/s InfiniBand", 8 * 400e12, 8 * 3.35e12, 400 * gigabit, 2e-6, "8 GPUs, one link"},
      {"8 GPUs, eight 400 Gb/s InfiniBand", 8 * 400e12, 8 * 3.35e12, 8 * 400 * gigabit, 2e-6, "8 GPUs, eight links"},
  }};
  return all;
}

double pass_time::compute(double tokens) const { return (std::max)(reading, compute_per_token * tokens); }

pass_time::interval pass_time::exchange_outweighs() const {
  constexpr double never = std::numeric_limits<double>::infinity();
  // fixed + b t > reading from the first on, fixed + b t > a t up to the last.
  return {(std::max)(0.0, (reading - exchange_fixed) / exchange_per_token),
          compute_per_token > exchange_per_token ? exchange_fixed / (compute_per_token - exchange_per_token) : never};
}

pass_time time_of_pass(const setting& s, const traffic& t, const machine& m, bool with_backward) {
  const double passes = with_backward ? 2 : 1;       // the backward sends what the forward sends, without counts
  const double collectives = with_backward ? 5 : 3;  // counts, out, back; out, back
  const double products = with_backward ? 3 : 1;     // the backward of a product is two products
  pass_time time;
  time.exchange_fixed = collectives * static_cast<double>(t.peers) * m.message;
  time.exchange_per_token = passes * forward_bytes(s, t, s.bytes_per_value, s.bytes_per_value, false) / m.network;
  time.reading = products * t.weights_per_rank * s.bytes_per_value / m.memory;
  time.compute_per_token = products * 6.0 * static_cast<double>(s.model * s.hidden * s.k) / m.flops;
  return time;
}

double smallest_binomial(index trials, double chance, double count) {
  if (chance >= 1) return static_cast<double>(trials);
  const double n = static_cast<double>(trials);
  double below = 0, expected = 0;  // below = P(number <= i)
  for (index i = 0; i < trials; ++i) {
    const double j = static_cast<double>(i);
    below += std::exp(std::lgamma(n + 1) - std::lgamma(j + 1) - std::lgamma(n - j + 1) + j * std::log(chance) +
                      (n - j) * std::log1p(-chance));
    expected += std::pow((std::max)(0.0, 1 - below), count);  // P(all are above i)
  }
  return expected;
}

std::vector<double> zipf_popularity(const setting& s) {
  std::vector<index> places(static_cast<std::size_t>(s.experts));
  std::iota(places.begin(), places.end(), index{0});
  const headgate::random_stream stream = headgate::random_stream{s.seed}.channel(3);
  for (index i = s.experts - 1; i > 0; --i) {
    const index other = headgate::uniform_index(stream, 0, i, i + 1);
    std::swap(places[static_cast<std::size_t>(i)], places[static_cast<std::size_t>(other)]);
  }
  std::vector<double> popularity;
  for (const index place : places) popularity.push_back(std::pow(static_cast<double>(1 + place), -s.zipf));
  const double sum = std::accumulate(popularity.begin(), popularity.end(), 0.0);
  for (double& p : popularity) p /= sum;
  return popularity;
}

namespace {

/// P(fewer than k of the experts outside [first, last) have arrived), each with its own chance.
double fewer_than(index k, std::span<const double> arrived, std::size_t first, std::size_t last) {
  std::vector<double> exactly(static_cast<std::size_t>(k));  // P(exactly j), j < k
  exactly[0] = 1;
  for (std::size_t e = 0; e < arrived.size(); ++e) {
    if (e == first) e = last;
    if (e == arrived.size()) break;
    for (std::size_t j = exactly.size(); j-- > 1;) exactly[j] += arrived[e] * (exactly[j - 1] - exactly[j]);
    exactly[0] -= arrived[e] * exactly[0];
  }
  return std::accumulate(exactly.begin(), exactly.end(), 0.0);
}

}  // namespace

std::vector<double> skewed_hits(const setting& s, std::span<const double> popularity, index ranks) {
  const std::vector<index> held = experts_of_ranks(s.experts, ranks);
  std::vector<double> hits(held.size()), arrived(popularity.size());
  constexpr double step = 0.1;  // of log t: the integrand is smooth in it and vanishes at both ends
  for (double log_t = -22;; log_t += step) {
    const double t = std::exp(log_t);
    std::transform(popularity.begin(), popularity.end(), arrived.begin(),
                   [&](double p) { return -std::expm1(-p * t); });
    if (fewer_than(s.k, arrived, arrived.size(), arrived.size()) < 1e-14) break;  // all k experts are there
    std::size_t first = 0;
    for (std::size_t r = 0; r < held.size(); ++r) {
      const std::size_t last = first + static_cast<std::size_t>(held[r]);
      double own = 0;
      for (std::size_t e = first; e < last; ++e) own += popularity[e];
      hits[r] += step * t * own * std::exp(-own * t) * fewer_than(s.k, arrived, first, last);
      first = last;
    }
  }
  return hits;
}

}  // namespace scaling
