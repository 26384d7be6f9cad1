// SPDX-License-Identifier: BSD-3-Clause
// Keeps the value of each loss for logs and telemetry.
#pragma once

#include <headgate/concepts/routing_loss.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/routing/routing.hpp>

#include <string_view>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

template <class T>
class loss_values;

/// A loss that also leaves its value in a `loss_values`, which must outlive it.
template <class T, class Loss>
struct kept_loss {
  loss_values<T>* values;
  std::string_view name;
  Loss loss;
  T weight;

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    const T value = value_alone(r, d);
    keep(value);
    return value;
  }

  /// The two parts of it, for `add_losses`, which keeps no value before all losses have returned theirs.
  T value_alone(const routing<T>& r, routing_gradient<T>& d) const { return static_cast<T>(loss(r, d)); }
  void keep(T value) const { values->keep(name, weight, value); }
};

/// Name, weight and plain value of each loss:
///
///   layer.backward(x, dy, tape, dx, grads, values(switch_balance<T>{.weight = 1e-2}), values("mine", my_lambda));
///   for (const auto& loss : values) log(loss.name, loss.value, loss.mean());
///
/// One entry a name, in the order of the first calls; a name is looked at, not copied, and must outlive the object (a literal
/// does). Give the losses of several layers names of their own, or each layer its own object. Allocates in the first call for
/// a name only. Not for several threads at once. Where one of the losses of a `backward` refuses, none of their values is kept.
template <class T>
class loss_values {
 public:
  struct entry {
    std::string_view name;
    T weight{};       ///< of the last call
    T value{};        ///< of the last call, without the weight
    double sum = 0;   ///< of the values since `reset`
    index calls = 0;  ///< since `reset`
    /// Over the micro-batches since `reset`; 0 without one.
    [[nodiscard]] T mean() const { return calls == 0 ? T{0} : static_cast<T>(sum / static_cast<double>(calls)); }
  };

  /// The loss, to be passed to `backward` in its place, under the name it has.
  template <class Loss>
    requires requires { std::string_view(Loss::name); }
  [[nodiscard]] kept_loss<T, Loss> operator()(Loss loss) { return (*this)(Loss::name, std::move(loss)); }
  template <class Loss>
  [[nodiscard]] kept_loss<T, Loss> operator()(std::string_view name, Loss loss) {
    static_assert(routing_loss<Loss, T>,
                  "loss_values: the loss does not model headgate::routing_loss (docs/losses.md)");
    const T weight = weight_of<T>(loss);
    return {this, name, std::move(loss), weight};
  }

  /// What a kept loss calls.
  void keep(std::string_view name, T weight, T value) {
    entry* one = find(name);
    if (!one) {
      entries_.push_back({name});
      one = &entries_.back();
    }
    one->weight = weight;
    one->value = value;
    one->sum += static_cast<double>(value);
    ++one->calls;
  }

  /// Starts sums and calls from zero, after the optimizer's step say; entries and last values stay.
  void reset() {
    for (entry& one : entries_) {
      one.sum = 0;
      one.calls = 0;
    }
  }

  [[nodiscard]] index size() const { return entries_.size(); }
  [[nodiscard]] auto begin() const { return entries_.begin(); }
  [[nodiscard]] auto end() const { return entries_.end(); }
  /// Refuses a name that no loss has had.
  [[nodiscard]] const entry& operator[](std::string_view name) const {
    for (const entry& one : entries_)
      if (one.name == name) return one;
    refuse("loss_values: there is no loss of the name ", name);
  }

 private:
  [[nodiscard]] entry* find(std::string_view name) {
    for (entry& one : entries_)
      if (one.name == name) return &one;
    return nullptr;
  }

  array<entry> entries_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
