// SPDX-License-Identifier: BSD-3-Clause
// Root-mean-square norm of rows (Zhang & Sennrich 2019, arXiv:1910.07467), with the output gate of ReLA (Zhang, Titov,
// Sennrich 2021, arXiv:2104.07012): what steadies a mixture whose weights do not sum to one.
#pragma once

#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/reduce.hpp>

#include <cmath>
#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Whether a norm multiplies by a gate of its own.
enum class output_gate : bool { none, used };

/// y = gamma * u / r [* sigmoid(gate * u)],  r = sqrt(mean(u^2) + epsilon)      row by row; all products elementwise
///
/// u, y (rows x model), gamma and gate (1 x model). gamma starts at one and gate at zero, which halves the output. A
/// row of zeros, such as a token that a `relu_gate` sends nowhere, stays zero. An expert policy: put
/// `hg::dense_layer{hg::rms_norm<float>{.model = 64}, seed}` behind a mixture.
template <std::floating_point T, index Model = dynamic, output_gate Gate = output_gate::none>
struct rms_norm {
  using scalar = T;
  struct params {
    matrix<T> gamma;
    matrix<T> gate;  // 0 x 0 unless used
  };
  struct cache {
    scratch<T> radius;  // (rows x 1), r
  };
  static constexpr auto fields = [] {
    if constexpr (Gate == output_gate::used)
      return std::tuple{field{"gamma", &params::gamma}, field{"gate", &params::gate}};
    else
      return std::tuple{field{"gamma", &params::gamma}};
  }();

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  T epsilon = T(1e-6);

  void check() const {
    check_positive("rms_norm", "model", model);
    if (!(epsilon >= 0 && std::isfinite(epsilon)))
      refuse("rms_norm: epsilon is ", epsilon, ", it must be finite and at least 0");
  }

  [[nodiscard]] params init(std::mt19937_64&) const {
    params p{matrix<T>::Ones(1, model), {}};
    if constexpr (Gate == output_gate::used) p.gate = matrix<T>::Zero(1, model);
    return p;
  }

  void forward(const params& p, in<T> u, out<T> y, cache& c) const {
    c.radius.resize(u.rows(), 1);
    for (index t = 0; t < u.rows(); ++t) {
      const T* const row = view_of(u).row(t);
      const T r = std::sqrt(kernels::dot_row(row, row, u.cols()) / static_cast<T>(u.cols()) + epsilon);
      c.radius(t, 0) = r;
      for (index i = 0; i < u.cols(); ++i) y(t, i) = p.gamma(0, i) * scaled(row[i], r) * gate_value(p, i, row[i]);
    }
  }

  /// With n = u / r and dn = gamma * dy [* sigmoid]:  du = (dn - n mean(n * dn)) / r [+ the gate's part].
  void backward(const params& p, in<T> u, in<T> dy, cache& c, out<T> du, params& dp) const {
    for (index t = 0; t < u.rows(); ++t) {
      const T r = c.radius(t, 0);
      T mean{0};
      for (index i = 0; i < u.cols(); ++i) {
        const T n = scaled(u(t, i), r), open = gate_value(p, i, u(t, i));
        du(t, i) = dy(t, i) * p.gamma(0, i) * open;
        mean += n * du(t, i) / static_cast<T>(u.cols());
        dp.gamma(0, i) += dy(t, i) * n * open;
      }
      for (index i = 0; i < u.cols(); ++i) {
        const T n = scaled(u(t, i), r);
        du(t, i) = scaled(du(t, i) - n * mean, r);
        if constexpr (Gate == output_gate::used) {
          const T slope = dy(t, i) * p.gamma(0, i) * n * sigmoid{}.derivative(p.gate(0, i) * u(t, i));
          du(t, i) += slope * p.gate(0, i);
          dp.gate(0, i) += slope * u(t, i);
        }
      }
    }
  }

 private:
  /// value / r; zero for the row of zeros that epsilon = 0 would divide by zero.
  static T scaled(T value, T r) { return r > T{0} ? value / r : T{0}; }

  static T gate_value([[maybe_unused]] const params& p, [[maybe_unused]] index i, [[maybe_unused]] T u) {
    if constexpr (Gate == output_gate::used)
      return sigmoid{}.value(p.gate(0, i) * u);
    else
      return T{1};
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
