// SPDX-License-Identifier: BSD-3-Clause
// Experts of one's own: one for inference in 16 lines, and the same with a backward, trained inside a layer.
#include <headgate/headgate.hpp>
#include <headgate/testing/conformance.hpp>

#include <cstdio>

namespace hg = headgate;

// clang-format off
template <std::floating_point T>
struct relu2_expert {                                // y = relu(x up')^2 down'
  using scalar = T;
  struct params { hg::matrix<T> up, down; };
  struct cache { hg::matrix<T> pre; };
  static constexpr auto fields = std::tuple{hg::field{"up", &params::up}, hg::field{"down", &params::down}};
  hg::index model, hidden;

  params init(std::mt19937_64& g) const {
    return {hg::randn<T>(hidden, model, g, T(0.1)), hg::randn<T>(model, hidden, g, T(0.1))};
  }
  void forward(const params& p, hg::in<T> x, hg::out<T> y, cache& c) const {
    c.pre.noalias() = x * p.up.transpose();
    y.noalias() = c.pre.cwiseMax(T{0}).cwiseAbs2() * p.down.transpose();
  }
};
static_assert(hg::expert_policy<relu2_expert<float>>);
// clang-format on

// The same with a backward: overwrites dx, adds to dp.
template <std::floating_point T>
struct trained_relu2_expert : relu2_expert<T> {
  using typename relu2_expert<T>::params;
  using typename relu2_expert<T>::cache;

  void backward(const params& p, hg::in<T> x, hg::in<T> dy, cache& c, hg::out<T> dx, params& dp) const {
    const hg::matrix<T> active = c.pre.cwiseMax(T{0});                     // (rows x hidden)
    const hg::matrix<T> dpre = (dy * p.down).cwiseProduct(T{2} * active);  // (rows x hidden)
    dp.down.noalias() += dy.transpose() * active.cwiseAbs2();
    dp.up.noalias() += dpre.transpose() * x;
    dx.noalias() = dpre * p.up;
  }
};
static_assert(hg::trainable_expert<trained_relu2_expert<float>>);

int main() {
  // Gradients against finite differences, shapes, no rows, one row. Eigen's products sum in an order that depends on the
  // number of rows; an expert that calls hg::kernels::gemm instead passes with a tolerance of 0.
  const auto report = hg::testing::check_expert(trained_relu2_expert<double>{{6, 5}}, {.row_tolerance = 1e-12});
  std::printf("%s", report.text().c_str());

  const hg::softmax_topk_gate<float> gate{.head = {.model = 8, .experts = 4}, .select = {.k = 2}};
  std::mt19937_64 random(2);
  const auto x = hg::randn<float>(128, 8, random);
  const hg::matrix<float> target = x.cwiseAbs();

  const hg::layer inference_only{gate, relu2_expert<float>{8, 64}, /*seed=*/1};
  hg::layer layer{gate, trained_relu2_expert<float>{{8, 64}}, /*seed=*/1};
  if (inference_only(x) != layer(x)) return 1;  // the same expert, the same bits

  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::adamw<float> adam{.rate = 1e-2};
  hg::matrix<float> y, dx;
  float last = 0;
  for (int step = 0; step <= 400; ++step) {
    layer.forward(x, y, tape);
    const auto [loss, dy] = hg::mean_squared_error<float>(y, target);
    layer.set_zero(grads);
    layer.backward(x, dy, tape, dx, grads, hg::switch_balance<float>{.weight = 1e-2F});
    adam.step(layer, grads);
    last = loss;
    if (step % 200 == 0) std::printf("step %3d  loss %.4f\n", step, double(loss));
  }
  return report && last < 0.05F ? 0 : 1;
}
