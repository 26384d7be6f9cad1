// SPDX-License-Identifier: BSD-3-Clause
// Learning rates and temperatures as functions of the step.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <cmath>
#include <numbers>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The same rate at every step.
struct constant_schedule {
  double rate = 1e-3;

  [[nodiscard]] constexpr double operator()(index /*step*/) const { return rate; }
};

/// Rises from peak / (steps + 1) at step 0 to `peak` at step `steps`, and stays there. Never 0: no step is wasted.
struct linear_warmup {
  double peak = 1e-3;
  index steps = 0;

  [[nodiscard]] constexpr double operator()(index step) const {
    if (steps < 0) refuse("linear_warmup: steps is ", steps, ", it must be at least 0");
    if (step < 0) refuse("linear_warmup: the step is ", step, ", it must be at least 0");
    return step >= steps ? peak : peak * static_cast<double>(step + 1) / static_cast<double>(steps + 1);
  }
};

/// Linear warm-up to `peak`, then half a cosine down to `floor` (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, one
/// period).
///
///   step <= warmup_steps   as `linear_warmup`
///   up to total_steps      floor + (peak - floor) (1 + cos(pi (step - warmup_steps) / (total_steps - warmup_steps))) / 2
///   beyond                 floor
struct cosine_schedule {
  double peak = 1e-3;
  double floor = 0.0;
  index warmup_steps = 0;
  index total_steps = 1;

  [[nodiscard]] double operator()(index step) const {
    if (warmup_steps < 0 || total_steps <= warmup_steps)
      refuse("cosine_schedule: total_steps is ", total_steps, ", it must be above warmup_steps, which is ",
             warmup_steps, " and must be at least 0");
    if (step <= warmup_steps) return linear_warmup{.peak = peak, .steps = warmup_steps}(step);
    if (step >= total_steps) return floor;
    const double share = static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
    return floor + (peak - floor) * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
  }
};

/// How `annealed` goes from one value to the other.
enum class annealing {
  exponential,  ///< by the same factor at each step
  linear        ///< by the same amount at each step
};

/// A temperature that goes from `from` at step 0 to `to` at step `steps` and stays there: a dense gate that becomes sparse
/// (Jang et al. 2017, arXiv:1611.01144, anneal their Gumbel-softmax exponentially).
///
///   exponential   from (to / from)^(step / steps)
///   linear        from + (to - from) step / steps
struct annealed {
  double from = 1.0;
  double to = 0.1;
  index steps = 1;
  annealing shape = annealing::exponential;

  [[nodiscard]] double operator()(index step) const {
    if (!(from > 0.0) || !(to > 0.0) || std::isinf(from) || std::isinf(to))
      refuse("annealed: goes from ", from, " to ", to, ", both must be finite and above 0");
    if (steps < 1) refuse("annealed: steps is ", steps, ", it must be at least 1");
    if (step < 0) refuse("annealed: the step is ", step, ", it must be at least 0");
    if (step >= steps) return to;
    const double share = static_cast<double>(step) / static_cast<double>(steps);
    return shape == annealing::linear ? from + (to - from) * share : from * std::pow(to / from, share);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
