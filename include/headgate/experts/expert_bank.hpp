// SPDX-License-Identifier: BSD-3-Clause
// Runs all experts of a layer: grouped experts in one call, any other expert on its own block of gathered rows.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/gather_rows.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/groups.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What the experts of one layer keep from forward to backward.
template <class Expert>
struct expert_bank_cache {
  using T = typename Expert::scalar;
  array<typename Expert::cache> each;  // one for all where the expert is grouped, else one for each
  scratch<T> gathered;                 // (slots x model), unused where the expert is grouped
};

/// y_s = expert of slot s applied to row rows[s] of x, for all slots. y (slots x outputs).
template <class Expert, class T, class Executor>
void forward_experts(const Expert& expert, std::span<const typename Expert::params> p, const row_groups& g, in<T> x,
                     view<T> y, expert_bank_cache<Expert>& c, const pass<T, Executor>& pass) {
  if constexpr (grouped_expert<Expert>) {
    if (c.each.empty()) c.each.resize(1);
    expert.forward(p, g, x, map_of(y), c.each[0], pass);
  } else {
    if (c.each.size() != g.count) c.each.resize(g.count);
    const view<T> rows = c.gathered.resize(g.slots(), x.cols());
    if (g.slots() == 0) return;  // a list of no rows may be null, which means all of them
    if (g.rows)
      kernels::gather_rows<xsimd::default_arch, T>(view_of(x), g.rows, rows);
    else
      map_of(rows) = x;
    pass.executor.run(g.count, [&](index e, index) {
      if (g.size(e) > 0)
        expert.forward(p[static_cast<std::size_t>(e)], map_of(g.slice(rows, e)), map_of(g.slice(y, e)), c.each[e]);
    });
  }
}

/// The backward of `forward_experts`: overwrites dx (slots x model) and adds to dp. An expert without slots is not called.
template <class Expert, class T, class Executor>
void backward_experts(const Expert& expert, std::span<const typename Expert::params> p, const row_groups& g, in<T> x,
                      read_view<T> dy, expert_bank_cache<Expert>& c, view<T> dx, std::span<typename Expert::params> dp,
                      const pass<T, Executor>& pass) {
  if constexpr (grouped_expert<Expert>) {
    expert.backward(p, g, x, map_of(dy), c.each[0], map_of(dx), dp, pass);
  } else {
    pass.executor.run(g.count, [&](index e, index) {
      if (g.size(e) > 0)
        expert.backward(p[static_cast<std::size_t>(e)], map_of(g.slice(c.gathered.block(), e)), map_of(g.slice(dy, e)),
                        c.each[e], map_of(g.slice(dx, e)), dp[static_cast<std::size_t>(e)]);
    });
  }
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
