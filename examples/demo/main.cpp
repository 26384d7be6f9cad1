// SPDX-License-Identifier: BSD-3-Clause
// The demo: a sparse mixture of experts learns handwritten digits, beside two dense networks.
#include "report.hpp"
#include "terminal.hpp"

#include <command_line/parsed.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr std::uint64_t split_seed = 1998;  // the year of the data; the same split whatever --seed is

struct options {
  demo::settings how;
  std::string data = "examples/data/digits.csv";
  std::string report = "report.html";
  std::string image;
  bool validate = false;
};

void run(const options& chosen) {
  const auto start = std::chrono::steady_clock::now();
  demo::digits_split parts = demo::split_digits(demo::read_digits(chosen.data), split_seed);
  if (chosen.validate) parts = demo::split_digits(parts.training, chosen.how.seed);
  const demo::task task(std::move(parts));
  const char* const judged_on = chosen.validate ? "validation" : "test";
  std::printf("%td digits to learn from, %td kept for the %s\n\n", task.split.training.count(),
              task.split.held_out.count(), judged_on);

  std::vector<demo::run_record> runs;
  const auto follow = [&](const std::string& name, const auto& train) {
    demo::progress line(name, chosen.how.epochs);
    runs.push_back(train([&line](demo::index epoch, const demo::epoch_record& means) { line.show(epoch, means); }));
  };
  follow("MoE", [&](const demo::watcher& watch) { return demo::run_mixture(chosen.how, task, watch); });
  const demo::run_record mixture = runs.front();
  const auto follow_dense = [&](const std::string& name, demo::index parameters) {
    follow(name,
           [&](const demo::watcher& watch) { return demo::run_dense(name, parameters, chosen.how, task, watch); });
  };
  follow_dense("dense, same active", mixture.active_parameters);
  follow_dense("dense, same total", mixture.total_parameters);

  demo::print_table(runs, judged_on);
  demo::print_specialisation(mixture);
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const demo::report_facts facts{chosen.how, judged_on, task.split.training.count(), task.split.held_out.count(),
                                 seconds()};
  demo::write_report(chosen.report, runs, facts);
  std::printf("\nreport: %s\n", std::filesystem::absolute(chosen.report).string().c_str());
  if (!chosen.image.empty()) demo::write_image(chosen.image, mixture);
  std::printf("demo: accuracy=%.4f experts_used=%td seconds=%.1f\n", mixture.accuracy, mixture.experts_used, seconds());
}

}  // namespace

int main(int count, char** arguments) {
  return command_line::status_of("demo", [&] {
    options chosen;
    CLI::App app{"Trains a top-2-of-8 mixture of SwiGLU experts on 8 x 8 digits, and two dense networks beside it."};
    app.option_defaults()->always_capture_default();
    app.add_option("--data", chosen.data, "The digits: lines of 64 pixels and a label");
    app.add_option("--report", chosen.report, "Where the report goes");
    app.add_option("--image", chosen.image, "Where the heat map goes as an SVG, if wanted");
    app.add_option("--epochs", chosen.how.epochs, "Passes over the training digits")->check(CLI::Range(1, 100000));
    app.add_option("--seed", chosen.how.seed, "Of parameters, batches and distortions; the split stays the same");
    app.add_option("--threads", chosen.how.threads, "The result does not depend on them")->check(CLI::Range(1, 256));
    app.add_flag("--validate", chosen.validate, "Judge on a fifth of the training digits; the test digits stay unseen");
    if (command_line::parsed(app, count, arguments)) run(chosen);
    return 0;
  });
}
