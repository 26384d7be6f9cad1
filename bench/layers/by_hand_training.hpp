// SPDX-License-Identifier: BSD-3-Clause
// A training step of the layer as a competent user writes it with Eigen: forward that keeps what backward needs, and
// backward into gradients of x, of all weights and of the router.
#pragma once

#include <vector>

#include "layers/by_hand.hpp"

namespace headgate_bench {

/// Buffers hold all slots, expert after expert, and are kept from step to step. Gradients are added up, dx is overwritten, as
/// in the library.
class by_hand_training {
 public:
  void forward(const layer& l, const hg::matrix<float>& x, hg::matrix<float>& y) {
    const hg::routing<float>& r = lists_.route(l, x);
    grow(r.assignments.size(), x.rows(), l);
    y.setZero(x.rows(), l.outputs());
    for_each_expert(l, [&](hg::index e, hg::index first, hg::index n) {
      const auto& p = l.params().experts[e];
      auto rows = rows_.middleRows(first, n);
      auto u = u_.middleRows(first, n);
      auto v = v_.middleRows(first, n);
      auto h = h_.middleRows(first, n);
      auto f = f_.middleRows(first, n);
      for (hg::index i = 0; i < n; ++i) rows.row(i) = x.row(assignment(r, e, i).token);
      u.noalias() = rows * p.gate.transpose();
      v.noalias() = rows * p.up.transpose();
      h.array() = u.array() / (1.0f + (-u.array()).exp()) * v.array();
      f.noalias() = h * p.down.transpose();
      for (hg::index i = 0; i < n; ++i) y.row(assignment(r, e, i).token) += assignment(r, e, i).weight * f.row(i);
    });
  }

  /// dy (tokens x model) is the gradient of y; dx and `grads` receive theirs.
  void backward(const layer& l, const hg::matrix<float>& x, const hg::matrix<float>& dy, hg::matrix<float>& dx,
                layer::gradients& grads) {
    const hg::routing<float>& r = lists_.record();
    dx.setZero(x.rows(), x.cols());
    for_each_expert(l, [&](hg::index e, hg::index first, hg::index n) {
      const auto& p = l.params().experts[e];
      auto& d = grads.experts[e];
      const auto rows = rows_.middleRows(first, n);
      const auto u = u_.middleRows(first, n).array();
      const auto v = v_.middleRows(first, n).array();
      const auto h = h_.middleRows(first, n);
      auto f = f_.middleRows(first, n);    // then its gradient
      auto dh = dh_.middleRows(first, n);  // then the gradient of u
      auto dv = dv_.middleRows(first, n);
      for (hg::index i = 0; i < n; ++i) {
        const auto& a = assignment(r, e, i);
        dweights_[static_cast<std::size_t>(lists_.of(e)[static_cast<std::size_t>(i)])] = dy.row(a.token).dot(f.row(i));
        f.row(i) = a.weight * dy.row(a.token);
      }
      d.down.noalias() += f.transpose() * h;
      dh.noalias() = f * p.down;
      auto s = s_.topRows(n);
      s.array() = 1.0f / (1.0f + (-u).exp());
      dv.array() = dh.array() * u * s.array();
      dh.array() *= v * s.array() * (1.0f + u * (1.0f - s.array()));
      d.gate.noalias() += dh.transpose() * rows;
      d.up.noalias() += dv.transpose() * rows;
      f.noalias() = dh * p.gate;  // the gradient of rows, in the place of the one of f
      f.noalias() += dv * p.up;
      for (hg::index i = 0; i < n; ++i) dx.row(assignment(r, e, i).token) += f.row(i);
    });
    backward_router(l, r, x, dx, grads.gate.head.weight);
  }

 private:
  [[nodiscard]] const hg::assignment<float>& assignment(const hg::routing<float>& r, hg::index e, hg::index i) const {
    return r.assignments[lists_.of(e)[static_cast<std::size_t>(i)]];
  }

  /// f(expert, its first slot, its number of slots)
  template <class F>
  void for_each_expert(const layer& l, const F& f) {
    hg::index first = 0;
    for (hg::index e = 0; e < l.experts(); ++e) {
      const auto n = static_cast<hg::index>(lists_.of(e).size());
      if (n > 0) f(e, first, n);
      first += n;
    }
  }

  /// Through the softmax of the selected logits, dz = w (dw - <w, dw>), then through the linear head.
  void backward_router(const layer& l, const hg::routing<float>& r, const hg::matrix<float>& x, hg::matrix<float>& dx,
                       hg::matrix<float>& dweight) {
    const hg::matrix<float>& w = l.params().gate.head.weight;
    dlogits_.setZero(x.rows(), w.rows());
    for (hg::index a = 0; a < r.assignments.size();) {
      const hg::index token = r.assignments[a].token;
      hg::index end = a;
      float dot = 0;
      for (; end < r.assignments.size() && r.assignments[end].token == token; ++end)
        dot += r.assignments[end].weight * dweights_[static_cast<std::size_t>(end)];
      for (; a < end; ++a)
        dlogits_(token, r.assignments[a].expert) =
            r.assignments[a].weight * (dweights_[static_cast<std::size_t>(a)] - dot);
    }
    dweight.noalias() += dlogits_.transpose() * x;
    dx.noalias() += dlogits_ * w;
  }

  void grow(hg::index slots, hg::index tokens, const layer& l) {
    if (rows_.rows() == slots) return;
    for (hg::matrix<float>* m : {&rows_, &f_}) m->resize(slots, l.model());
    for (hg::matrix<float>* m : {&u_, &v_, &h_, &dh_, &dv_}) m->resize(slots, l.expert().hidden);
    s_.resize(tokens, l.expert().hidden);  // no expert has a token twice
    dweights_.resize(static_cast<std::size_t>(slots));
  }

  expert_lists lists_;
  hg::matrix<float> rows_, u_, v_, h_, f_, dh_, dv_, s_, dlogits_;
  std::vector<float> dweights_;
};

}  // namespace headgate_bench
