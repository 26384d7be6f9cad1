// SPDX-License-Identifier: BSD-3-Clause
// The tables of time and memory.
#include "report.hpp"

#include "table.hpp"

#include <cmath>

namespace scaling {

namespace {

std::string tokens(double count) { return count < 9.5 ? text("%.1f", count) : text("%.0f", count); }

std::string where(const pass_time& time) {
  const auto [first, last] = time.exchange_outweighs();
  if (last <= first) return "never";
  if (std::isinf(last)) return first <= 0 ? std::string("always") : "from " + tokens(first);
  return first <= 0 ? "up to " + tokens(last) : tokens(first) + " to " + tokens(last);
}

/// At how many of many numbers of tokens the times contradict the interval that the formula gives.
double wrong_places(const pass_time& time) {
  const auto [first, last] = time.exchange_outweighs();
  double wrong = 0;
  for (double tokens = 0.37; tokens < 1e7; tokens *= 1.1)
    if ((time.exchange(tokens) > time.compute(tokens)) != (tokens > first && tokens < last)) ++wrong;
  return wrong;
}

}  // namespace

void print_times(const setting& s, agreement& seen) {
  table given({"node", "GFLOP/s", "reads weights, GB/s", "network, GB/s each way", "a message costs, us",
               "compute, us a token"});
  std::vector<std::string> head{"nodes"};
  for (const machine& m : machines()) {
    const pass_time time = time_of_pass(s, paper_traffic(s, s.nodes.front()), m, false);
    given.add({std::string(m.brief) + ": " + m.name, text("%.0f", m.flops / 1e9), text("%.0f", m.memory / 1e9),
               text("%.1f", m.network / 1e9), text("%.0f", m.message * 1e6),
               text("%.3g", time.compute_per_token * 1e6)});
    head.emplace_back(m.brief);
  }
  given.print("Nodes of the model of time");

  // One table: a cell for each number of nodes and machine.
  const auto print = [&](const std::string& title, bool with_backward, const auto& cell) {
    table rows(head);
    for (const layout& l : layouts(s)) {
      std::vector<std::string> row{l.name};
      for (const machine& m : machines()) {
        const pass_time time = time_of_pass(s, paper_traffic(s, l.nodes, l.rule), m, with_backward);
        row.push_back(cell(time));
        seen.expect_between(std::string("where the exchange is longer, ") + m.name + ", nodes " + l.name, 0, 0,
                            wrong_places(time));
      }
      rows.add(row);
    }
    rows.print(title);
  };
  const auto share = [](const pass_time& t) { return text("%.3g", t.exchange_per_token / t.compute_per_token); };
  const auto both = [&](const pass_time& t) {
    const double count = static_cast<double>(s.tokens);
    return text("%.3g / %.3g", t.exchange(count) * 1e3, t.compute(count) * 1e3);
  };
  print("Bytes alone: time of the exchange / time of compute, forward, many tokens", false, share);
  print(text("ms of exchange / ms of compute, forward of %td tokens a node", s.tokens), false, both);
  print("Tokens a node at which the exchange takes longer than compute, forward", false, where);
  print("The same, forward and backward", true, where);
}

void print_memory(const setting& s) {
  table rows({"nodes", "experts held", "weights, GB a layer", "rows out and in, kB a token",
              "results out and in, kB a token", "gradients over the replicas, GB a step"});
  for (const layout& l : layouts(s)) {
    const traffic t = paper_traffic(s, l.nodes, l.rule);
    const double copies =
        l.rule == beyond::replicas ? static_cast<double>(l.nodes) / static_cast<double>(t.peers + 1) : 1;
    const double width = static_cast<double>(s.model) * s.bytes_per_value / 1e3;
    const double results = t.remote_returns / (1 - 1 / static_cast<double>(t.peers + 1));  // with those that stay
    rows.add({l.name, text("%.4g", t.weights_per_rank / (3.0 * static_cast<double>(s.model * s.hidden))),
              text("%.3f", t.weights_per_rank * s.bytes_per_value / 1e9), text("%.0f", 2 * t.distinct * width),
              text("%.0f", 2 * results * width),
              copies > 1 ? text("%.3f", 2 * (1 - 1 / copies) * t.weights_per_rank * s.bytes_per_value / 1e9) : "0"});
  }
  rows.print(text("Memory of a node, and what replicas of experts add, %g bytes a value", s.bytes_per_value));
}

}  // namespace scaling
