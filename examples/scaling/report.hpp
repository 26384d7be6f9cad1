// SPDX-License-Identifier: BSD-3-Clause
// The tables of docs/scaling.md: the formulas beside the simulation.
#pragma once

#include "paper.hpp"
#include "simulation.hpp"

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace scaling {

/// Counts how many simulated figures agree with the paper's.
class agreement {
 public:
  /// Within four standard errors, and what no token showed.
  void expect(const std::string& what, double paper, const estimate& simulated);
  /// Within a bound of the caller.
  void expect_between(const std::string& what, double low, double high, double simulated);
  [[nodiscard]] bool good() const { return agreed_ == all_; }
  void print(const char* what) const;

 private:
  index all_ = 0, agreed_ = 0;
};

/// The routings of the simulation, each drawn once.
struct routings {
  explicit routings(const setting& s);

  headgate::matrix<float> uniform, correlated;                    // logits
  std::vector<index> free, free_correlated, skewed;               // choices
  std::vector<double> popularity;                                 // of the experts of `skewed`
  [[nodiscard]] const std::vector<index>& limited(index groups);  // of `uniform`
  [[nodiscard]] const std::vector<index>& limited_correlated(index groups);

 private:
  const setting& s_;
  std::map<std::pair<bool, index>, std::vector<index>> limited_;
};

void print_rows(const setting& s, routings& drawn, agreement& seen);
void print_bytes(const setting& s);
void print_messages(const setting& s, routings& drawn, agreement& seen);
void print_limits(const setting& s, routings& drawn, agreement& seen);
void print_skew(const setting& s, routings& drawn, agreement& seen);
void print_times(const setting& s, agreement& seen);
void print_memory(const setting& s);

/// Writes scaling_bytes.svg and scaling_time.svg into the folder.
void write_pictures(const setting& s, routings& drawn);

/// "512, replicas" and the like: the numbers of nodes of the setting, those beyond the experts twice.
struct layout {
  index nodes;
  beyond rule;
  std::string name;
};
[[nodiscard]] std::vector<layout> layouts(const setting& s);
[[nodiscard]] bool within(const setting& s, const layout& l);  ///< no more nodes than experts

}  // namespace scaling
