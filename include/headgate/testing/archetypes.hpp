// SPDX-License-Identifier: BSD-3-Clause
// Types that model one concept each and offer nothing more: what compiles with them asks for no more than the concepts
// say.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/routing_loss.hpp>
#include <headgate/config.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>

#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace testing {

/// A size that can only be turned into an index.
class archetype_size {
 public:
  constexpr explicit archetype_size(index value) : value_(value) {}
  constexpr explicit operator index() const { return value_; }

 private:
  index value_;
};

/// A cache that can be made and moved, but not copied.
struct archetype_cache {
  archetype_cache() = default;
  archetype_cache(archetype_cache&&) = default;
  archetype_cache& operator=(archetype_cache&&) = default;
};

/// What is common to the policies: they can be moved, not copied, not made without sizes, not compared.
class archetype_policy {
 public:
  archetype_policy(archetype_policy&&) = default;
  archetype_policy& operator=(archetype_policy&&) = delete;

 protected:
  archetype_policy() = default;
};

/// `gate_policy`: sends token t to expert t mod experts with weight one.
template <class T = double>
struct archetype_gate : archetype_policy {
  using scalar = T;
  struct params {};
  using cache = archetype_cache;
  static constexpr auto fields = std::tuple{};
  archetype_size model, experts;

  archetype_gate(index model_size, index expert_count) : model(model_size), experts(expert_count) {}

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, in<T> x, routing<T>& r, cache&) const {
    for (index t = 0; t < x.rows(); ++t) r.assignments.push_back({t, t % static_cast<index>(experts), T{1}});
  }
};

/// `trainable_gate`: one weight for all tokens and experts, w (1 x 1); every expert of every token gets it.
template <class T = double>
struct archetype_trainable_gate : archetype_policy {
  using scalar = T;
  struct params {
    matrix<T> w;
  };
  using cache = archetype_cache;
  static constexpr auto fields = std::tuple{field{"w", &params::w}};
  archetype_size model, experts;

  archetype_trainable_gate(index model_size, index expert_count) : model(model_size), experts(expert_count) {}

  params init(std::mt19937_64&) const { return {matrix<T>::Constant(1, 1, T(0.5))}; }
  void route(const params& p, in<T> x, routing<T>& r, cache&) const {
    for (index t = 0; t < x.rows(); ++t)
      for (index e = 0; e < static_cast<index>(experts); ++e) r.assignments.push_back({t, e, p.w(0, 0)});
  }
  void backward(const params&, in<T>, const routing<T>& r, cache&, routing_gradient<T>& d, out<T>, params& dp) const {
    for (index i = 0; i < r.assignments.size(); ++i) dp.w(0, 0) += d.weights(i, 0);
  }
};

/// `expert_policy`: y = w x, w (1 x 1).
template <class T = double>
struct archetype_expert : archetype_policy {
  using scalar = T;
  struct params {
    matrix<T> w;
  };
  using cache = archetype_cache;
  static constexpr auto fields = std::tuple{field{"w", &params::w}};
  archetype_size model;

  explicit archetype_expert(index model_size) : model(model_size) {}

  params init(std::mt19937_64& generator) const { return {randn<T>(1, 1, generator)}; }
  void forward(const params& p, in<T> x, out<T> y, cache&) const { y = p.w(0, 0) * x; }
};

/// `trainable_expert`: the same with its backward.
template <class T = double>
struct archetype_trainable_expert : archetype_expert<T> {
  using typename archetype_expert<T>::params;
  using typename archetype_expert<T>::cache;
  using archetype_expert<T>::archetype_expert;

  void backward(const params& p, in<T> x, in<T> dy, cache&, out<T> dx, params& dp) const {
    dx = p.w(0, 0) * dy;
    dp.w(0, 0) += (x.array() * dy.array()).sum();
  }
};

/// `executor`: two workers in name, who take turns, the last task first.
class archetype_executor {
 public:
  archetype_executor() = default;
  archetype_executor(const archetype_executor&) = delete;
  archetype_executor& operator=(const archetype_executor&) = delete;

  index workers() const { return 2; }
  template <class F>
  void run(index tasks, const F& f) const {
    for (index task = tasks; task-- > 0;) f(task, task % 2);
  }
};

/// `routing_loss`: half the number of assignments, without a gradient.
template <class T = double>
class archetype_loss {
 public:
  /// What can only be turned into the scalar type.
  class result {
   public:
    explicit result(T value) : value_(value) {}
    operator T() const { return value_; }

   private:
    T value_;
  };

  archetype_loss() = default;
  archetype_loss(const archetype_loss&) = delete;
  archetype_loss& operator=(const archetype_loss&) = delete;

  result operator()(const routing<T>& r, routing_gradient<T>&) const {
    return result(static_cast<T>(r.assignments.size()) / T{2});
  }
};

static_assert(gate_policy<archetype_gate<>> && !trainable_gate<archetype_gate<>>);
static_assert(trainable_gate<archetype_trainable_gate<>> && !contextual_gate<archetype_trainable_gate<>>);
static_assert(expert_policy<archetype_expert<>> && !trainable_expert<archetype_expert<>>);
static_assert(trainable_expert<archetype_trainable_expert<>> && !grouped_expert<archetype_trainable_expert<>>);
static_assert(executor<archetype_executor>);
static_assert(routing_loss<archetype_loss<>, double>);

}  // namespace testing
}  // namespace HEADGATE_ABI
}  // namespace headgate
