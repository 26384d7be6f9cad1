// expect: layer::backward: Gate does not model headgate::trainable_gate (docs/writing-a-gate.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/layer.hpp>

namespace hg = headgate;

struct gate_that_cannot_learn {
  using scalar = float;
  struct params {
    hg::matrix<float> w;
  };
  struct cache {};
  static constexpr auto fields = std::tuple{hg::field{"w", &params::w}};
  hg::index model = 4, experts = 2;

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<float>, hg::routing<float>&, cache&) const {}
};

using layer = hg::layer<gate_that_cannot_learn, hg::linear_expert<float>>;

void refused(const layer& l, const hg::matrix<float>& x, layer::tape& tape, hg::matrix<float>& dx,
             layer::gradients& grads) {
  l.backward(x, x, tape, dx, grads);
}
