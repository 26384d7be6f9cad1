// SPDX-License-Identifier: BSD-3-Clause
// Whether a gate keeps the promises of `gate_policy` and `trainable_gate` that a compiler cannot see.
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/testing/check_expert.hpp>

#include <cmath>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace testing {

struct gate_options {
  index tokens = 7;
  /// Of tokens, parameters and noise. A selection that changes within the step of the differences shows as an absurdly
  /// large numeric derivative: take another one.
  random_stream random{1};
  double row_tolerance = 0;  ///< as in `expert_options`
  bool rows_are_independent =
      true;                    ///< false: a gate that looks at a token's place or neighbours (hash, expert choice)
  bool differentiable = true;  ///< false: the gradient is an estimate by design (straight-through)
  bool differentiable_in_training = true;  ///< false: it is one in training only (an expert drawn at random)
  gradient_options gradients{};
};

namespace detail {

/// Routes x as a layer does.
template <class Gate>
void route_with(const Gate& gate, const typename Gate::params& p, in<typename Gate::scalar> x,
                routing<typename Gate::scalar>& r, typename Gate::cache& c, bool training, random_stream random) {
  using T = typename Gate::scalar;
  r.reset(x.rows(), experts_of(gate));
  if constexpr (contextual_gate<Gate>) {
    scratch<T> memory;
    gate.route(p, x, r, c, pass<T>{run_sequentially, memory, training, random});
  } else {
    gate.route(p, x, r, c);
  }
}

template <class Gate>
void pull_back_with(const Gate& gate, const typename Gate::params& p, in<typename Gate::scalar> x,
                    const routing<typename Gate::scalar>& r, typename Gate::cache& c,
                    routing_gradient<typename Gate::scalar>& d, out<typename Gate::scalar> dx,
                    typename Gate::params& dp, bool training, random_stream random) {
  using T = typename Gate::scalar;
  if constexpr (requires { gate.backward(p, x, r, c, d, dx, dp); }) {
    gate.backward(p, x, r, c, d, dx, dp);
  } else {
    scratch<T> memory;
    gate.backward(p, x, r, c, d, dx, dp, pass<T>{run_sequentially, memory, training, random});
  }
}

/// What the record says of one token: its experts and weights in their order, its logits and scores.
template <class T>
array<T> decision(const routing<T>& r, index token) {
  array<T> all;
  for (const auto& a : r.assignments)
    if (a.token == token) {
      all.push_back(static_cast<T>(a.expert));
      all.push_back(a.weight);
    }
  for (const scratch<T>* rows : {&r.logits, &r.scores})
    for (index e = 0; rows->rows() > token && e < rows->cols(); ++e) all.push_back((*rows)(token, e));
  return all;
}
template <class T>
bool same_decision(const array<T>& a, const array<T>& b, double tolerance) {
  bool equal = a.size() == b.size();
  for (index i = 0; equal && i < a.size(); ++i) equal = same(a[i], b[i], tolerance);
  return equal;
}

/// sum of c * (weight, logit, score, clean logit, noise scale) with random c, and its gradient added to d.
template <class T>
T random_loss(const routing<T>& r, routing_gradient<T>& d, const random_stream& random) {
  T sum{0};
  for (index i = 0; i < r.assignments.size(); ++i) {
    const T c = static_cast<T>(normal(random, r.assignments[i].token, r.assignments[i].expert));
    sum += c * r.assignments[i].weight;
    d.weights(i, 0) += c;
  }
  std::uint64_t id = 0;
  const auto add = [&](const scratch<T>& value, scratch<T>& gradient) {
    const random_stream own = random.channel(++id);
    for (index t = 0; t < value.rows(); ++t)
      for (index e = 0; e < value.cols(); ++e) {
        const T c = static_cast<T>(normal(own, t, e));
        sum += c * value(t, e);
        gradient(t, e) += c;
      }
  };
  add(r.logits, d.logits);
  add(r.scores, d.scores);
  add(r.clean_logits, d.clean_logits);
  add(r.noise_scale, d.noise_scale);
  return sum;
}

}  // namespace detail

/// Routing: assignments name a token and an expert that exist, none twice, with finite weights; the same bits each
/// time, in evaluation each token on its own, whatever the cache held before; an empty batch and a single token work.
/// Backward (of a trainable gate): adds to dx and dp, and in double agrees with differences of a random function of the
/// whole record, in evaluation and in training.
template <class Gate>
[[nodiscard]] report check_gate(const Gate& gate, const gate_options& options = {}) {
  static_assert(gate_policy<Gate>, "check_gate: Gate does not model headgate::gate_policy (docs/writing-a-gate.md)");
  using T = typename Gate::scalar;
  report result;
  const index tokens = options.tokens, model = model_of(gate), experts = experts_of(gate);
  std::mt19937_64 generator(options.random.seed);
  typename Gate::params p = gate.init(generator);
  disturb<Gate>(p, options.random.channel(2));
  matrix<T> x = random_matrix<T>(tokens, model, options.random.channel(3));

  for (const bool training : {false, true}) {
    const char* const mode = training ? " (training)" : " (evaluation)";
    typename Gate::cache cache, fresh;
    routing<T> r, other;
    const auto run = [&](const auto& input, routing<T>& record, typename Gate::cache& memory) {
      detail::route_with(gate, p, input, record, memory, training, options.random);
    };
    run(x, r, cache);
    result.require(r.tokens == tokens && r.experts == experts, "route changes the sizes of the record", mode);
    array<index> visits(tokens * experts);
    for (const auto& a : r.assignments) {
      const bool exists = a.token >= 0 && a.token < tokens && a.expert >= 0 && a.expert < experts;
      result.require(exists, "route sends token ", a.token, " of ", tokens, " to expert ", a.expert, " of ", experts,
                     mode);
      result.require(!exists || ++visits[a.token * experts + a.expert] == 1, "route sends token ", a.token,
                     " to expert ", a.expert, " twice", mode);
      result.require(std::isfinite(a.weight), "route gives token ", a.token, " the weight ", a.weight, mode);
    }
    run(x, other, fresh);
    for (index t = 0; t < tokens; ++t)
      result.require(detail::same_decision(detail::decision(other, t), detail::decision(r, t), 0), "token ", t,
                     " is routed otherwise the second time", mode);
    for (index t = 0; t < tokens && !training && options.rows_are_independent; ++t) {
      typename Gate::cache alone;
      run(x.row(t), other, alone);
      result.require(detail::same_decision(detail::decision(other, 0), detail::decision(r, t), options.row_tolerance),
                     "token ", t, " alone is not routed as in a batch of ", tokens, mode);
    }
    run(x.topRows(1), other, fresh);
    run(x.topRows(0), other, fresh);
    result.require(other.assignments.empty(), "an empty batch has assignments", mode);
    run(x, other, fresh);
    for (index t = 0; t < tokens; ++t)
      result.require(detail::same_decision(detail::decision(other, t), detail::decision(r, t), 0), "token ", t,
                     " is routed otherwise after another batch", mode);

    if constexpr (trainable_gate<Gate>) {
      const random_stream coefficients = options.random.channel(4);
      routing_gradient<T> d;
      const auto pull_back = [&](typename Gate::params& dp, matrix<T>& dx) {
        run(x, r, cache);
        d.reset(r);
        detail::random_loss(r, d, coefficients);
        detail::pull_back_with(gate, p, x, r, cache, d, dx, dp, training, options.random);
      };
      typename Gate::params dp = p, dq = p;
      detail::set_parameters<Gate>(dp, T{0});
      detail::set_parameters<Gate>(dq, T{1});
      matrix<T> dx = matrix<T>::Zero(tokens, model), dz = matrix<T>::Ones(tokens, model);
      pull_back(dp, dx);
      pull_back(dq, dz);
      const double close = sizeof(T) == 8 ? 1e-9 : 1e-3;
      const matrix<T> more_dx = dx.array() + T{1}, more_dp = detail::flattened<Gate>(dp).array() + T{1};
      result.require(detail::same_rows(dz, more_dx, close), "backward does not add to dx", mode);
      result.require(detail::same_rows(detail::flattened<Gate>(dq), more_dp, close), "backward does not add to dp",
                     mode);
      if constexpr (std::is_same_v<T, double>) {
        if (!options.differentiable || (training && !options.differentiable_in_training)) continue;
        const auto loss = [&] {
          run(x, r, cache);
          d.reset(r);
          return detail::random_loss(r, d, coefficients);
        };
        gradient_report gradients = gradient_check(loss, {{"x", x, dx}}, options.gradients);
        field_path path;
        const auto compare = [&](std::string_view name, auto& w, const auto& dw) {
          gradients.include(gradient_check(loss, {{name, w, dw}}, options.gradients));
        };
        for_each_field<Gate, fields_of::training>(path, compare, p, dp);
        result.require(static_cast<bool>(gradients), gradients.text(), mode);
      }
    }
  }
  return result;
}

}  // namespace testing
}  // namespace HEADGATE_ABI
}  // namespace headgate
