// SPDX-License-Identifier: BSD-3-Clause
// One rank's side of a run.
#pragma once

#include "checkpoint.hpp"
#include "digest.hpp"
#include "run_log.hpp"
#include "trainer.hpp"
#include "training.hpp"

#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace specialise {

/// The last checkpoint that is whole, and the sentences about those that are damaged.
struct resumption {
  progress_mark mark;  // step 0 if there is none
  std::vector<std::string> refused;
  std::string from;
};
/// Removes those that are damaged. One that is whole and cannot be used ends the search with its sentence (load_checkpoint), as
/// only the user knows what to do with it. `log` is the log's path.
[[nodiscard]] resumption find_checkpoint(const std::filesystem::path& path, const std::filesystem::path& log,
                                         std::vector<state_matrix>& state, const std::string& run);

/// Runs the rest of a run on all ranks of the communicator; rank 0 reads and writes the files.
template <hg::communicator Communicator>
void train_rank(const settings& how, const text& data, const std::filesystem::path& out, Communicator& communicator,
                const watcher& watch) {
  using clock = std::chrono::steady_clock;
  check(how, communicator.size());
  const bool leads = communicator.rank() == 0;
  const std::string name = run_name(how, communicator.size());
  trainer<Communicator> training(how, data, communicator);
  const auto state_now = [&training] {  // the first step makes new moments
    std::vector<state_matrix> all;
    training.for_each_state([&](const std::string& field, auto values) { all.push_back({field, values}); });
    return all;
  };
  std::vector<state_matrix> state = state_now();
  const std::string run = describe(how, data, communicator.size(), training.parameters());

  std::optional<run_lock> lock;
  if (leads) lock.emplace(log_path(out, name));
  index done = 0;
  if (leads) done = is_done(log_path(out, name), run) ? 1 : 0;
  communicator.broadcast(std::span(&done, 1), 0);
  if (done == 1) return leads ? watch.note("is done") : void();
  resumption start;
  if (leads) start = find_checkpoint(checkpoint_path(out, name), log_path(out, name), state, run);
  communicator.broadcast(std::span(&start.mark.step, 1), 0);
  if (start.mark.step > 0) {
    for (const state_matrix& one : state)
      communicator.broadcast(std::span(one.values.data, static_cast<std::size_t>(one.values.rows * one.values.cols)),
                             0);
    training.resume_at(start.mark.step);
  }

  std::optional<run_log> log;
  if (leads) {
    log.emplace(log_path(out, name), start.mark.log_bytes);
    if (start.mark.step == 0) log->write_line(run);
    for (const std::string& reason : start.refused) {
      log->write_refusal(reason);
      watch.note(reason);
    }
    if (start.mark.step > 0) watch.note(hg::sentence("goes on after step ", start.mark.step, " from ", start.from));
  }

  index last_step = start.mark.step;
  const auto train_on = [&] {
    const auto began = clock::now();
    const auto seconds = [&] {
      return start.mark.seconds + std::chrono::duration<double>(clock::now() - began).count();
    };
    const double tokens = static_cast<double>(how.batch * how.sizes.sequence);
    std::optional<step_record> last;
    std::optional<validation_record> validation;
    clock::duration in_steps{};
    index measured = 0;
    double rate = 0;
    for (index step = training.steps() + 1; step <= how.steps; ++step) {
      const bool ends = step == how.steps, logs = step % how.log_every == 0 || ends;
      const auto before = clock::now();
      if (logs) last.emplace();
      training.step(logs ? &*last : nullptr);
      in_steps += clock::now() - before;
      rate = tokens * static_cast<double>(++measured) / std::chrono::duration<double>(in_steps).count();
      if (logs && leads) log->write(*last, rate);
      if (logs) in_steps = {}, measured = 0;
      if (step % how.validate_every == 0 || ends) {
        if (leads) watch.validation(step, how.steps);
        validation = training.validate();
        if (leads) log->write(*validation);
      }
      if (leads && (step % how.checkpoint_every == 0 || ends)) {
        log->force_to_disk();
        save_checkpoint(checkpoint_path(out, name), state_now(), {step, log->length(), seconds(), run});
      }
      last_step = step;
      if (leads)
        watch.step({step, how.steps, last ? &*last : nullptr, validation ? &*validation : nullptr, rate,
                    training.gradient_norm()});
    }
    if (!leads) return;
    digest weights;
    for (const state_matrix& one : state_now())
      if (one.name.starts_with("model."))
        weights.add(one.values.data, static_cast<std::size_t>(one.values.rows * one.values.cols) * sizeof(float));
    log->write_done(seconds(), weights.text());
    std::error_code ignored;
    std::filesystem::remove(previous_of(checkpoint_path(out, name)), ignored);
  };
  try {
    train_on();
  } catch (const std::exception& reason) {
    if (leads) log->write_failure(hg::sentence("after step ", last_step, ": ", reason.what()));
    throw;
  }
}

}  // namespace specialise
