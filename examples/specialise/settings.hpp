// SPDX-License-Identifier: BSD-3-Clause
// What one run of the experiment is told.
#pragma once

#include <headgate/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace specialise {

namespace hg = headgate;
using hg::index;

/// Where the frequencies f of the balance loss come from; P is always the micro-batch's own.
enum class pool_kind {
  pooled,    ///< `pool.size` micro-batches: 1 is the micro-batch loss, all of the step the global-batch loss
  shuffled,  ///< as many tokens as a micro-batch has, drawn afresh for each micro-batch from all of the step
  buffer     ///< the micro-batches of the step so far, of all ranks (arXiv:2501.11873, Algorithm 1)
};

struct balance_pool {
  pool_kind kind = pool_kind::pooled;
  index size = 1;  // in micro-batches, if pooled
};

struct model_sizes {
  index layers = 2;
  index experts = 16;
  index k = 2;
  index model = 64;
  index hidden = 64;     // of one expert
  index taps = 8;        // how many bytes the mixing sees
  index sequence = 128;  // bytes

  bool operator==(const model_sizes&) const = default;
};

struct settings {
  model_sizes sizes;
  index batch = 64;  // sequences of one step
  index micro = 1;   // sequences of a micro-batch
  index chunk = 4;   // micro-batches that are computed together, which no result but rounding depends on
  index steps = 120;
  std::uint64_t seed = 1;
  balance_pool pool;

  double rate = 8e-3;    // AdamW's at the peak, then a cosine down to a tenth
  double warmup = 0.05;  // share of the steps
  double weight_decay = 1e-2;
  double clip = 1.0;       // of the gradient's norm
  double weight = 0.1;     // of the balance loss
  double router_z = 1e-3;  // weight; 0: none

  index log_every = 10;
  index validate_every = 60;
  index checkpoint_every = 100;
  index validation_sequences = 128;  // so many of each domain, evenly spread; 0: all
  double time_out = 600;             // seconds after which ranks give up one that is silent

  [[nodiscard]] index micro_batches() const { return batch / micro; }
  [[nodiscard]] index warmup_steps() const { return static_cast<index>(warmup * static_cast<double>(steps)); }
};

/// "micro", "4x", "global", "shuffled", "buffer".
[[nodiscard]] std::string pool_name(const settings& how);

/// The pool that "micro", "4", "4x", "global", "shuffled" or "buffer" means for so many micro-batches a step.
[[nodiscard]] balance_pool parse_pool(std::string_view text, index micro_batches);

/// "4x-s1-r2": the name of a run.
[[nodiscard]] std::string run_name(const settings& how, index ranks);

/// Refuses sizes that do not divide each other, and numbers that make no sense.
void check(const settings& how, index ranks);

}  // namespace specialise
