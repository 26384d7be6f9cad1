// SPDX-License-Identifier: BSD-3-Clause
// Reading memory as fast as it comes: several streams side by side, a vector of sums each.
#pragma once

#include <headgate/config.hpp>

#include <xsimd/xsimd.hpp>

#include <cstddef>
#include <utility>

namespace headgate_bench {

namespace hg = headgate;

inline constexpr std::size_t line_bytes = 64;
inline constexpr std::size_t line_floats = line_bytes / sizeof(float);

inline float sum_of_lanes(const xsimd::batch<float>& v) {
  float lanes[xsimd::batch<float>::size];
  v.store_unaligned(lanes);
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

/// The sum of one cache line.
inline xsimd::batch<float> sum_of_line(const float* line) {
  xsimd::batch<float> sum = xsimd::batch<float>::load_aligned(line);
  for (std::size_t i = sum.size; i < line_floats; i += sum.size) sum += xsimd::batch<float>::load_aligned(line + i);
  return sum;
}

/// Sums `lines` cache lines as `Streams` streams, each asking for the line `Ahead` bytes further on (0: for none). The
/// streams have an odd number of lines, lest they meet in the same sets of a cache; what is left over is not read, and
/// not counted: returns the bytes read.
template <std::size_t Streams, std::size_t Ahead>
double read_streams(const float* data, std::size_t lines, float& total) {
  const std::size_t each = lines / Streams - (lines / Streams % 2 == 0 ? 1 : 0);
  const auto read = [&]<std::size_t... S>(std::index_sequence<S...>) {
    xsimd::batch<float> sums[] = {(static_cast<void>(S), xsimd::batch<float>(0.0f))...};
    for (std::size_t line = 0; line < each; ++line) {
      const float* const here = data + line * line_floats;
      if constexpr (Ahead > 0) (__builtin_prefetch(here + S * each * line_floats + Ahead / sizeof(float)), ...);
      ((sums[S] += sum_of_line(here + S * each * line_floats)), ...);
    }
    for (const auto& sum : sums) total += sum_of_lanes(sum);
  };
  read(std::make_index_sequence<Streams>{});
  return static_cast<double>(each * Streams * line_bytes);
}

}  // namespace headgate_bench
