// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>  // accumulate

namespace scaling {

namespace {

/// "5.28 (5.28 +- 0.01)": paper, and simulation with its standard error.
std::string both(double paper, const estimate& simulated) {
  return text("%.3f (%.3f +- %.3f)", paper, simulated.mean, simulated.error);
}

std::string less(double with, double without) { return text("%.0f %%", 100 * (1 - with / without)); }

}  // namespace

void agreement::expect(const std::string& what, double paper, const estimate& simulated) {
  const double slack = 4 * simulated.error + simulated.unseen + 1e-9;
  expect_between(what, paper - slack, paper + slack, simulated.mean);
}

void agreement::expect_between(const std::string& what, double low, double high, double simulated) {
  ++all_;
  if (simulated >= low && simulated <= high)
    ++agreed_;
  else
    std::fprintf(stderr, "headgate_scaling: %s: %g was simulated, expected %g to %g\n", what.c_str(), simulated, low,
                 high);
}

void agreement::print(const char* what) const { std::printf("\ncheck: %td of %td %s\n", agreed_, all_, what); }

routings::routings(const setting& s)
    : uniform(uniform_logits(s)),
      correlated(correlated_logits(s)),
      free(choose(s, uniform)),
      free_correlated(choose(s, correlated)),
      popularity(zipf_popularity(s)),
      s_(s) {
  skewed = choose(s, skewed_logits(s, popularity));
}

const std::vector<index>& routings::limited(index groups) {
  auto& choice = limited_[{false, groups}];
  if (choice.empty()) choice = choose_limited(s_, uniform, groups, s_.limit_nodes);
  return choice;
}

const std::vector<index>& routings::limited_correlated(index groups) {
  auto& choice = limited_[{true, groups}];
  if (choice.empty()) choice = choose_limited(s_, correlated, groups, s_.limit_nodes);
  return choice;
}

std::vector<layout> layouts(const setting& s) {
  std::vector<layout> all;
  for (const index nodes : s.nodes) {
    if (nodes <= s.experts) {
      all.push_back({nodes, beyond::replicas, text("%td", nodes)});
      continue;
    }
    all.push_back({nodes, beyond::replicas, text("%td, %td replicas", nodes, nodes / s.experts)});
    all.push_back({nodes, beyond::shards, text("%td, %td shards", nodes, nodes / s.experts)});
  }
  return all;
}

bool within(const setting& s, const layout& l) { return l.nodes <= s.experts; }

void print_rows(const setting& s, routings& drawn, agreement& seen) {
  table rows({"nodes", "experts held", "distinct nodes of a token", "its own among them", "rows out",
              "rows back, one per assignment", "rows back, one per node", "peers"});
  for (const layout& l : layouts(s)) {
    const traffic t = paper_traffic(s, l.nodes, l.rule);
    std::string distinct = text("%.3f", t.distinct), own = text("%.3f", t.own);
    if (within(s, l)) {
      const observed o = observe(s, drawn.free, l.nodes);
      distinct = both(t.distinct, o.distinct);
      own = both(t.own, o.own);
      seen.expect("distinct nodes of " + l.name, t.distinct, o.distinct);
      seen.expect("own node of " + l.name, t.own, o.own);
      seen.expect("rows out of " + l.name, t.remote, o.remote);
      seen.expect("remote assignments of " + l.name, t.remote_returns, o.remote_returns);
    }
    const double held = t.weights_per_rank / (3.0 * static_cast<double>(s.model * s.hidden));
    rows.add({l.name, text("%.4g", held), distinct, own, text("%.3f", t.remote), text("%.3f", t.remote_returns),
              text("%.3f", t.remote), text("%td", t.peers)});
  }
  rows.print("Rows of a token, paper (simulation +- standard error)");
}

void print_bytes(const setting& s) {
  std::vector<std::string> head{"nodes"};
  for (const row_format& f : row_formats()) {
    head.push_back(std::string(f.name) + ": out");
    head.push_back("back");
    head.push_back("back, one per node");
  }
  table rows(head);
  const auto kilobytes = [&](double count, double bytes) {
    return text("%.1f", count * static_cast<double>(s.model) * bytes / 1e3);
  };
  for (const layout& l : layouts(s)) {
    const traffic t = paper_traffic(s, l.nodes, l.rule);
    std::vector<std::string> row{l.name};
    for (const row_format& f : row_formats()) {
      row.push_back(kilobytes(t.remote, f.out));
      row.push_back(kilobytes(t.remote_returns, f.back));
      row.push_back(kilobytes(t.remote, f.back));
    }
    rows.add(row);
  }
  rows.print("Kilobytes (1000 bytes) that a token sends over the network in a forward; the backward sends as many");
}

void print_messages(const setting& s, routings& drawn, agreement& seen) {
  table rows({"nodes", "forward", "forward and backward", "rows of a message", "its kB", "smallest, rows", "empty",
              "busiest node / mean"});
  for (const layout& l : layouts(s)) {
    const traffic t = paper_traffic(s, l.nodes, l.rule);
    const double tokens = static_cast<double>(s.tokens), mean = tokens * t.hit;
    const double pairs = static_cast<double>(t.peers) * static_cast<double>(t.peers + 1);
    const double empty = std::pow(1 - t.hit, tokens), smallest = smallest_binomial(s.tokens, t.hit, pairs);
    std::string of_rows = text("%.2f", mean), of_smallest = text("%.1f", smallest), busiest = "-";
    std::string of_empty = text("%.2g %%", 100 * empty);
    if (within(s, l)) {
      const observed_messages o = observe_messages(s, drawn.free, l.nodes);
      of_rows += text(" (%.2f)", o.mean);
      of_smallest += text(" (%td)", o.smallest);
      of_empty += text(" (%.2g %%)", 100 * o.empty);
      busiest = text("(%.2f)", o.busiest);
      // Messages of one node share tokens, so independent ones err on the low side of the bound: six of their errors.
      const double error = std::sqrt(tokens * t.hit * (1 - t.hit) / pairs);
      seen.expect_between("rows of a message of " + l.name, mean - 6 * error, mean + 6 * error, o.mean);
      const double spread = 1 + 1.5 * std::sqrt(tokens * t.hit * (1 - t.hit));
      seen.expect_between("smallest message of " + l.name, smallest - spread, smallest + spread,
                          static_cast<double>(o.smallest));
      const double of_share = std::sqrt(empty * (1 - empty) / pairs);
      seen.expect_between("empty messages of " + l.name, empty - 6 * of_share - 1e-9, empty + 6 * of_share + 1e-9,
                          o.empty);
    }
    rows.add({l.name, text("%td", 3 * t.peers), text("%td", 5 * t.peers), of_rows,
              text("%.1f", mean * static_cast<double>(s.model) * s.bytes_per_value / 1e3), of_smallest, of_empty,
              busiest});
  }
  rows.print(text("Messages of a node with %td tokens, rows of %g bytes a value, paper (simulation)", s.tokens,
                  s.bytes_per_value));
}

void print_limits(const setting& s, routings& drawn, agreement& seen) {
  const std::string limit = text("at most %td nodes", s.limit_nodes);
  table rows({"nodes", "distinct, no limit", limit, "fewer rows out", "fewer bytes, a row back per assignment",
              text("%td of %td groups", s.limit_nodes, s.groups), "fewer rows out",
              text("correlation %g, no limit", s.correlation), limit});
  for (const layout& l : layouts(s)) {
    if (!within(s, l)) continue;
    const traffic free = paper_traffic(s, l.nodes);
    const auto distinct = [&](const std::vector<index>& choice) { return observe(s, choice, l.nodes).distinct; };
    std::vector<std::string> row{l.name, text("%.3f", free.distinct)};
    std::string correlated = "-";
    if (can_limit(s, l.nodes, s.limit_nodes)) {
      const std::vector<index> kept(static_cast<std::size_t>(s.limit_nodes), s.experts / l.nodes);
      const double low = distinct_parts(kept, s.k), high = static_cast<double>((std::min)(s.limit_nodes, s.k));
      const estimate seen_nodes = distinct(drawn.limited(l.nodes));
      traffic limited = free;
      limited.remote *= seen_nodes.mean / free.distinct;
      row.push_back(text("%.3f to %g (%.3f)", low, high, seen_nodes.mean));
      row.push_back(less(limited.remote, free.remote));
      row.push_back(less(forward_bytes(s, limited, 1, 1, false), forward_bytes(s, free, 1, 1, false)));
      correlated = text("(%.3f)", distinct(drawn.limited_correlated(l.nodes)).mean);
      seen.expect_between("limited nodes of " + l.name, low - 4 * seen_nodes.error - 1e-9, high, seen_nodes.mean);
    } else {
      row.insert(row.end(), {"-", "-", "-"});
    }
    if (can_limit(s, s.groups, s.limit_nodes)) {
      const estimate of_groups = distinct(drawn.limited(s.groups));
      row.push_back(text("(%.3f)", of_groups.mean));
      row.push_back(less(of_groups.mean, free.distinct));
    } else {
      row.insert(row.end(), {"-", "-"});
    }
    row.push_back(text("(%.3f)", distinct(drawn.free_correlated).mean));
    row.push_back(correlated);
    rows.add(row);
  }
  rows.print("Node-limited routing: distinct nodes of a token, paper (simulation)");
}

void print_skew(const setting& s, routings& drawn, agreement& seen) {
  table rows({"nodes", "distinct nodes", "uniform would be", "busiest node / mean", "idlest node / mean"});
  const double draws = static_cast<double>(s.draws);
  for (const layout& l : layouts(s)) {
    if (!within(s, l)) continue;
    const std::vector<double> hits = skewed_hits(s, drawn.popularity, l.nodes);
    const double distinct = std::accumulate(hits.begin(), hits.end(), 0.0),
                 uniform = paper_traffic(s, l.nodes).distinct;
    const observed o = observe(s, drawn.skewed, l.nodes);
    const auto extremes = [&](const std::vector<double>& received, double sum) {
      const auto [least, most] = std::minmax_element(received.begin(), received.end());
      const double mean = sum / static_cast<double>(l.nodes);
      return std::pair{*least / mean, *most / mean};
    };
    const auto paper = extremes(hits, distinct), simulated = extremes(o.received, o.distinct.mean);
    rows.add({l.name, both(distinct, o.distinct), text("%.3f", uniform),
              text("%.2f (%.2f)", paper.second, simulated.second), text("%.2f (%.2f)", paper.first, simulated.first)});
    seen.expect("distinct nodes under skew of " + l.name, distinct, o.distinct);
    double farthest = 0;  // in standard errors, of no less than one token
    for (std::size_t r = 0; r < hits.size(); ++r)
      farthest = (std::max)(farthest, std::abs(o.received[r] - hits[r]) /
                                          std::sqrt((std::max)(hits[r] * (1 - hits[r]), 1 / draws) / draws));
    seen.expect_between("standard errors of the farthest node under skew of " + l.name, 0, 5, farthest);
    // Where all experts are as popular the integral has a closed form.
    const std::vector<double> even(drawn.popularity.size(), 1 / static_cast<double>(s.experts));
    const std::vector<double> same = skewed_hits(s, even, l.nodes);
    seen.expect("distinct nodes by the integral, no skew, of " + l.name, uniform,
                {std::accumulate(same.begin(), same.end(), 0.0), 1e-8, 0});
  }
  rows.print(text("Experts by Zipf's law with exponent %g: rows that nodes receive, paper (simulation)", s.zipf));
}

}  // namespace scaling
