// SPDX-License-Identifier: BSD-3-Clause
// Runs the MoE blocks of a published checkpoint: `run_checkpoint DIR` (docs/run-checkpoint.md).
#include "input.hpp"
#include "options.hpp"
#include "report.hpp"

#include <command_line/parsed.hpp>
#include <headgate/core/random.hpp>
#include <headgate/io/any_moe_block.hpp>
#include <headgate/io/npy.hpp>
#include <headgate/io/routing_trace_file.hpp>
#include <headgate/io/telemetry_lines.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/routing/telemetry.hpp>
#include <headgate/routing/telemetry_table.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>  // mt19937_64
#include <set>
#include <string>
#include <system_error>
#include <vector>

namespace run_checkpoint {

namespace hg = headgate;

namespace {

constexpr double most_error = 2e-6;
constexpr index most_layers = 100'000;

template <class F>
double seconds_of(const F& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The layers of the model, what was asked for of them, and those of that with an MoE block.
struct layer_choice {
  index all = 0;
  index asked = 0;
  std::vector<index> sparse;
};

layer_choice choose_layers(const hg::model_folder& model, const options& chosen) {
  layer_choice choice;
  // "num_layers" first: LongCat's "num_hidden_layers" counts its attention layers, two for each block.
  (void)hg::family_of(model);  // refuses what no family answers to, before anything else is asked of its config.json
  choice.all = model.config().inside("text_config").integer({"num_layers", "num_hidden_layers", "n_layers"});
  if (choice.all > most_layers)
    hg::refuse_file(model.config().source(), "says ", choice.all, " layers, at most ", most_layers, " are looked at");
  std::set<index> asked;
  if (chosen.layers.empty())
    for (index layer = 0; layer < choice.all; ++layer) asked.insert(layer);
  for (const layer_range& range : chosen.layers) {
    if (range.last >= choice.all)
      hg::refuse("--layers names layer ", range.last, ", the model in ", chosen.folder, " has ", choice.all);
    for (index layer = range.first; layer <= range.last; ++layer) asked.insert(layer);
  }
  choice.asked = static_cast<index>(asked.size());
  for (const index layer : asked)
    if (hg::has_moe_block(model, layer)) choice.sparse.push_back(layer);
  if (choice.sparse.empty())
    hg::refuse_file(chosen.folder, choice.asked == choice.all ? "no layer" : "none of the layers asked for",
                    " has an MoE block");
  if (const char* const option = chosen.for_one_layer(); option != nullptr && choice.sparse.size() > 1)
    hg::refuse(option, " is for one layer, ", choice.sparse.size(), " have an MoE block: choose one with --layers");
  return choice;
}

/// One run of the program: what it read before the first layer, and what it keeps of each.
class run {
 public:
  explicit run(const options& chosen) : chosen_(chosen), pool_(chosen.threads) {
    if (std::error_code ignored; !std::filesystem::is_directory(chosen_.folder, ignored))
      hg::refuse_file(chosen_.folder, "is not a folder");
    if (!chosen_.input.empty()) given_ = read_states(chosen_.input);
    if (chosen_.check) expected_ = read_expected(chosen_.input);
    if (!chosen_.replay.empty()) {
      trace_ = hg::load_routing_trace<float>(chosen_.replay);
      if (trace_.size() != 1) hg::refuse_file(chosen_.replay, "holds ", trace_.size(), " passes, expected 1");
    }
  }

  void every_layer() {
    const layer_choice choice = begin();
    progress shown(static_cast<index>(choice.sparse.size()) * (chosen_.repeat + 2));
    for (const index layer : choice.sparse) run_layer(layer, shown);
    shown.clear();
    finish();
  }

 private:
  [[nodiscard]] layer_choice begin() const {
    const hg::model_folder model(chosen_.folder);
    layer_choice layers = choose_layers(model, chosen_);
    const auto sparse = static_cast<index>(layers.sparse.size());
    std::printf("%s: %s, %td of %td layers with an MoE block", chosen_.folder.c_str(),
                std::string(hg::family_of(model)).c_str(), sparse, layers.asked);
    if (layers.asked > sparse) std::printf(", %td dense skipped", layers.asked - sparse);
    const index tokens = given_ ? given_->rows() : chosen_.tokens;
    std::printf("\n%td token%s, %td thread%s, %s\n\n", tokens, tokens == 1 ? "" : "s", chosen_.threads,
                chosen_.threads == 1 ? "" : "s",
                given_ ? chosen_.input.c_str() : hg::sentence("random with seed ", chosen_.seed).c_str());
    std::fflush(stdout);
    return layers;
  }

  void run_layer(index layer, progress& shown) {
    // A mapping of its own for each layer: when it goes, so do the pages that were read of it.
    std::optional<hg::any_moe_block> opened;
    layer_record record;
    shown.step(layer, "loading");
    record.load_seconds = seconds_of([&] { opened.emplace(hg::open_moe_block(chosen_.folder, layer)); });
    const hg::any_moe_block& block = *opened;
    const hidden_states& x = states_for(block, layer);

    hg::any_moe_block::workspace memory;
    steer(memory.steering);
    hidden_states y;
    const auto pass = [&] { block.forward(pool_, x, y, memory); };
    shown.step(layer, "first pass");
    record.first_seconds = seconds_of(pass);
    std::vector<double> times;
    for (index i = 0; i < chosen_.repeat; ++i) {
      shown.step(layer, "timed passes");
      times.push_back(seconds_of(pass));
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());

    const auto tokens = static_cast<double>(x.rows());
    record.layer = layer;
    record.prefix = block.prefix();
    record.model = block.model();
    record.experts = block.experts();
    record.experts_each = static_cast<double>(memory.routing().assignments.size()) / tokens;
    record.parameters = block.parameters();
    record.pass_seconds = *middle;
    record.tokens_per_second = tokens / *middle;
    shown.done(record);

    layers_.push_back(layer);
    telemetry_.emplace_back().add(memory.routing(), memory.plan());
    keep_results(y, memory);
  }

  [[nodiscard]] const hidden_states& states_for(const hg::any_moe_block& block, index layer) {
    if (!given_) {
      std::mt19937_64 generator(chosen_.seed);
      drawn_ = hg::randn<float>(chosen_.tokens, block.model(), generator);
      return drawn_;
    }
    if (given_->cols() != block.model())
      hg::refuse_file(chosen_.input, "has ", given_->cols(), " columns, layer ", layer, " takes hidden states of ",
                      block.model());
    return *given_;
  }

  void steer(hg::steering<float>& steering) const {
    steering.k = chosen_.k;
    steering.skip = chosen_.skip;
    steering.off = chosen_.off;
    if (chosen_.replay.empty()) return;
    steering.forced = &trace_[0];
    if (chosen_.recorded_weights) steering.weights = hg::forced_weights::recorded;
  }

  /// What is asked of one layer only. The error is that of tests/conformance: max |ours - theirs| / max |theirs|.
  void keep_results(const hidden_states& y, const hg::any_moe_block::workspace& memory) {
    if (!chosen_.output.empty()) hg::write_npy(chosen_.output, y);
    if (!chosen_.record.empty()) {
      hg::routing_trace<float> trace;
      trace.append(memory.routing());
      hg::save_routing_trace(trace, chosen_.record);
    }
    if (!expected_) return;
    if (expected_->rows() != y.rows() || expected_->cols() != y.cols())
      hg::refuse_file(chosen_.input, "tensor 'output' is ", expected_->rows(), " x ", expected_->cols(),
                      ", the output of the block is ", y.rows(), " x ", y.cols());
    const double scale = static_cast<double>(expected_->cwiseAbs().maxCoeff());
    const double error = static_cast<double>((y - *expected_).cwiseAbs().maxCoeff()) / (scale > 0 ? scale : 1);
    error_ = y.allFinite() && expected_->allFinite() ? error : std::numeric_limits<double>::infinity();
  }

  /// All layers, each called by its number after the word.
  template <class F>
  void with_telemetry(const char* word, const F& f) const {
    std::vector<std::string> names;
    for (const index layer : layers_) names.push_back(hg::sentence(word, layer));
    std::vector<hg::named_telemetry> rows;
    for (std::size_t i = 0; i < names.size(); ++i) rows.push_back({names[i], telemetry_[i]});
    f(rows);
  }

  void finish() const {
    with_telemetry(chosen_.experts ? "layer " : "", [&](const auto& rows) {
      std::printf("\n%s", hg::telemetry_table(rows, {.experts = chosen_.experts}).c_str());
    });
    if (!chosen_.telemetry.empty())
      with_telemetry("", [&](const auto& rows) { write_text(chosen_.telemetry, hg::telemetry_lines(rows)); });
    if (const auto peak = peak_memory()) std::printf("\npeak memory: %.1f MB\n", static_cast<double>(*peak) / 1e6);
    if (!error_) return;
    const std::string difference = hg::sentence("the output differs from 'output' by ", *error_,
                                                " of its largest value, at most ", most_error, " is allowed");
    if (*error_ > most_error) hg::refuse(difference);
    std::printf("check: %s\n", difference.c_str());
  }

  const options& chosen_;
  hg::thread_pool pool_;
  std::optional<hidden_states> given_;
  hidden_states drawn_;
  std::optional<hidden_states> expected_;
  hg::routing_trace<float> trace_;
  std::vector<index> layers_;
  std::vector<hg::routing_telemetry> telemetry_;
  std::optional<double> error_;
};

}  // namespace

}  // namespace run_checkpoint

int main(int count, char** arguments) {
  return command_line::status_of("run_checkpoint", [&] {
    if (const auto chosen = run_checkpoint::parse_options(count, arguments)) run_checkpoint::run(*chosen).every_layer();
    return 0;
  });
}
