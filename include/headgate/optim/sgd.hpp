// SPDX-License-Identifier: BSD-3-Clause
// Stochastic gradient descent with momentum, plain or Nesterov's (Sutskever et al. 2013, eq. 1-4).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/optim/elementwise.hpp>
#include <headgate/optim/optimiser_memory.hpp>

#include <concepts>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Gradient descent with momentum. Not the paper's scaling: the velocity is a sum of gradients and the rate multiplies it
/// when it is applied, as in most frameworks, so a change of rate acts at once.
///
///   g = dw + weight_decay w
///   v = momentum v + g                v is 0 before the first step
///   w = w - rate v                    or, with nesterov:  w - rate (g + momentum v)
///
/// Weight decay is part of the gradient here (a quadratic penalty); `adamw` keeps it apart. Options may be changed
/// between steps: `sgd.rate = schedule(step)`.
template <std::floating_point T>
struct sgd {
  double rate = 1e-2;
  double momentum = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
  bool (*decays)(std::string_view name, index rows, index cols) = decay_all;  ///< which parameters decay
  optimiser_memory<T, 1> memory{};                                            ///< velocities; leave it to the optimiser

  /// One step on the parameters that `walk` visits, see `optimiser_memory`.
  template <class Walk>
  void step(Walk&& walk) {
    check_not_negative("sgd", "rate", rate);
    check_below_one("sgd", "momentum", momentum);
    check_not_negative("sgd", "weight_decay", weight_decay);
    if (nesterov && momentum == 0.0) refuse("sgd: nesterov is on and momentum is 0, it must be above 0");

    memory.step("sgd::step", walk, [this]<class S>(std::string_view name, auto& w, const auto& dw, S* moments) {
      const double decay = decays(name, w.rows(), w.cols()) ? weight_decay : 0.0;
      const auto change = [this, decay]<class Batch>(Batch& p, const Batch& dp, std::array<Batch, 1>& velocity) {
        const Batch mu(static_cast<S>(momentum));
        const Batch gradient = xsimd::fma(Batch(static_cast<S>(decay)), p, dp);
        velocity[0] = xsimd::fma(mu, velocity[0], gradient);
        const Batch direction = nesterov ? xsimd::fma(mu, velocity[0], gradient) : velocity[0];
        p = xsimd::fnma(Batch(static_cast<S>(rate)), direction, p);
      };
      update_elementwise<1>(change, w.size(), w.data(), dw.data(), moments);
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
