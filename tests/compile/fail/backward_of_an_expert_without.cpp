// expect: layer::backward: Expert does not model headgate::trainable_expert (docs/writing-an-expert.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

struct inference_expert {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  headgate::index model;

  params init(std::mt19937_64&) const { return {}; }
  void forward(const params&, headgate::in<float> x, headgate::out<float> y, cache&) const { y = x; }
};

using inference_layer = headgate::layer<headgate::topk_gate<float, 8, 4, 2>, inference_expert>;

float refused(const inference_layer& layer, const headgate::matrix<float>& x, inference_layer::tape& tape) {
  auto gradients = layer.zero_gradients();
  headgate::matrix<float> dx;
  return layer.backward(x, x, tape, dx, gradients);
}
