// SPDX-License-Identifier: BSD-3-Clause
// What the program shows: a line for each layer, and on a terminal how far it is.
#pragma once

#include <headgate/config.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace run_checkpoint {

using headgate::index;

/// 1234567 as "1 234 567".
[[nodiscard]] std::string grouped(double number);

/// A duration with three digits and the unit that suits it.
[[nodiscard]] std::string duration(double seconds);

/// What stands in a layer's line.
struct layer_record {
  index layer = 0;
  std::string prefix;
  index model = 0;
  index experts = 0;
  double experts_each = 0;  // mean assignments of a token
  index parameters = 0;
  double load_seconds = 0;
  double first_seconds = 0;
  double pass_seconds = 0;  // median
  double tokens_per_second = 0;
};

/// The lines of layers as they are done, under their titles. On a terminal, one more line below them shows what is going
/// on and the part that is done; elsewhere it does not exist.
class progress {
 public:
  /// `steps` of equal worth in all.
  explicit progress(index steps) : steps_(steps) {}
  ~progress() { clear(); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// The next step begins.
  void step(index layer, std::string_view what);
  void done(const layer_record& layer);
  void clear();

 private:
  index steps_;
  index begun_ = 0;
  bool titles_ = false;
  bool shown_ = false;
};

/// The most memory that the process has ever had resident, in bytes; nothing where the system does not tell.
[[nodiscard]] std::optional<std::uint64_t> peak_memory();

/// Writes a text to a file, which takes its place when it is complete.
void write_text(const std::string& path, std::string_view text);

}  // namespace run_checkpoint
