// SPDX-License-Identifier: BSD-3-Clause
// Whole layers, inference: layer/SHAPE/T:N/threads:N[/routing:KIND]/WHO, who being headgate or a library used by hand.
#include "layers/by_hand.hpp"
#include "layers/measure.hpp"
#include "layers/stage.hpp"
#include "suite.hpp"

namespace headgate_bench {

namespace {

/// Where all weights of a contender's layer fit.
template <class Contender>
memory_level level_of_layer(const shape& s) {
  return level_of(weight_bytes(s, static_cast<double>(s.experts), Contender::bytes_per_weight));
}

/// The library's layer, in fp32 or in 16 bits.
template <class Layer, int BytesPerWeight>
class ours {
 public:
  static constexpr double bytes_per_weight = BytesPerWeight;
  static constexpr float tolerance = BytesPerWeight == 4 ? 1e-4f : 2e-2f;

  ours(stage& s, hg::index threads)
      : banks_(s.layers().banks_as<Layer>()),
        turns_(level_of_layer<ours>(s.sizes()) == memory_level::dram ? banks_.size() : 1),
        threads_(pool_of(threads)) {}

  void forward(hg::index pass, const hg::matrix<float>& x, hg::matrix<float>& y) {
    banks_[static_cast<std::size_t>(pass) % turns_].forward(threads_, x, y, memory_);
  }

 private:
  const std::deque<Layer>& banks_;
  std::size_t turns_;
  const hg::thread_pool& threads_;
  typename Layer::workspace memory_;
};

template <class Products>
class baseline {
 public:
  static constexpr double bytes_per_weight = 4;
  static constexpr float tolerance = 1e-4f;

  baseline(stage& s, hg::index threads) : banks_(s.layers().banks()), threads_(threads) {}

  void forward(hg::index pass, const hg::matrix<float>& x, hg::matrix<float>& y) {
    if (pass == 0) Products::use_threads(threads_);
    layer_.forward(banks_[static_cast<std::size_t>(pass) % banks_.size()], x, y);
  }

 private:
  const std::deque<layer>& banks_;
  hg::index threads_;
  by_hand<Products> layer_;
};

struct layer_case {
  const shape& sizes;
  hg::index tokens, threads;
  spread kind;
};

template <class Contender>
void run(benchmark::State& state, const layer_case& c) {
  stage& s = stage::of(c.sizes, c.tokens, c.kind);
  hg::matrix<float> y(c.tokens, c.sizes.model);
  Contender& who = s.contender<Contender>(c.threads, [&](Contender& fresh) {
    fresh.forward(0, s.batch(0).x, y);
    check_close(y, s.expected(), Contender::tolerance, "y");
  });
  measure(
      state, c.threads, level_of_layer<Contender>(c.sizes), c.tokens,
      [&](hg::index pass) { who.forward(pass, s.batch(pass).x, y); },
      [&](hg::index passes) {
        work_done done;
        done.passes = static_cast<double>(passes);
        done.flops = done.passes * forward_flops(c.sizes, c.tokens);
        for (hg::index i = 0; i < passes; ++i)
          done.bytes += weight_bytes(c.sizes, s.batch(i).active_experts, Contender::bytes_per_weight);
        return done;
      });
}

/// A wrong answer or a refusal is the benchmark's result, in one sentence.
template <class Contender>
std::function<void(benchmark::State&)> runner(const layer_case& c) {
  return [c](benchmark::State& state) {
    try {
      run<Contender>(state, c);
    } catch (const std::exception& problem) {
      state.SkipWithError(problem.what());
    }
  };
}

class cases {
 public:
  cases(group& to, const layer_case& c, bool in_short_set) : to_(to), case_(c), in_short_set_(in_short_set) {}

  template <class Contender>
  void add(const char* who, bool in_short_set = true) {
    const std::string name = std::string("layer/") + case_.sizes.name + "/T:" + std::to_string(case_.tokens) +
                             "/threads:" + std::to_string(case_.threads) + suffix_of(case_.kind) + "/" + who;
    to_.entries.push_back({name, runner<Contender>(case_), in_short_set_ && in_short_set});
  }
  template <class Products>
  void add_baseline(bool in_short_set = true) {
    add<baseline<Products>>(Products::name, in_short_set);
  }

 private:
  group& to_;
  layer_case case_;
  bool in_short_set_;
};

void add_contenders(cases to, const layer_case& c) {
  const bool plain = c.threads == 1 && c.kind == spread::uniform;
  to.add<ours<layer_fp32, 4>>("headgate");
  if (c.kind == spread::uniform) {
    to.add<ours<layer_bf16, 2>>("headgate_bf16", plain && c.tokens <= 8);
    to.add<ours<layer_fp16, 2>>("headgate_fp16", false);
  }
  if (c.threads == 1) to.add_baseline<eigen_products>(plain);
#if HEADGATE_BENCH_OPENBLAS
  to.add_baseline<openblas_products>(plain);
#endif
#if HEADGATE_BENCH_ONEDNN
  to.add_baseline<onednn_products>(plain);
#endif
}

}  // namespace

void add_layers(std::vector<group>& groups) {
  for (const shape& s : shapes)
    for (const hg::index tokens : {1, 4, 8, 16, 64, 512, 4096}) {
      const bool short_shape = &s < &shapes[4];
      const bool short_tokens = tokens == 1 || tokens == 8 || tokens == 64 || tokens == 512;
      group all{{}, repetitions_for(forward_flops(s, tokens))};
      for (const hg::index threads : {1, 2})
        for (const spread kind : {spread::uniform, spread::zipf, spread::one}) {
          const layer_case c{s, tokens, threads, kind};
          const bool in_short_set =
              kind == spread::uniform ? threads == 1 || tokens == 512 : kind == spread::one && tokens == 512;
          add_contenders(cases(all, c, short_shape && short_tokens && in_short_set), c);
        }
      groups.push_back(std::move(all));
    }
}

}  // namespace headgate_bench
