// SPDX-License-Identifier: BSD-3-Clause
// The parameters of a trained module, and the walks over them that optimisers, files and checks are made of.
#pragma once

#include <headgate/checks.hpp>
#include <headgate/config.hpp>
#include <headgate/core/field.hpp>

#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Base of `layer` and `dense_layer`. Gradients have the type of the parameters. `Walker::walk<Which>(f, parameters,
/// others...)` calls f(name, matrix, the matrix of the same name in others...) in a fixed order.
template <class Parameters, class Walker>
class trained_parameters {
 public:
  using parameters = Parameters;
  using gradients = Parameters;

  [[nodiscard]] parameters& params() { return parameters_; }
  [[nodiscard]] const parameters& params() const { return parameters_; }

  /// Gradients of the parameters' shapes, all zero.
  [[nodiscard]] gradients zero_gradients() const {
    gradients grads = parameters_;
    set_zero(grads);
    return grads;
  }
  static void set_zero(gradients& grads) {
    Walker::template walk<fields_of::storage>([](std::string_view, auto& d) { d.setZero(); }, grads);
  }

  /// f(name, w, dw) for every trained matrix: what optimisers walk.
  template <class Gradients, class F>
  void for_each_parameter(Gradients& grads, F&& f) {
    Walker::template walk<fields_of::training>(f, parameters_, grads);
  }
  template <class Gradients, class F>
  void for_each_parameter(Gradients& grads, F&& f) const {
    Walker::template walk<fields_of::training>(f, parameters_, grads);
  }
  /// f(name, w) for every matrix that belongs in a file: trained ones, frozen ones and buffers.
  template <class F>
  void for_each_tensor(F&& f) {
    Walker::template walk<fields_of::storage>(f, parameters_);
  }
  template <class F>
  void for_each_tensor(F&& f) const {
    Walker::template walk<fields_of::storage>(f, parameters_);
  }

 protected:
  trained_parameters() = default;

  /// To be called once the parameters have been drawn.
  void remember_sizes() { for_each_tensor(sizes_); }

  /// Tells this module's sizes from another's: a tape carries the key of the module that filled it.
  [[nodiscard]] const shape_key& sizes() const { return sizes_; }

  /// Refuses gradients of other shapes than the parameters'.
  void check_gradients(const gradients& grads, const char* owner) const {
    const auto check = [owner](std::string_view name, const auto& w, const auto& d) {
      check_gradient(name, w, d, owner);
    };
    Walker::template walk<fields_of::storage>(check, parameters_, grads);
  }

  parameters parameters_;

 private:
  shape_key sizes_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
