// expect: clip_gradient_norm: the module needs for_each_parameter(grads, f), and for_each_own_gradient(grads, f) and for_each
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/optim/clip_gradient_norm.hpp>

struct model {  // says that ranks have parts of their own, but not which
  headgate::matrix<float> w;
  template <class F>
  void for_each_replicated_tensor(F&& f) {
    f("w", w);
  }
  template <class F>
  void for_each_replicated_gradient(headgate::matrix<float>& grads, F&& f) {
    f("w", grads);
  }
  template <class F>
  void for_each_parameter(headgate::matrix<float>& grads, F&& f) {
    f("w", w, grads);
  }
};

void refused(headgate::single_rank& ranks, model& m, headgate::matrix<float>& grads) {
  headgate::clip_gradient_norm(ranks, 1.0, m, grads);
}
