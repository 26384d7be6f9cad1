// SPDX-License-Identifier: BSD-3-Clause
// Telemetry of several layers as JSON lines, one a layer.
#pragma once

#include <headgate/config.hpp>
#include <headgate/routing/telemetry.hpp>
#include <headgate/routing/telemetry_table.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <span>
#include <string>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// {"layer":"0","experts":8,"tokens":...,"assignments":...,"entropy":...,"normalised_entropy":...,"max_over_mean":...,
/// "unused_experts":...,"drop_rate":...,"mean_top1_probability":...,"mean_z":...,"mean_z_squared":...,"load":[...],
/// "share":[...]}, with null for what a layer's records do not hold. What is no UTF-8 in a name is replaced.
[[nodiscard]] inline std::string telemetry_lines(std::span<const named_telemetry> layers) {
  using json = nlohmann::ordered_json;
  const auto or_null = [](std::optional<double> value) { return value ? json(*value) : json(); };
  std::string text;
  for (const auto& [name, t] : layers) {
    json line;
    line["layer"] = name;
    line["experts"] = t.experts();
    line["tokens"] = t.tokens();
    line["assignments"] = t.assignments();
    line["entropy"] = t.entropy();
    line["normalised_entropy"] = t.normalised_entropy();
    line["max_over_mean"] = t.max_over_mean();
    line["unused_experts"] = t.unused_experts();
    line["drop_rate"] = or_null(t.drop_rate());
    line["mean_top1_probability"] = or_null(t.mean_top1_probability());
    line["mean_z"] = or_null(t.mean_z());
    line["mean_z_squared"] = or_null(t.mean_z_squared());
    json load = json::array(), share = json::array();
    for (index e = 0; e < t.experts(); ++e) {
      load.push_back(t.load(e));
      share.push_back(t.share(e));
    }
    line["load"] = std::move(load);
    line["share"] = std::move(share);
    text += line.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
  }
  return text;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
