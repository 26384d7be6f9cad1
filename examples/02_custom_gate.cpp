// SPDX-License-Identifier: BSD-3-Clause
// Gates of one's own: one without parameters, one that learns, and one new stage among the library's.
#include <headgate/headgate.hpp>
#include <headgate/testing/conformance.hpp>

#include <algorithm>
#include <cstdio>

namespace hg = headgate;

// clang-format off
template <std::floating_point T>
struct hash_gate {                                   // token t goes to expert t mod n; nothing to learn
  using scalar = T;
  struct params {};                                  // trainable matrices: none
  struct cache {};                                   // what backward must remember: nothing
  static constexpr auto fields = std::tuple{};       // names of the trainable matrices
  hg::index model, experts;                          // configuration

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<T> x, hg::routing<T>& r, cache&) const {
    r.assignments.clear();
    for (hg::index t = 0; t < x.rows(); ++t) r.assignments.push_back({t, t % experts, T{1}});
  }
};
static_assert(hg::gate_policy<hash_gate<float>>);    // keep this line next to the policy
// clang-format on

// The best expert, weighted by tanh of its logit: z = x w', e = argmax z, weight = tanh(z_e).
template <std::floating_point T>
struct tanh_gate {
  using scalar = T;
  struct params {
    hg::matrix<T> weight;  // (experts x model)
  };
  struct cache {};
  static constexpr auto fields = std::tuple{hg::field{"weight", &params::weight}};
  hg::index model, experts;

  params init(std::mt19937_64& generator) const { return {hg::randn<T>(experts, model, generator, T(0.3))}; }

  void route(const params& p, hg::in<T> x, hg::routing<T>& r, cache&) const {
    for (hg::index t = 0; t < x.rows(); ++t) {
      hg::index best = 0;
      const T z = (p.weight * x.row(t).transpose()).maxCoeff(&best);
      r.assignments.push_back({t, best, std::tanh(z)});
    }
  }

  // d.weights holds dL/d(weight) of each assignment; adds to dx and dp.
  void backward(const params& p, hg::in<T> x, const hg::routing<T>& r, cache&, hg::routing_gradient<T>& d,
                hg::out<T> dx, params& dp) const {
    for (hg::index i = 0; i < r.assignments.size(); ++i) {
      const auto& [token, expert, weight] = r.assignments[i];
      const T dz = d.weights(i, 0) * (T{1} - weight * weight);
      dx.row(token) += dz * p.weight.row(expert);
      dp.weight.row(expert) += dz * x.row(token);
    }
  }
};
static_assert(hg::trainable_gate<tanh_gate<float>>);

// A stage: expert 0 for every token, and the best of the others.
struct first_and_best {
  template <class T>
  hg::index operator()(const T* scores, hg::index experts, hg::index* ids) const {
    ids[0] = 0;
    ids[1] = std::max_element(scores + 1, scores + experts) - scores;
    return 2;
  }
};

// Trains a layer with the gate to give back its input; returns the last loss.
template <class Gate>
float train(const char* name, const Gate& gate) {
  hg::layer layer{gate, hg::swiglu_expert<float>{.model = 8, .hidden = 32}, /*seed=*/1};
  std::mt19937_64 random(2);
  const auto x = hg::randn<float>(128, 8, random);
  typename decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::adamw<float> adam{.rate = 1e-2};
  hg::matrix<float> y, dx;
  float first = 0, last = 0;
  for (int step = 0; step < 300; ++step) {
    layer.forward(x, y, tape);
    const auto [loss, dy] = hg::mean_squared_error<float>(y, x);
    layer.set_zero(grads);
    layer.backward(x, dy, tape, dx, grads);
    adam.step(layer, grads);
    (step == 0 ? first : last) = loss;
  }
  std::printf("%-15s loss %.3f -> %.4f\n", name, double(first), double(last));
  return last;
}

int main() {
  // Shapes, bits, bad input, and gradients against finite differences. What a hash gate does depends on a token's place.
  const auto hash_report = hg::testing::check_gate(hash_gate<double>{6, 4}, {.rows_are_independent = false});
  const auto tanh_report = hg::testing::check_gate(tanh_gate<double>{6, 4});
  std::printf("%s%s", hash_report.text().c_str(), tanh_report.text().c_str());

  const float by_hash = train("hash_gate", hash_gate<float>{8, 4});
  const float by_tanh = train("tanh_gate", tanh_gate<float>{8, 4});
  const float by_stage = train("first_and_best", hg::gate{hg::linear_head<float>{.model = 8, .experts = 4},
                                                          hg::softmax{}, first_and_best{}, hg::renormalised{}});
  return hash_report && tanh_report && by_hash < 0.1F && by_tanh < 0.1F && by_stage < 0.1F ? 0 : 1;
}
