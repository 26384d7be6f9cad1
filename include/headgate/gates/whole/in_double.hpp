// SPDX-License-Identifier: BSD-3-Clause
// A router in double precision for a layer of float (float32 routers beside 16-bit experts: Fedus et al. 2021,
// arXiv:2101.03961, section 2.4; the same, one precision up).
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/gates/whole/inner_gate.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A gate of float whose logits, scores, selection and weights are computed by a gate of double: x is widened, which is
/// exact, and what that gate decides is rounded once. So a selection changes only where the logits in double do, not
/// with the rounding of a sum.
///
///   hg::in_double<hg::topk_gate<double>>{.gate = {.head = {.model = 64, .experts = 8}, .select = {.k = 2}}}
///
/// The parameters are the inner gate's, in double: optimisers of float step them in double, files hold them as F64 and
/// are also read from F32. Losses read and differentiate the rounded record; the gradient is widened, and its way from
/// there to the parameters is in double. The router's product takes two to three times as long.
template <class Gate>
struct in_double {
  static_assert(gate_policy<Gate>, "in_double: Gate does not model headgate::gate_policy (docs/writing-a-gate.md)");
  static_assert(std::is_same_v<typename Gate::scalar, double>, "in_double: Gate must be a gate of double");
  using scalar = float;

  HEADGATE_NO_UNIQUE_ADDRESS Gate gate{};

  using params = typename Gate::params;
  struct cache {
    typename Gate::cache gate;
    routing<double> record;
    routing_gradient<double> gradient;
    scratch<double> x, dx;  // (tokens x model)
    scratch<double> working_memory;
  };
  static constexpr auto fields = Gate::fields;

  [[nodiscard]] index model() const { return model_of(gate); }
  [[nodiscard]] index experts() const { return experts_of(gate); }

  /// Refuses what the inner gate refuses.
  void check() const { detail::check_inner(gate); }

  [[nodiscard]] params init(std::mt19937_64& generator) const { return gate.init(generator); }

  template <class Executor>
  void route(const params& p, in<float> x, routing<float>& r, cache& c, const pass<float, Executor>& pass) const {
    if (x.cols() != model())
      refuse("in_double::route: x has ", x.cols(), " columns, the gate was built for model = ", model());
    const view<double> wide = c.x.resize(x.rows(), x.cols());
    for_blocks(wide.rows, wide.cols, pass.executor, [&](index first, index count) {
      for (index t = first; t < first + count; ++t) std::copy_n(view_of(x).row(t), wide.cols, wide.row(t));
    });
    detail::route_inner(gate, p, map_of(wide), c.record, c.gate, in_wide(c, pass));

    r.reset(x.rows(), experts());
    r.scores_are = c.record.scores_are;
    r.best_first = c.record.best_first;
    detail::for_each_block([&](const char* name, const auto& from, auto& to) { round(name, from, to, pass.executor); },
                           std::as_const(c.record), r);
    round(c.record.assignments, r.assignments);
    round(c.record.chosen, r.chosen);
  }

  /// Adds to dx and dp the gradient of the record.
  template <class Executor>
  void backward(const params& p, in<float> x, const routing<float>&, cache& c, routing_gradient<float>& d,
                out<float> dx, params& dp, const pass<float, Executor>& pass) const requires trainable_gate<Gate> {
    c.gradient.reset(c.record);
    const auto widen = [](const char*, const scratch<float>& from, scratch<double>& to) {
      std::copy_n(from.data(), from.size(), to.data());
    };
    widen("weight", d.weights, c.gradient.weights);
    detail::for_each_block(widen, std::as_const(d), c.gradient);
    const view<double> wide = c.dx.zero(x.rows(), x.cols());
    detail::backward_inner(gate, p, map_of(c.x.block()), c.record, c.gate, c.gradient, map_of(wide), dp,
                           in_wide(c, pass));
    for_blocks(wide.rows, wide.cols, pass.executor, [&](index first, index count) {
      for (index t = first; t < first + count; ++t) {
        float* const to = view_of(dx).row(t);
        for (index i = 0; i < wide.cols; ++i) to[i] = static_cast<float>(static_cast<double>(to[i]) + wide(t, i));
      }
    });
  }

 private:
  template <class Executor>
  static pass<double, Executor> in_wide(cache& c, const pass<float, Executor>& pass) {
    return {pass.executor, c.working_memory, pass.training, pass.random};
  }

  /// f(first, count) for blocks of rows, spread over the executor.
  template <class Executor, class F>
  static void for_blocks(index rows, index cols, const Executor& executor, const F& f) {
    const index each = detail::rows_of(4 * detail::elements_per_task, cols);
    executor.run((rows + each - 1) / each,
                 [&](index task, index) { f(task * each, (std::min)(each, rows - task * each)); });
  }

  static void round(const array<assignment<double>>& from, array<assignment<float>>& to) {
    to.resize_for_overwrite(from.size());
    for (index a = 0; a < from.size(); ++a) to[a] = {from[a].token, from[a].expert, static_cast<float>(from[a].weight)};
  }

  /// Rounds a block. Refuses a finite number that float does not hold.
  template <class Executor>
  static void round(const char* name, const scratch<double>& from, scratch<float>& to, const Executor& executor) {
    const view<float> narrow = to.resize(from.rows(), from.cols());
    if (from.size() == 0) return;
    for_blocks(from.rows(), from.cols(), executor, [&](index first, index count) {
      std::transform(from.row(first), from.row(first) + count * from.cols(), narrow.row(first),
                     [](double value) { return static_cast<float>(value); });
    });
    for (index i = kernels::first_not_finite(narrow); i >= 0 && i < from.size(); ++i)
      if (!kernels::is_finite(narrow.data[i]) && kernels::is_finite(from.data()[i]))
        refuse("in_double::route: the ", name, " of token ", i / from.cols(), " for expert ", i % from.cols(), " is ",
               from.data()[i], ", beyond what float holds");
  }
};

template <class Gate>
in_double(Gate) -> in_double<Gate>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
