// SPDX-License-Identifier: BSD-3-Clause
// Sizes of layers, and what one pass of them costs.
#pragma once

#include <headgate/config.hpp>

#include <cstdint>

namespace headgate_bench {

namespace hg = headgate;

struct shape {
  const char* name;
  hg::index model, hidden, experts, k;
};

/// Mixtral with a quarter of its width; DeepSeek-V3 with 16 of its 256 experts, so that they fit in 24 GB of memory.
inline constexpr shape shapes[] = {{"olmoe", 2048, 1024, 64, 8}, {"mixtral", 4096, 3584, 8, 2},
                                   {"small", 512, 1024, 8, 2},   {"tabular", 64, 128, 16, 2},
                                   {"qwen3", 2048, 768, 128, 8}, {"deepseek", 7168, 2048, 16, 8}};

/// Multiply-adds counted twice: three products for each assignment, and the router.
[[nodiscard]] inline double forward_flops(const shape& s, hg::index tokens) {
  return 2.0 * static_cast<double>(tokens * s.model * (3 * s.hidden * s.k + s.experts));
}

/// Bytes of the weights of so many experts and of the router, which is fp32 whatever the experts are stored in.
[[nodiscard]] inline double weight_bytes(const shape& s, double experts, double bytes_per_weight) {
  return experts * static_cast<double>(3 * s.model * s.hidden) * bytes_per_weight +
         static_cast<double>(s.experts * s.model) * 4;
}

/// Numbers without a pattern: splitmix64 (Steele, Lea, Flood 2014, fig. 16) of a counter.
class counter_hash {
 public:
  explicit counter_hash(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// In [0, 1), of 24 bits.
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
  /// In [-bound, bound).
  float within(float bound) { return (2 * uniform() - 1) * bound; }

 private:
  std::uint64_t state_;
};

}  // namespace headgate_bench
