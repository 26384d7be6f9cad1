// SPDX-License-Identifier: BSD-3-Clause
// Runs by weight, pool and ranks, compared with the global pool and with one rank.
#pragma once

#include "read_runs.hpp"
#include "statistics.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace specialise {

/// The runs of one weight and pool on one number of ranks, by seed.
struct group {
  double weight = 0;
  std::string pool;
  std::int64_t ranks = 1;
  std::vector<const logged_run*> runs;
};

/// A figure of a finished run.
using figure = std::function<double(const logged_run&)>;

/// A figure as tables and pictures show it.
struct named_figure {
  const char* name;   // in tables
  const char* title;  // of a picture
  int digits;         // behind the point
  figure what;

  double operator()(const logged_run& run) const { return what(run); }
};

extern const named_figure bits_per_byte;
extern const named_figure information;        // mean of the layers
extern const named_figure largest_frequency;  // of all layers
extern const named_figure balance;            // mean of the layers
extern const named_figure penalty;            // how much more a micro-batch loss asks for, likewise

/// All of them but bits per byte: how the experts are used.
[[nodiscard]] std::vector<named_figure> figures_of_use();

/// Those whose differences say something: the balance says how well its loss is kept, whatever the pool.
[[nodiscard]] std::vector<named_figure> compared_figures();

/// Those that one layer has by itself.
[[nodiscard]] std::vector<named_figure> layer_figures(std::size_t layer);

/// In the order of the runs. The groups point into `runs`.
[[nodiscard]] std::vector<group> groups_of(const std::vector<logged_run>& runs);

/// The group of that weight, pool and so many ranks; null if there is none.
[[nodiscard]] const group* find_group(const std::vector<group>& groups, double weight, const std::string& pool,
                                      std::int64_t ranks);

/// The global pool with the weight and ranks of `like`; null if there is none.
[[nodiscard]] const group* global_of(const std::vector<group>& groups, const group& like);

/// The groups of one weight: that of most runs.
[[nodiscard]] std::vector<group> of_main_weight(const std::vector<group>& groups);

/// The groups on the fewest ranks.
[[nodiscard]] std::vector<group> of_fewest_ranks(const std::vector<group>& groups);

/// Whether groups have more than one weight.
[[nodiscard]] bool has_weights(const std::vector<group>& groups);

struct seed_value {
  std::uint64_t seed = 0;
  double value = 0;
};

[[nodiscard]] std::vector<seed_value> values_of(const group& of, const figure& what);

/// `of` - `from`, of the seeds that both have.
[[nodiscard]] std::vector<seed_value> differences_of(const group& of, const group& from, const figure& what);

[[nodiscard]] estimate estimate_of(const std::vector<seed_value>& values);

[[nodiscard]] estimate estimate_of(const group& of, const figure& what);

/// Over the seeds that both have; nothing if there are none.
[[nodiscard]] std::optional<paired_difference> compare(const group& of, const group& from, const figure& what);

/// "1 seed", "2 seeds".
[[nodiscard]] std::string counted(std::size_t count, const char* what);

/// A number with its sign, or without one.
[[nodiscard]] std::string with_interval(const estimate& value, int digits, bool sign = false);

/// "p = 0.0004".
[[nodiscard]] std::string probability_of(const paired_difference& difference);

/// "0.0312 higher (95 % interval 0.0261 to 0.0363, 5 seeds, p = 0.0004)", with `unit` after the first number.
[[nodiscard]] std::string sentence_of(const paired_difference& difference, int digits, const std::string& unit = "");

}  // namespace specialise
