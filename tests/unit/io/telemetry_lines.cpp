// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/telemetry_lines.hpp>

#include "support/catch.hpp"

#include <sstream>
#include <string>

namespace hg = headgate;

TEST_CASE("telemetry becomes one JSON line a layer, null for what is not known", "[io][telemetry_lines]") {
  hg::routing<double> r;
  r.reset(4, 2);
  for (const hg::index e : {0, 1, 1, 1}) r.assignments.push_back({r.assignments.size(), e, 1.0});
  hg::routing_telemetry bare, full(2);
  bare.add(r);
  r.scores_are = hg::score_kind::logits;
  r.logits.zero(4, 2);
  hg::dispatch_plan plan;
  plan.make(r, hg::capacity{.factor = 1});
  full.add(r, plan);
  const hg::named_telemetry layers[] = {{"block \"0\"\n", bare}, {"\xff", full}};
  const std::string text = hg::telemetry_lines(layers);
  CHECK(text.substr(0, 61) == "{\"layer\":\"block \\\"0\\\"\\n\",\"experts\":2,\"tokens\":4,\"assignments\"");

  std::istringstream lines(text);
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  CHECK(first["layer"] == "block \"0\"\n");
  CHECK(first["assignments"] == 4);
  CHECK(first["load"] == nlohmann::json({1, 3}));
  CHECK(first["share"] == nlohmann::json({0.25, 0.75}));
  CHECK(first["entropy"] == bare.entropy());
  CHECK(first["normalised_entropy"] == bare.normalised_entropy());
  CHECK(first["max_over_mean"] == 1.5);
  CHECK(first["unused_experts"] == 0);
  for (const char* unknown : {"drop_rate", "mean_top1_probability", "mean_z", "mean_z_squared"})
    CHECK((first.contains(unknown) && first[unknown].is_null()));

  REQUIRE(std::getline(lines, line));
  const auto second = nlohmann::json::parse(line);
  CHECK(second["drop_rate"] == 0.25);
  CHECK(second["mean_top1_probability"] == 0.5);
  CHECK(second["mean_z"] == full.mean_z().value());
  CHECK(second["mean_z_squared"] == full.mean_z_squared().value());
  CHECK(!std::getline(lines, line));
  CHECK(hg::telemetry_lines({}).empty());
}
