// SPDX-License-Identifier: BSD-3-Clause
// Sinkhorn routing (Clark et al. 2022, arXiv:2202.01169, S-BASE, place not checked; Megatron-Core's "sinkhorn").
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/whole/inner_gate.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/kernels/topk.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

template <class Select>
inline constexpr bool is_top_k = false;
template <index K>
inline constexpr bool is_top_k<top_k<K>> = true;

/// A gate of four stages that selects by rank alone.
template <class Gate>
inline constexpr bool selects_top_k = requires(const Gate g) {
  requires is_top_k<std::remove_cvref_t<decltype(g.select)>>;
};

}  // namespace detail

/// A gate of four stages that in training chooses by a balanced plan of the batch, in evaluation as it is:
///
///   plan_te = d0_t exp(z_te) d1_e               every row sums to 1 / tokens, every column to 1 / experts
///   token t gets its k largest plan_te          in training, k that of gate.select, which must be a `top_k`
///
/// Within a token the plan ranks as z_te + log d1_e, so that log d1 is a bias of each expert, found anew for each batch:
///
///   log d1_e -= log(experts * mean_t softmax(z_t + log d1)_e)     until no step is larger than `tolerance`, or
///                                                                 most_iterations times
///
/// which are Sinkhorn's two steps, in double, and never multiplies what could overflow: logits of 1e4 are in order.
/// (Megatron-Core iterates on exp(z), with 1e-8 in the denominators, until the mean |d1 - d1_old| is at most its
/// tolerance, which depends on the scale of d1.) Where the iterations end first, as they may with logits far apart, the
/// choice is that of the last bias: valid, less balanced; `cache.balance` says how far it came. The k largest of a
/// balanced plan are near balance, not in it.
///
/// Weights, scores and the whole of the backward are the gate's, from its logits as they are; bias and choice carry no
/// gradient. sigmoid of the logits for k = 1, or softmax over all experts for larger k, are Megatron-Core's:
///
///   hg::sinkhorn_gate<float>{.gate = {.head = {.model = 64, .experts = 8}, .select = {.k = 1}}}
///   hg::sinkhorn<hg::softmax_topk_gate<float>>{.gate = {.head = {.model = 64, .experts = 8}, .select = {.k = 2}}}
///
/// In training the whole batch decides (on several ranks: each rank's own part of it); in evaluation each token is on
/// its own. Ranks of a token that are equal go to the lower expert: experts whose logits are the same for every token have
/// the same bias, to the last bit. Where logits differ and balance alone makes the plan equal (one token alone, tokens all
/// alike), z + log d1 is equal up to rounding, and rounding decides. Experts that are off, for one token or for all, have
/// no share in the plan, and neither has a token that has none. Where steering forces experts, nothing is balanced;
/// k, skip, off and mask act on the plan as they do on scores.
template <class Gate>
struct sinkhorn {
  static_assert(trainable_gate<Gate>,
                "sinkhorn: Gate does not model headgate::trainable_gate (docs/writing-a-gate.md)");
  static_assert(
      requires(const Gate g) {
        g.head;
        g.select;
      },
      "sinkhorn: Gate must be a gate of four stages");
  static_assert(detail::selects_top_k<Gate>,
                "sinkhorn: Gate's selection must be top_k: in training the plan takes its place, and any other rule "
                "(a bias, a limit of groups, ranks left out) would hold in evaluation only");
  using scalar = typename Gate::scalar;
  using T = scalar;

  HEADGATE_NO_UNIQUE_ADDRESS Gate gate{};
  double tolerance = 1e-4;
  index most_iterations = 100;

  /// The last balanced plan.
  struct balance {
    array<double> bias;    ///< (experts): log d1, up to a constant
    index iterations = 0;  ///< that it took
    double error = 0;      ///< the largest |log(experts * column sum)| before the last step
  };

  using params = typename Gate::params;
  struct cache {
    typename Gate::cache gate;
    sinkhorn::balance balance;
    detail::chosen_experts<T> chosen;
    array<index> columns;  // the experts in the plan
    scratch<double> sums;  // (blocks of tokens x experts): column sums of a block; in the end the steps of all
    scratch<double> rows;  // (workers x experts)
    array<index> ids;      // (experts)
  };
  static constexpr auto fields = Gate::fields;
  static constexpr bool steerable = true;

  [[nodiscard]] index model() const { return model_of(gate); }
  [[nodiscard]] index experts() const { return experts_of(gate); }

  /// Refuses sizes and options that make no sense.
  void check() const {
    if (!(tolerance > 0 && kernels::is_finite(tolerance)))
      refuse("sinkhorn: tolerance is ", tolerance, ", it must be finite and greater than 0");
    check_positive("sinkhorn", "most_iterations", most_iterations);
    detail::check_inner(gate);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const { return gate.init(generator); }

  template <class Executor>
  void route(const params& p, in<T> x, routing<T>& r, cache& c, const pass<T, Executor>& pass) const {
    check();
    const steering<T>* const how = pass.steering;
    if (!pass.training || (how != nullptr && how->forced != nullptr))
      return detail::route_inner(gate, p, x, r, c.gate, pass);
    if (x.cols() != model())
      refuse("sinkhorn::route: x has ", x.cols(), " columns, the gate was built for model = ", model());
    detail::route_head(gate, p, x, r, c.gate, pass);
    find_bias(r, c, pass.executor);
    choose(r, c, how);
    c.chosen.route(gate, p, x, r, c.gate, pass);
  }

  /// Adds to dx and dp the gradient of the record.
  template <class Executor>
  void backward(const params& p, in<T> x, const routing<T>& r, cache& c, routing_gradient<T>& d, out<T> dx, params& dp,
                const pass<T, Executor>& pass) const {
    detail::backward_inner(gate, p, x, r, c.gate, d, dx, dp, pass);
  }

 private:
  /// Sinkhorn's iterations over the experts and tokens that have a part in the plan.
  template <class Executor>
  void find_bias(const routing<T>& r, cache& c, const Executor& executor) const {
    balance& b = c.balance;
    b.bias.assign(experts(), 0.0);
    c.rows.resize(executor.workers(), experts());
    const double due = start_columns(r, c);
    for (b.iterations = 0, b.error = infinity; b.iterations < most_iterations && b.error > tolerance; ++b.iterations) {
      add_rows(r, c, executor);
      b.error = 0;
      for (const index e : c.columns) {
        double& sum = c.sums(0, e);
        sum = sum > smallest_share * due ? std::log(sum / due) : log_of_column(r, c, e) - std::log(due);
        b.error = (std::max)(b.error, std::abs(sum));
      }
      for (const index e : c.columns) b.bias[e] -= c.sums(0, e);
    }
  }

  /// Lists the experts that are on for some token. Returns how many tokens each is due: those that have an expert, divided.
  [[nodiscard]] double start_columns(const routing<T>& r, cache& c) const {
    c.columns.clear();
    for (index e = 0; e < experts(); ++e) {
      index t = 0;
      while (t < r.tokens && !is_on(r, t, e)) ++t;
      if (t < r.tokens) c.columns.push_back(e);
    }
    index tokens = 0;
    for (index t = 0; t < r.tokens; ++t) tokens += count_on(r, t) > 0 ? 1 : 0;
    return c.columns.empty() ? 0.0 : static_cast<double>(tokens) / static_cast<double>(c.columns.size());
  }

  /// sums_0e = sum_t softmax(z_t + bias)_e. The blocks, hence the bits, are the same for every executor.
  template <class Executor>
  void add_rows(const routing<T>& r, cache& c, const Executor& executor) const {
    const index each = detail::rows_of(detail::elements_per_task, experts());
    const index blocks = (r.tokens + each - 1) / each;
    c.sums.zero((std::max)(blocks, index{1}), experts());
    executor.run(blocks, [&](index block, index worker) {
      double* const row = c.rows.row(worker);
      double* const sums = c.sums.row(block);
      for (index t = block * each; t < (std::min)((block + 1) * each, r.tokens); ++t) {
        biased_row(r, c.balance.bias, t, row);
        kernels::softmax_row(static_cast<const double*>(row), row, experts());  // zeros where no expert is on
        for (index e = 0; e < experts(); ++e) sums[e] += row[e];
      }
    });
    for (index block = 1; block < blocks; ++block)
      for (index e = 0; e < experts(); ++e) c.sums(0, e) += c.sums(block, e);
  }

  /// log sum_t softmax(z_t + bias)_e, where the sum itself is too small a number.
  [[nodiscard]] double log_of_column(const routing<T>& r, cache& c, index e) const {
    double* const row = c.rows.row(0);
    double largest = -infinity, sum = 0;  // the sum is of exp(l - largest)
    for (index t = 0; t < r.tokens; ++t) {
      if (!is_on(r, t, e)) continue;
      biased_row(r, c.balance.bias, t, row);
      const double l = row[e] - kernels::log_sum_exp_row(static_cast<const double*>(row), experts());
      if (l > largest) {
        sum *= std::exp(largest - l);
        largest = l;
      }
      sum += std::exp(l - largest);
    }
    return largest + std::log(sum);
  }

  /// The experts of each token, by the bias.
  void choose(const routing<T>& r, cache& c, const steering<T>* how) const {
    const index own = gate.select.count(experts());
    const index skip = how != nullptr ? how->skip : 0;
    const index each = how != nullptr ? how->ranks(own, experts()) : own;
    c.ids.resize(experts());
    c.chosen.start(experts());
    index* const ids = c.ids.data();
    for (index t = 0; t < r.tokens; ++t) {
      double* const row = c.rows.row(0);
      biased_row(r, c.balance.bias, t, row);
      const index on = count_on(r, t);
      if (on > 0 && skip >= on) refuse("steering: token ", t, " has ", on, " experts that are on, skip is ", skip);
      kernels::topk_row(static_cast<const double*>(row), experts(), each, ids);
      const index end = (std::min)(each, on);  // those that are off rank last
      c.chosen.add(ids + (std::min)(skip, end), (std::max)(end - skip, index{0}));
    }
  }

  [[nodiscard]] static bool is_on(const routing<T>& r, index t, index e) {
    return !kernels::is_minus_infinity(r.logits(t, e));
  }
  [[nodiscard]] static index count_on(const routing<T>& r, index t) {
    index on = 0;
    for (index e = 0; e < r.experts; ++e) on += is_on(r, t, e) ? 1 : 0;
    return on;
  }

  /// z_te + log d1_e of token t: what ranks its experts.
  static void biased_row(const routing<T>& r, const array<double>& bias, index t, double* row) {
    const T* const z = r.logits.row(t);
    for (index e = 0; e < r.experts; ++e) row[e] = static_cast<double>(z[e]) + bias[e];
  }

  static constexpr double infinity = std::numeric_limits<double>::infinity();

  /// Of what a column is due: a smaller sum may have lost digits to terms below the smallest number.
  static constexpr double smallest_share = 1e-100;
};

template <class Gate>
sinkhorn(Gate) -> sinkhorn<Gate>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
