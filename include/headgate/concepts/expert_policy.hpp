// SPDX-License-Identifier: BSD-3-Clause
// What an expert must offer.
#pragma once

#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/groups.hpp>

#include <concepts>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// An expert maps a block of rows (rows x model) to (rows x outputs). A policy object is its configuration; parameters
/// and cache are the caller's; the same object describes all experts of a layer.
///
///   forward(p, x, y, c)   writes y, which has its final size; c is the same object in every pass
///
/// Models: `ffn_expert`, `glu_expert`, the user's expert of docs/writing-an-expert.md. Not a model: an expert that keeps
/// its parameters or its intermediate results in itself.
template <class E>
concept expert_policy = std::floating_point<typename E::scalar> &&
    requires(const E expert, const typename E::params& p, typename E::cache& c, in<typename E::scalar> x,
             out<typename E::scalar> y, std::mt19937_64& generator) {
  E::fields;  // names of the matrices of params
  { model_of(expert) } -> std::same_as<index>;
  { expert.init(generator) } -> std::same_as<typename E::params>;
  expert.forward(p, x, y, c);
};

/// An expert with a backward: overwrites dx, adds to dp, and reads the cache that the last forward left.
template <class E>
concept trainable_expert = expert_policy<E> &&
    requires(const E expert, const typename E::params& p, typename E::cache& c, in<typename E::scalar> x,
             in<typename E::scalar> dy, out<typename E::scalar> dx, typename E::params& dp) {
  expert.backward(p, x, dy, c, dx, dp);
};

/// An expert that runs all experts of a layer at once, on the rows that `groups` lists, with one cache for all of them.
///
///   forward(p, groups, x, y, c, pass)           y (slots x outputs)
///   backward(p, groups, x, dy, c, dx, dp, pass) dy (slots x outputs), dx (slots x model); no dp: no gradient wanted
///
/// The type of the pass is a template parameter, because it carries the caller's executor.
template <class E>
concept grouped_expert = expert_policy<E> &&
    requires(const E expert, std::span<const typename E::params> p, const row_groups& groups, typename E::cache& c,
             in<typename E::scalar> x, out<typename E::scalar> y, const pass<typename E::scalar>& context) {
  expert.forward(p, groups, x, y, c, context);
};

/// How many of a layer's experts have parameters: all of them, or, where the policy has `parameterised(experts)`, so many; they
/// come first. A grouped expert of which fewer than all have parameters gets a shorter p and dp than there are groups.
template <class Expert>
[[nodiscard]] index parameterised_of(const Expert& expert, index experts) {
  if constexpr (requires { static_cast<index>(expert.parameterised(experts)); })
    return static_cast<index>(expert.parameterised(experts));
  else
    return experts;
}

namespace detail {
template <class E>
concept activates_one = requires(const E& expert, typename E::scalar sum) {
  { expert.activate(sum) } -> std::same_as<typename E::scalar>;
};
template <class E>
concept activates_two = requires(const E& expert, typename E::scalar sum) {
  { expert.activate(sum, sum) } -> std::same_as<typename E::scalar>;
};
}  // namespace detail

/// An expert whose weights `packed_layer` can pack: y = activate(x w' [, x v']) u', each product with a bias or without.
///
///   input_projection(p)    describes w, or w and v (kernels::times_transposed, kernels::pair_times_transposed); an expert
///                          without it is the output projection alone
///   activate(sum)          or activate(sum of w, sum of v): the hidden value, for vectors of any kind
///   output_projection(p)   describes u
///
/// Models: `glu_expert`, `ffn_expert`, `linear_expert`, `lora_expert`, `frozen` of one of them.
template <class E>
concept packable_expert = expert_policy<E> && requires(const E expert, const typename E::params& p) {
  expert.output_projection(p).b;
} &&(!requires(const E expert, const typename E::params& p) { expert.input_projection(p); } ||
     detail::activates_one<E> || detail::activates_two<E>);

}  // namespace HEADGATE_ABI
}  // namespace headgate
