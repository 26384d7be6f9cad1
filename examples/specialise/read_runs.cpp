// SPDX-License-Identifier: BSD-3-Clause
#include "read_runs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace specialise {

namespace {

using json = nlohmann::ordered_json;

template <class... Parts>
[[noreturn]] void refuse_run(const Parts&... parts) {
  std::ostringstream sentence;
  (sentence << ... << parts);
  throw std::runtime_error(sentence.str());
}

/// A number that is one: a loss that is no number any more is written as null.
double finite(const json& value, const char* what) {
  if (value.is_null()) refuse_run("diverged: ", what, " is not a number");
  return value.get<double>();
}

std::vector<double> finite_list(const json& values, const char* what, std::size_t count) {
  if (!values.is_array() || values.size() != count)
    refuse_run(what, " has ", values.size(), " entries, expected ", count);
  std::vector<double> list;
  for (const json& value : values) list.push_back(finite(value, what));
  return list;
}

void read_settings(const json& said, logged_run& run) {
  said.at("name").get_to(run.name);
  said.at("pool").get_to(run.pool);
  said.at("pool_size").get_to(run.pool_size);
  said.at("seed").get_to(run.seed);
  said.at("ranks").get_to(run.ranks);
  said.at("weight").get_to(run.weight);
  said.at("domains").get_to(run.domains);
  said.at("layers").get_to(run.layers);
  said.at("experts").get_to(run.experts);
  said.at("k").get_to(run.k);
  said.at("steps").get_to(run.steps);
  if (run.layers < 1 || run.experts < 1 || run.domains.empty())
    refuse_run("it has ", run.layers, " layers, ", run.experts, " experts and ", run.domains.size(), " domains");
  run.settings = said;
  for (const char* own : {"name", "pool", "pool_size", "seed", "ranks", "weight"}) run.settings.erase(own);
}

std::vector<index> count_list(const json& values, std::size_t count) {
  if (!values.is_array() || values.size() != count)
    refuse_run("a row of counts has ", values.size(), " entries, expected ", count);
  for (const json& value : values)
    if (!value.is_number_integer() || value < 0) refuse_run("a count is ", value.dump(), ", expected a whole number");
  return values.get<std::vector<index>>();
}

/// Logs hold 6 digits at least; a figure that is another one differs by more.
void agree(double logged, double computed, const char* what, const char* given_by) {
  if (std::abs(logged - computed) > 1e-5 * (1 + std::abs(computed)))
    refuse_run(what, " is ", logged, ", ", given_by, " ", computed);
}

validation_record read_validation(const json& said, const logged_run& run) {
  const auto domains = run.domains.size(), layers = static_cast<std::size_t>(run.layers);
  validation_record v;
  said.at("step").get_to(v.step);
  const double bpb = finite(said.at("bpb"), "bpb");
  v.bpb_by_domain = finite_list(said.at("bpb_by_domain"), "bpb_by_domain", domains);
  const auto information = finite_list(said.at("information"), "information", layers);
  const auto largest_frequency = finite_list(said.at("largest_frequency"), "largest_frequency", layers);
  const json& counts = said.at("counts");
  if (counts.size() != layers) refuse_run("counts has ", counts.size(), " layers, expected ", layers);
  for (const json& layer : counts) {
    if (layer.size() != domains) refuse_run("counts has ", layer.size(), " domains, expected ", domains);
    domain_counts& of_layer = v.counts.emplace_back();
    for (const json& row : layer) of_layer.push_back(count_list(row, static_cast<std::size_t>(run.experts)));
  }
  agree(bpb, v.bpb(), "bpb", "bpb_by_domain gives");
  for (std::size_t l = 0; l < layers; ++l) {
    agree(information[l], information_of(v.counts[l]), "information", "counts give");
    agree(largest_frequency[l], largest_frequency_of(v.counts[l]), "largest_frequency", "counts give");
  }
  return v;
}

struct logged_step {
  step_record record;
  double tokens_per_second = 0;
};

logged_step read_step(const json& said, const logged_run& run) {
  const auto layers = static_cast<std::size_t>(run.layers);
  return {{.step = said.at("step").get<index>(),
           .train_bpb = finite(said.at("train_bpb"), "train_bpb"),
           .balance = finite_list(said.at("balance"), "balance", layers),
           .micro_balance = finite_list(said.at("micro_balance"), "micro_balance", layers)},
          finite(said.at("tokens_per_second"), "tokens_per_second")};
}

/// Means over the steps; the balance over the last tenth, because one batch of it is noisy.
void summarise(const std::map<index, logged_step>& steps, logged_run& run) {
  const auto is_late = [&](index step) { return step * 10 > run.steps * 9 || step == steps.rbegin()->first; };
  double late = 0;
  for (const auto& [step, logged] : steps) late += is_late(step) ? 1 : 0;
  run.balance.assign(static_cast<std::size_t>(run.layers), late > 0 ? 0 : std::nan(""));
  run.micro_balance = run.balance;
  for (const auto& [step, logged] : steps) {
    run.tokens_per_second += logged.tokens_per_second / static_cast<double>(steps.size());
    for (std::size_t l = 0; is_late(step) && l < run.balance.size(); ++l) {
      run.balance[l] += logged.record.balance[l] / late;
      run.micro_balance[l] += logged.record.micro_balance[l] / late;
    }
  }
}

/// micro, growing pools, global, then what is not sorted by size.
int kind_of(const std::string& pool) {
  if (pool == "micro") return 0;
  if (pool == "global") return 2;
  return !pool.empty() && pool.back() == 'x' ? 1 : 3;
}

auto order_of(const logged_run& run) {
  return std::make_tuple(run.weight, kind_of(run.pool), kind_of(run.pool) == 1 ? run.pool_size : 0, run.pool, run.ranks,
                         run.seed);
}

/// The first setting in which two runs differ, as a sentence.
std::string difference(const json& a, const json& b) {
  for (const auto& [key, value] : a.items())
    if (!b.contains(key) || b.at(key) != value)
      return key + " is " + value.dump() + ", most runs here have " + (b.contains(key) ? b.at(key).dump() : "none");
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) return key + " is missing, most runs here have " + value.dump();
  return "";
}

/// Moves to `skipped` what was run with other settings than most runs were.
void keep_one_kind(run_folder& folder) {
  if (folder.runs.empty()) return;
  std::map<std::string, std::size_t> votes;
  for (const logged_run& run : folder.runs) ++votes[run.settings.dump()];
  const logged_run* most = &folder.runs.front();
  for (const logged_run& run : folder.runs)
    if (votes[run.settings.dump()] > votes[most->settings.dump()]) most = &run;
  const json common = most->settings;
  std::erase_if(folder.runs, [&](const logged_run& run) {
    const std::string why = difference(run.settings, common);
    if (!why.empty()) folder.skipped.push_back(run.name + ": " + why);
    return !why.empty();
  });
}

}  // namespace

logged_run parse_run(const std::string& text) {
  logged_run run;
  std::map<index, logged_step> steps;
  std::map<index, validation_record> validations;
  bool begun = false, done = false;
  std::string refusal;
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    try {
      const json said = json::parse(line);
      if (said.contains("run")) {
        read_settings(said.at("run"), run);
        begun = true;
      } else if (!begun) {
        refuse_run("the first line is not of a run");
      } else if (said.contains("validation")) {
        validation_record v = read_validation(said.at("validation"), run);
        validations.insert_or_assign(v.step, std::move(v));
      } else if (said.contains("step")) {
        logged_step s = read_step(said, run);
        steps.insert_or_assign(s.record.step, std::move(s));
      } else if (said.contains("refused")) {
        said.at("refused").get_to(refusal);
      } else if (said.contains("done")) {
        said.at("done").at("seconds").get_to(run.seconds);
        said.at("done").at("weights_checksum").get_to(run.weights_checksum);
        done = true;
      }
    } catch (const std::exception& error) {
      // The library's own sentences begin with their kind and number in brackets.
      std::string why = error.what();
      if (why.starts_with("[json")) why.erase(0, why.find("] ") + 2);
      refuse_run("line ", number, ": ", why);
    }
  }
  if (!begun) refuse_run("empty");
  if (!done)
    refuse_run("not finished, at step ", steps.empty() ? 0 : steps.rbegin()->first, " of ", run.steps,
               refusal.empty() ? "" : ": " + refusal);
  if (validations.empty() || validations.rbegin()->first != run.steps)
    refuse_run("done, but without a validation at step ", run.steps);
  for (auto& [step, validation] : validations) run.validations.push_back(std::move(validation));
  summarise(steps, run);
  return run;
}

run_folder read_runs(const std::vector<std::filesystem::path>& folders) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& folder : folders) {
    const auto begin = static_cast<std::ptrdiff_t>(files.size());
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
      if (at->path().extension() == ".jsonl") files.push_back(at->path());
    if (error) throw std::runtime_error(folder.string() + ": cannot be read: " + error.message());
    if (begin == std::ssize(files)) throw std::runtime_error(folder.string() + ": has no run, a file NAME.jsonl");
    std::sort(files.begin() + begin, files.end());
  }

  run_folder result;
  std::map<decltype(order_of(logged_run{})), std::string> seen;
  for (const auto& path : files) {
    const std::string file = folders.size() == 1 ? path.filename().string() : path.string();
    try {
      std::ifstream stream(path, std::ios::binary);
      if (!stream) throw std::runtime_error("cannot be opened for reading");
      logged_run run = parse_run({std::istreambuf_iterator<char>(stream), {}});
      const auto [first, is_new] = seen.emplace(order_of(run), file);
      if (!is_new) throw std::runtime_error("weight, pool, seed and ranks are those of " + first->second);
      result.runs.push_back(std::move(run));
    } catch (const std::exception& reason) {
      result.skipped.push_back(file + ": " + reason.what());
    }
  }
  keep_one_kind(result);
  std::sort(result.runs.begin(), result.runs.end(),
            [](const logged_run& a, const logged_run& b) { return order_of(a) < order_of(b); });
  return result;
}

}  // namespace specialise
