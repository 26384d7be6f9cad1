// SPDX-License-Identifier: BSD-3-Clause
// What one training run is told and what it reports: plain data, which the terminal and the report read.
#pragma once

#include "data.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace demo {

/// Chosen on a part of the training set (`--validate`), never on the test set.
struct settings {
  index experts = 8;
  index k = 2;
  index hidden = 32;  // of one expert
  index epochs = 150;
  index batch = 32;
  double rate = 3e-3;  // AdamW's at the peak: 5 % warm-up, then a cosine down to 1 % of it
  double weight_decay = 1e-2;
  float balance = 1e-2F;  // weight of the balance loss
  distortion distort{};
  std::uint64_t seed = 1;
  index threads = 1;
};

/// What a run learns from.
struct task {
  digits_split split;
  standardiser standard;

  explicit task(digits_split parts) : split(std::move(parts)), standard(split.training.images) {}
};

/// Means over one epoch.
struct epoch_record {
  double loss = 0;           // cross entropy, without the balance loss
  double accuracy = 0;       // on the distorted training images
  std::vector<double> load;  // (experts), share of the assignments; empty for a dense model
};

struct run_record {
  std::string name;
  index active_parameters = 0;  // that one token meets
  index total_parameters = 0;
  index hidden = 0;
  std::vector<epoch_record> epochs;
  double accuracy = 0;        // on the held-out part
  double training_rate = 0;   // tokens per second: forward, backward and optimiser step
  double inference_rate = 0;  // tokens per second, the held-out part as one batch
  std::vector<std::vector<double>>
      specialisation;      // (classes x experts), share of a digit's assignments; empty if dense
  index experts_used = 0;  // with at least one held-out digit
};

/// Called after each epoch with its number from 1.
using watcher = std::function<void(index epoch, const epoch_record&)>;

/// The mixture: `experts` SwiGLU experts of which a token meets `k`.
[[nodiscard]] run_record run_mixture(const settings& how, const task& what, const watcher& watch);

/// One SwiGLU network of about as many parameters (embedded in the same classifier).
[[nodiscard]] run_record run_dense(const std::string& name, index parameters, const settings& how, const task& what,
                                   const watcher& watch);

}  // namespace demo
