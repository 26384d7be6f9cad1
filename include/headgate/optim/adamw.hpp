// SPDX-License-Identifier: BSD-3-Clause
// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/optim/elementwise.hpp>
#include <headgate/optim/optimiser_memory.hpp>

#include <cmath>
#include <concepts>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Adam with weight decay beside the gradient, not in it. Differs from line 12 of Algorithm 2 in one point, as most
/// frameworks do: the decay is multiplied by `rate`, which stands for the paper's alpha times its schedule eta.
///
///   m = beta1 m + (1 - beta1) dw                    both 0 before the first step
///   v = beta2 v + (1 - beta2) dw^2
///   w = w - rate (m' / (sqrt(v') + epsilon) + weight_decay w)
///       with m' = m / (1 - beta1^t), v' = v / (1 - beta2^t), t = 1, 2, ...
///
/// The moments have the parameters' type; the bias corrections are computed in double. Options may be changed between steps:
/// `adam.rate = schedule(step)`.
template <std::floating_point T>
struct adamw {
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;
  bool (*decays)(std::string_view name, index rows, index cols) = decay_all;  ///< which parameters decay
  optimiser_memory<T, 2> memory{};                                            ///< m and v; leave it to the optimiser

  /// One step on the parameters that `walk` visits, see `optimiser_memory`.
  template <class Walk>
  void step(Walk&& walk) {
    check_not_negative("adamw", "rate", rate);
    check_below_one("adamw", "beta1", beta1);
    check_below_one("adamw", "beta2", beta2);
    check_not_negative("adamw", "epsilon", epsilon);
    check_not_negative("adamw", "weight_decay", weight_decay);
    if (static_cast<T>(epsilon) == T{0})  // 0 / 0 for a parameter that has had no gradient yet
      refuse("adamw: epsilon is ", epsilon, ", it must be above 0 in the parameters' type");

    const double t = static_cast<double>(memory.steps() + 1);
    const double step_of_m = 1.0 / (1.0 - std::pow(beta1, t));
    const double step_of_v = 1.0 / (1.0 - std::pow(beta2, t));
    memory.step("adamw::step", walk, [&]<class S>(std::string_view name, auto& w, const auto& dw, S* moments) {
      const double decay = decays(name, w.rows(), w.cols()) ? weight_decay : 0.0;
      const auto change = [&]<class Batch>(Batch& p, const Batch& dp, std::array<Batch, 2>& moment) {
        const auto all = [](double value) { return Batch(static_cast<S>(value)); };
        auto& [m, v] = moment;
        m = xsimd::fma(all(beta1), m, all(1.0 - beta1) * dp);
        v = xsimd::fma(all(beta2), v, all(1.0 - beta2) * dp * dp);
        const Batch scale = xsimd::sqrt(all(step_of_v) * v) + all(epsilon);
        const Batch direction = xsimd::fma(all(decay), p, all(step_of_m) * m / scale);
        p = xsimd::fnma(all(rate), direction, p);
      };
      update_elementwise<2>(change, w.size(), w.data(), dw.data(), moments);
    });
  }

  /// One step on one module.
  template <class Module, class Gradients>
  void step(Module& module, const Gradients& gradients) {
    step([&](auto&& update) { module.for_each_parameter(gradients, update); });
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
