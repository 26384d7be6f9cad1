// SPDX-License-Identifier: BSD-3-Clause
// The layer as a competent user writes it by hand: gather the rows of each expert, three products, scatter.
#pragma once

#include <vector>

#include "layers/products.hpp"
#include "layers/subject.hpp"

namespace headgate_bench {

/// Slots of each expert, made from the record of the library's own gate, which all contenders share. Keeps its memory.
class expert_lists {
 public:
  [[nodiscard]] const hg::routing<float>& route(const layer& l, const hg::matrix<float>& x) {
    routing_.reset(x.rows(), l.experts());
    l.gate().route(l.params().gate, x, routing_, cache_, hg::pass<float>{hg::run_sequentially, gate_memory_});
    lists_.resize(static_cast<std::size_t>(l.experts()));
    for (auto& list : lists_) list.clear();
    for (hg::index a = 0; a < routing_.assignments.size(); ++a)
      lists_[static_cast<std::size_t>(routing_.assignments[a].expert)].push_back(a);
    return routing_;
  }
  [[nodiscard]] const hg::routing<float>& record() const { return routing_; }
  /// The assignments of expert e.
  [[nodiscard]] const std::vector<hg::index>& of(hg::index e) const { return lists_[static_cast<std::size_t>(e)]; }

 private:
  hg::routing<float> routing_;
  hg::topk_gate<float>::cache cache_;
  hg::scratch<float> gate_memory_;
  std::vector<std::vector<hg::index>> lists_;
};

/// All buffers are kept, and only as large as one expert's share of the batch, which stays in cache.
template <class Products>
class by_hand {
 public:
  void forward(const layer& l, const hg::matrix<float>& x, hg::matrix<float>& y) {
    const hg::routing<float>& r = lists_.route(l, x);
    y.setZero(x.rows(), l.outputs());
    for (hg::index e = 0; e < l.experts(); ++e) {
      const auto& mine = lists_.of(e);
      const auto n = static_cast<hg::index>(mine.size());
      if (n == 0) continue;
      const auto& p = l.params().experts[e];
      grow(n, p.gate.cols(), p.gate.rows());
      auto rows = rows_.topRows(n);
      auto u = u_.topRows(n);
      auto v = v_.topRows(n);
      auto f = f_.topRows(n);
      for (hg::index i = 0; i < n; ++i) rows.row(i) = x.row(r.assignments[mine[static_cast<std::size_t>(i)]].token);
      Products::times_transposed(rows, p.gate, u);
      Products::times_transposed(rows, p.up, v);
      u.array() = u.array() / (1.0f + (-u.array()).exp()) * v.array();
      Products::times_transposed(u, p.down, f);
      for (hg::index i = 0; i < n; ++i) {
        const auto& a = r.assignments[mine[static_cast<std::size_t>(i)]];
        y.row(a.token) += a.weight * f.row(i);
      }
    }
  }

 private:
  void grow(hg::index rows, hg::index model, hg::index hidden) {
    if (rows <= rows_.rows() && rows_.cols() == model && u_.cols() == hidden) return;
    rows_.resize(rows, model);
    f_.resize(rows, model);
    u_.resize(rows, hidden);
    v_.resize(rows, hidden);
  }

  expert_lists lists_;
  hg::matrix<float> rows_, u_, v_, f_;
};

}  // namespace headgate_bench
