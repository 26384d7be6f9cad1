// SPDX-License-Identifier: BSD-3-Clause
// Training steps, forward and backward: train/SHAPE/T:N/threads:N/WHO.
#include "layers/by_hand_training.hpp"
#include "layers/measure.hpp"
#include "layers/stage.hpp"
#include "suite.hpp"

namespace headgate_bench {

namespace {

/// What both contenders fill: gradients of x and of the parameters, from the same dy.
struct step_result {
  hg::matrix<float> y, dx;
  layer::gradients grads;
};

class trained_layer {
 public:
  trained_layer(stage& s, hg::index threads)
      : result{{}, {}, s.layers().banks().front().zero_gradients()},
        layer_(s.layers().banks().front()),
        threads_(pool_of(threads)) {}

  void step(const hg::matrix<float>& x, const hg::matrix<float>& dy) {
    layer_.forward(threads_, x, result.y, tape_);
    layer_.backward(threads_, x, dy, tape_, result.dx, result.grads);
  }

  step_result result;

 private:
  const layer& layer_;
  const hg::thread_pool& threads_;
  layer::tape tape_;
};

class trained_by_hand {
 public:
  trained_by_hand(stage& s, hg::index)
      : result{{}, {}, s.layers().banks().front().zero_gradients()}, layer_(s.layers().banks().front()) {}

  void step(const hg::matrix<float>& x, const hg::matrix<float>& dy) {
    by_hand_.forward(layer_, x, result.y);
    by_hand_.backward(layer_, x, dy, result.dx, result.grads);
  }

  step_result result;

 private:
  const layer& layer_;
  by_hand_training by_hand_;
};

hg::matrix<float> some_dy(const stage& s) {
  hg::matrix<float> dy(s.tokens(), s.sizes().model);
  counter_hash random(5);
  for (hg::index i = 0; i < dy.size(); ++i) dy.data()[i] = random.within(1.0f);
  return dy;
}

/// One step of each from zero gradients must agree in everything.
void check_step(const step_result& got, const step_result& expected) {
  check_close(got.y, expected.y, 1e-4f, "y");
  check_close(got.dx, expected.dx, 1e-4f, "dx");
  check_close(got.grads.gate.head.weight, expected.grads.gate.head.weight, 1e-3f, "the router's gradient");
  for (hg::index e = 0; e < got.grads.experts.size(); ++e) {
    const auto& a = got.grads.experts[e];
    const auto& b = expected.grads.experts[e];
    if (b.gate.isZero(0)) continue;  // nobody went there
    check_close(a.gate, b.gate, 1e-4f, "an expert's gradient of gate");
    check_close(a.up, b.up, 1e-4f, "an expert's gradient of up");
    check_close(a.down, b.down, 1e-4f, "an expert's gradient of down");
  }
}

template <class Contender>
void run(benchmark::State& state, const shape& sizes, hg::index tokens, hg::index threads) {
  stage& s = stage::of(sizes, tokens, spread::uniform);
  const hg::matrix<float> dy = some_dy(s);
  Contender& who = s.contender<Contender>(threads, [&](Contender& fresh) {
    fresh.step(s.batch(0).x, dy);
    if constexpr (std::is_same_v<Contender, trained_layer>) {
      trained_by_hand other(s, 1);
      other.step(s.batch(0).x, dy);
      check_step(fresh.result, other.result);
    }
  });
  const double all_weights = weight_bytes(sizes, static_cast<double>(sizes.experts), 4);
  measure(
      state, threads, level_of(2 * all_weights), tokens, [&](hg::index pass) { who.step(s.batch(pass).x, dy); },
      [&](hg::index passes) {
        work_done done;
        done.passes = static_cast<double>(passes);
        done.flops = 3 * done.passes * forward_flops(sizes, tokens);  // forward, gradient of the input, of the weights
        for (hg::index i = 0; i < passes; ++i)  // weights are read twice, their gradients read and written
          done.bytes += 4 * weight_bytes(sizes, s.batch(i).active_experts, 4);
        return done;
      });
}

template <class Contender>
void add(group& to, const shape& s, hg::index tokens, hg::index threads, const char* who) {
  const std::string shape_name = s.name;
  const bool in_short_set = tokens >= 512 && (shape_name == "tabular" || shape_name == "small");
  const std::string name =
      "train/" + shape_name + "/T:" + std::to_string(tokens) + "/threads:" + std::to_string(threads) + "/" + who;
  to.entries.push_back({name,
                        [&s, tokens, threads](benchmark::State& state) {
                          try {
                            run<Contender>(state, s, tokens, threads);
                          } catch (const std::exception& problem) {
                            state.SkipWithError(problem.what());
                          }
                        },
                        in_short_set});
}

}  // namespace

void add_training(std::vector<group>& groups) {
  for (const shape& s : shapes)
    for (const hg::index tokens : {64, 512, 4096}) {
      if (weight_bytes(s, static_cast<double>(s.experts), 4) > 2e9) continue;  // with gradients, more than memory
      group all{{}, repetitions_for(3 * forward_flops(s, tokens))};
      for (const hg::index threads : {1, 2}) add<trained_layer>(all, s, tokens, threads, "headgate");
      add<trained_by_hand>(all, s, tokens, 1, "eigen");
      groups.push_back(std::move(all));
    }
}

}  // namespace headgate_bench
