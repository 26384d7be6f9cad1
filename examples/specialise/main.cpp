// SPDX-License-Identifier: BSD-3-Clause
// The experiment: when do experts specialise in domains? Trains small language models that differ in the pool of their
// balance loss alone (Qiu et al. 2025, arXiv:2501.11873).
#include "terminal.hpp"
#include "training.hpp"

#include <headgate/core/error.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

namespace {

struct options {
  specialise::settings how;
  std::string data = "examples/specialise/data";
  std::string out = "specialise-runs";
  std::string seeds = "1-2";
  std::vector<std::string> pools{"micro", "4", "16", "global", "shuffled"};
  specialise::index ranks = 1;
};

/// "1-3,7": 1, 2, 3, 7.
std::vector<std::uint64_t> parse_seeds(const std::string& list) {
  std::vector<std::uint64_t> seeds;
  const auto bad = [&] { headgate::refuse("--seeds is '", list, "', expected numbers and ranges such as 1-3,7"); };
  std::size_t at = 0;
  const auto number = [&] {
    std::uint64_t value = 0;
    const std::size_t begin = at;
    for (; at < list.size() && list[at] >= '0' && list[at] <= '9' && at - begin < 9; ++at)
      value = 10 * value + static_cast<std::uint64_t>(list[at] - '0');
    if (at == begin) bad();
    return value;
  };
  while (true) {
    const std::uint64_t first = number();
    std::uint64_t last = first;
    if (at < list.size() && list[at] == '-') ++at, last = number();
    if (last < first || last - first > 1000) bad();
    for (std::uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
    if (at == list.size()) return seeds;
    if (list[at++] != ',') bad();
  }
}

void run(const options& chosen) {
  const specialise::text data = specialise::read_domains(chosen.data, chosen.how.sizes.sequence);
  std::filesystem::create_directories(chosen.out);
  std::vector<specialise::settings> runs;
  for (const std::uint64_t seed : parse_seeds(chosen.seeds))
    for (const std::string& pool : chosen.pools) {
      specialise::settings how = chosen.how;
      how.seed = seed;
      how.pool = specialise::parse_pool(pool, how.micro_batches());
      specialise::check(how, chosen.ranks);
      runs.push_back(how);
    }
  for (const specialise::settings& how : runs) {
    specialise::progress line(specialise::run_name(how, chosen.ranks));
    specialise::watcher watch;
    watch.step = [&](const specialise::run_view& now) { line.show(now); };
    watch.note = [&](const std::string& sentence) { line.note(sentence); };
    specialise::train(how, data, chosen.out, chosen.ranks, watch);
  }
}

}  // namespace

int main(int count, char** arguments) {
  options chosen;
  specialise::settings& how = chosen.how;
  CLI::App app{"Trains a small mixture-of-experts language model on several domains, once for each balance pool."};
  app.option_defaults()->always_capture_default();
  app.add_option("--data", chosen.data, "Folder of <domain>.txt");
  app.add_option("--out", chosen.out, "Folder of logs and checkpoints; finished runs are skipped");
  app.add_option("--seeds", chosen.seeds, "Such as 1-5 or 1,3");
  app.add_option("--pools", chosen.pools, "micro, global, shuffled, buffer or a number of micro-batches")
      ->delimiter(',');
  app.add_option("--ranks", chosen.ranks, "Data-parallel ranks");
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
  app.add_option("--validation-sequences", how.validation_sequences, "Of each domain; 0: all");
  CLI11_PARSE(app, count, arguments);
  try {
    run(chosen);
    return 0;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "specialise: %s\n", error.what());
    return 1;
  }
}
