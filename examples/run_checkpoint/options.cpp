// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <command_line/parsed.hpp>
#include <headgate/core/error.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <limits>
#include <string_view>

namespace run_checkpoint {

namespace {

/// "0,3-5" as ranges.
std::vector<layer_range> parse_layers(const std::string& text) {
  std::vector<layer_range> ranges;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](index& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    const bool good = error == std::errc{} && value >= 0;
    at = next;
    return good;
  };
  const auto take = [&](char letter) { return at != end && *at == letter && ++at != nullptr; };
  bool good = true;
  do {
    layer_range range;
    good = number(range.first);
    range.last = range.first;
    if (good && take('-')) good = number(range.last) && range.first <= range.last;
    ranges.push_back(range);
  } while (good && take(','));
  if (!good || at != end) headgate::refuse("--layers is '", text, "', expected layers and ranges such as 0,3-5");
  return ranges;
}

/// A whole number in a range, which help does not mention.
CLI::Validator at_least(index least, index most = (std::numeric_limits<index>::max)()) {
  return CLI::Validator(
      [=](std::string& text) {
        index value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool whole = error == std::errc{} && end == text.data() + text.size();
        if (whole && value >= least && value <= most) return std::string();
        return most == (std::numeric_limits<index>::max)()
                   ? headgate::sentence("is '", text, "', expected a whole number of at least ", least)
                   : headgate::sentence("is '", text, "', expected a whole number from ", least, " to ", most);
      },
      "");
}

}  // namespace

const char* options::for_one_layer() const {
  if (check) return "--check";
  if (!record.empty()) return "--record";
  if (!replay.empty()) return "--replay";
  if (!output.empty()) return "--output";
  return nullptr;
}

std::optional<options> parse_options(int count, const char* const* arguments) {
  options chosen;
  std::string layers;
  CLI::App app{"Runs the MoE blocks of a model's checkpoint, one layer after the other, and says how they route.",
               "run_checkpoint"};
  app.get_formatter()->column_width(28);
  app.add_option("DIR", chosen.folder, "Folder with config.json and model.safetensors or its shards")
      ->required()
      ->type_name("");

  std::string group;
  const auto add = [&](const char* name, auto& value, const char* type, const char* what) {
    return app.add_option(name, value, what)->type_name(type)->group(group);
  };
  const auto add_flag = [&](const char* name, bool& value, const char* what) {
    return app.add_flag(name, value, what)->group(group);
  };

  group = "What runs";
  add("--layers", layers, "LIST", "Layers and ranges, such as 0,3-5 (default: all)");
  add("--input", chosen.input, "FILE",
      "Hidden states for each layer: x.npy or x.safetensors:TENSOR.\n"
      "All dimensions but the last are folded into tokens\n"
      "(default: random, unit normal)");
  add("--tokens", chosen.tokens, "N", "Tokens of random hidden states (default: 64)")->check(at_least(1));
  add("--seed", chosen.seed, "N", "Seed of random hidden states (default: 0)")->check(at_least(0));
  add("--threads", chosen.threads, "N", "Threads; the output has the same bits with any number\n(default: 1)")
      ->check(at_least(1, 1024));
  add("--repeat", chosen.repeat, "N", "Passes to time, after a first one (default: 5)")->check(at_least(1));

  group = "Steering of the router";
  add("--k", chosen.k, "N", "Experts for each token (default: the model's number)")->check(at_least(1));
  add("--skip", chosen.skip, "N", "Leave out the N best experts of each token")->check(at_least(0));
  add("--off", chosen.off, "LIST", "Switch experts off, such as 1,2")->delimiter(',')->allow_extra_args(false);
  CLI::Option* const replay =
      add("--replay", chosen.replay, "FILE", "Take the experts from a trace that --record wrote; one\nlayer only");
  CLI::Option* const recorded =
      add_flag("--recorded-weights", chosen.recorded_weights, "Take their weights from it too");

  group = "Results";
  add_flag("--experts", chosen.experts, "Show the load of each expert");
  add("--telemetry", chosen.telemetry, "FILE", "Write the telemetry, a line of JSON for each layer");
  add("--record", chosen.record, "FILE", "Write which experts each token went to; one layer only");
  add("--output", chosen.output, "FILE", "Write the output as .npy; one layer only");
  add_flag("--check", chosen.check,
           "Compare the output with tensor 'output' of the file of\n"
           "--input (default: DIR/block_io.safetensors); one layer only");

  if (!command_line::parsed(app, count, arguments)) return std::nullopt;
  if (recorded->count() > 0 && replay->count() == 0) headgate::refuse("--recorded-weights needs --replay");
  if (app.count("--layers") > 0) chosen.layers = parse_layers(layers);
  if (chosen.check && chosen.input.empty()) chosen.input = chosen.folder + "/block_io.safetensors:input";
  return chosen;
}

}  // namespace run_checkpoint
