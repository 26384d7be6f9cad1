// SPDX-License-Identifier: BSD-3-Clause
#include "program.hpp"

#include "domains.hpp"
#include "report.hpp"
#include "terminal.hpp"

#include <command_line/parsed.hpp>
#include <headgate/core/error.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

namespace specialise {

namespace {

/// "1-3,7": 1, 2, 3, 7.
std::vector<std::uint64_t> parse_seeds(const std::string& list) {
  constexpr std::size_t most_digits = 9;
  constexpr std::uint64_t most_seeds = 1000;  // of one range: more is a slip of the finger
  std::vector<std::uint64_t> seeds;
  const auto bad = [&](const auto&... why) { hg::refuse("--seeds is '", list, "', ", why...); };
  const auto malformed = [&] { bad("expected numbers and ranges such as 1-3,7"); };
  std::size_t at = 0;
  const auto number = [&] {
    const std::size_t begin = at;
    while (at < list.size() && list[at] >= '0' && list[at] <= '9') ++at;
    if (at == begin) malformed();
    if (at - begin > most_digits) bad("a seed has ", at - begin, " digits, at most ", most_digits, " are taken");
    return std::uint64_t{std::stoul(list.substr(begin, at - begin))};
  };
  while (true) {
    const std::uint64_t first = number();
    std::uint64_t last = first;
    if (at < list.size() && list[at] == '-') ++at, last = number();
    if (last < first) bad("the range ", first, "-", last, " ends before it begins");
    if (last - first >= most_seeds)
      bad("the range ", first, "-", last, " has ", last - first + 1, " seeds, at most ", most_seeds, " are taken");
    for (std::uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
    if (at == list.size()) return seeds;
    if (list[at++] != ',') malformed();
  }
}

/// Refuses a run that cannot be before the first begins.
std::vector<settings> runs_of(const options& chosen) {
  std::vector<settings> runs;
  for (const std::uint64_t seed : parse_seeds(chosen.seeds))
    for (const std::string& pool : chosen.pools) {
      settings& how = runs.emplace_back(chosen.how);
      check(how, chosen.ranks);  // the batch, which the pool divides
      how.seed = seed;
      how.pool = parse_pool(pool, how.micro_batches());
      check(how, chosen.ranks);
    }
  return runs;
}

[[noreturn]] void fail(const std::vector<std::string>& failed, std::size_t runs) {
  std::string names;
  for (const std::string& name : failed) names += (names.empty() ? "" : ", ") + name;
  throw std::runtime_error(hg::sentence(failed.size(), " of ", runs, " runs failed, for the reasons above: ", names));
}

}  // namespace

std::optional<options> parse_options(int count, const char* const* arguments) {
  options chosen;
  settings& how = chosen.how;
  CLI::App app{"Trains a small mixture-of-experts language model on several domains, once for each balance pool."};
  app.option_defaults()->always_capture_default();
  app.add_option("--data", chosen.data, "Folder of <domain>.txt");
  app.add_option(
      "--out", chosen.outs,
      "Folder of logs, checkpoints and report.html; finished runs are skipped. `report` takes several, as of "
      "different weights");
  app.add_option("--seeds", chosen.seeds, "Such as 1-5 or 1,3");
  app.add_option("--pools", chosen.pools, "micro, global, shuffled, buffer or a number of micro-batches")
      ->delimiter(',');
  app.add_option("--ranks", chosen.ranks, "Data-parallel ranks; processes are as many as the job has");
  app.add_option("--steps", how.steps, "Optimiser steps");
  app.add_option("--batch", how.batch, "Sequences of a step");
  app.add_option("--micro", how.micro, "Sequences of a micro-batch");
  app.add_option("--chunk", how.chunk, "Micro-batches that are computed together");
  app.add_option("--sequence", how.sizes.sequence, "Bytes of a sequence");
  app.add_option("--layers", how.sizes.layers, "Blocks");
  app.add_option("--experts", how.sizes.experts, "Of a layer");
  app.add_option("--k", how.sizes.k, "Experts that a byte meets");
  app.add_option("--model", how.sizes.model, "Width");
  app.add_option("--hidden", how.sizes.hidden, "Of an expert");
  app.add_option("--taps", how.sizes.taps, "Bytes that the mixing sees");
  app.add_option("--weight", how.weight, "Of the balance loss");
  app.add_option("--router-z", how.router_z, "Weight of the router z-loss");
  app.add_option("--rate", how.rate, "Of AdamW at the peak");
  app.add_option("--warmup", how.warmup, "Share of the steps");
  app.add_option("--weight-decay", how.weight_decay, "Of AdamW");
  app.add_option("--clip", how.clip, "Norm of the gradient");
  app.add_option("--log-every", how.log_every, "Steps");
  app.add_option("--validate-every", how.validate_every, "Steps");
  app.add_option("--checkpoint-every", how.checkpoint_every, "Steps");
  app.add_option("--validation-sequences", how.validation_sequences, "Of each domain, evenly spread; 0: all");
  app.add_option("--time-out", how.time_out, "Seconds after which ranks give up one that is silent");
  CLI::App* const report =
      app.add_subcommand("report", "Only reads the runs of --out, writes report.html and prints the table");
  report->fallthrough();  // `report --out DIR`
  if (!command_line::parsed(app, count, arguments)) return std::nullopt;
  chosen.only_report = report->parsed();
  chosen.names_ranks = app.count("--ranks") > 0;
  if (chosen.outs.size() > 1 && !chosen.only_report)
    hg::refuse("there are ", chosen.outs.size(), " --out, runs are written to 1");
  return chosen;
}

void run_program(const options& chosen, bool leads,
                 const std::function<void(const settings&, const text&, const watcher&)>& train_one) {
  std::vector<std::string> failed;
  const std::vector<settings> runs = chosen.only_report ? std::vector<settings>{} : runs_of(chosen);
  if (!chosen.only_report) {
    const text data = read_domains(chosen.data, chosen.how.sizes.sequence);
    if (leads) {
      std::filesystem::create_directories(chosen.out());
      std::printf("%zu runs of %td steps on %zu domains of %s; logs go to %s\n\n", runs.size(), chosen.how.steps,
                  data.domains().size(), chosen.data.c_str(), chosen.out().c_str());
    }
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const settings& how = runs[i];
      const std::string name = run_name(how, chosen.ranks);
      progress line(hg::sentence("run ", i + 1, " of ", runs.size(), "  ", name));
      watcher watch;
      watch.step = [&](const run_view& now) { line.show(now); };
      watch.note = [&](const std::string& sentence) { line.note(sentence); };
      watch.validation = [&](index step, index steps) { line.validates(step, steps); };
      try {
        train_one(how, data, watch);
      } catch (const std::exception& reason) {
        if (chosen.ends_at_failure) throw;
        if (leads) line.note(hg::sentence("failed: ", reason.what()));
        failed.push_back(name);
      }
    }
    if (failed.size() == runs.size()) fail(failed, runs.size());
  }
  if (!leads) return;
  std::printf("\n%s", write_report({chosen.outs.begin(), chosen.outs.end()}).c_str());
  std::printf("\nreport: %s\n",
              std::filesystem::absolute(std::filesystem::path(chosen.out()) / "report.html").string().c_str());
  if (!failed.empty()) fail(failed, runs.size());
}

}  // namespace specialise
