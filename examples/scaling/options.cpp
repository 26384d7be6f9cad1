// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <command_line/parsed.hpp>
#include <headgate/core/error.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace scaling {

namespace {

constexpr index most = index{1} << 24;  // tokens times nodes, or model times hidden, stay far below 2^63

void check(const setting& s) {
  for (const auto& [name, value] :  // no number is outside of any range
       {std::pair{"--bytes-per-value", s.bytes_per_value}, {"--zipf", s.zipf}, {"--correlation", s.correlation}})
    if (std::isnan(value)) headgate::refuse(name, " is ", value, ", it must be a number");
  if (s.k > s.experts) headgate::refuse("--k is ", s.k, ", there are ", s.experts, " experts");
  if (s.experts % s.groups != 0)
    headgate::refuse("--groups is ", s.groups, ", which does not divide the ", s.experts, " experts");
  if (s.measure > s.experts) headgate::refuse("--measure is ", s.measure, ", there are ", s.experts, " experts");
  for (const index nodes : s.nodes) {
    if (nodes < 2) headgate::refuse("--nodes names ", nodes, ", an exchange takes at least 2");
    if (nodes > s.experts && nodes % s.experts != 0)
      headgate::refuse("--nodes names ", nodes, ", which is more than the ", s.experts,
                       " experts and no multiple of them");
    if (const index step = (std::min)(nodes, s.experts) * s.tokens; step > s.draws)
      headgate::refuse("--draws is ", s.draws, ", ", nodes, " nodes of ", s.tokens, " tokens take ", step);
  }
}

}  // namespace

std::optional<setting> parse_options(int count, const char* const* arguments) {
  setting s;
  CLI::App app{"Bytes, messages and time of expert parallelism, on paper and by simulation.", "headgate_scaling"};
  app.get_formatter()->column_width(28);
  std::string group;
  const auto add = [&](const char* name, auto& value, const char* type, const char* what) {
    return app.add_option(name, value, what)->type_name(type)->group(group)->capture_default_str();
  };
  const auto size = [&](const char* name, index& value, const char* what) {
    add(name, value, "N", what)->check(CLI::Range(index{1}, most));
  };

  group = "The layer";
  size("--experts", s.experts, "Experts");
  size("--k", s.k, "Experts of a token");
  size("--model", s.model, "Width of a token");
  size("--hidden", s.hidden, "Hidden width of a SwiGLU expert");
  size("--tokens", s.tokens, "Tokens of each node in one pass");

  group = "The machine";
  add("--nodes", s.nodes, "LIST", "Numbers of nodes, such as 8,16")->delimiter(',')->allow_extra_args(false);
  add("--bytes-per-value", s.bytes_per_value, "B", "Of rows and weights, where a table shows one kind")
      ->check(CLI::Range(0.125, 16.0));

  group = "The routing";
  size("--limit-nodes", s.limit_nodes, "Nodes, or groups, that a limited token may use");
  size("--groups", s.groups, "Groups of the limit that does not depend on the nodes");
  add("--zipf", s.zipf, "S", "Exponent of the skewed popularity of experts")->check(CLI::Range(0.0, 4.0));
  add("--correlation", s.correlation, "R", "Of the logits of one group")->check(CLI::Range(0.0, 1.0));
  size("--draws", s.draws, "Tokens of the simulation");
  add("--seed", s.seed, "N", "Seed of the simulation");

  group = "Results";
  app.add_flag("--check", s.check, "Fail where the simulation does not agree with the paper")->group(group);
  add("--measure", s.measure, "RANKS", "Count what the library's own exchange sends, on threads, and nothing else")
      ->check(CLI::Range(index{2}, index{64}));
  add("--pictures", s.pictures, "DIR", "Write the pictures of docs/scaling.md there");

  if (!command_line::parsed(app, count, arguments)) return std::nullopt;
  check(s);
  return s;
}

}  // namespace scaling
