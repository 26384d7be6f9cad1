// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/whole/in_double.hpp>

#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/gates/whole/random_second.hpp>
#include <headgate/gates/whole/sparsemixer.hpp>
#include <headgate/io/safetensors.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/load.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/optim/adamw.hpp>
#include <headgate/optim/clip_gradient_norm.hpp>
#include <headgate/optim/sgd.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/testing/archetypes.hpp>

#include "support/gate_checks.hpp"
#include "support/own_path.hpp"

#include <cmath>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

using top_two = hg::renormalised_topk_gate<double>;
using wide = hg::in_double<top_two>;
static_assert(hg::trainable_gate<wide> && hg::contextual_gate<wide> && std::is_same_v<wide::scalar, float>);
static_assert(!hg::trainable_gate<hg::in_double<hg::testing::archetype_gate<double>>>);

top_two inner(hg::index model = 5, hg::index experts = 6) {
  return {.head = {.model = model, .experts = experts}, .select = {.k = 2}};
}

const hg::swiglu_expert<float> expert{.model = 5, .hidden = 7};

hg::matrix<float> narrow(const hg::matrix<double>& m) { return m.cast<float>(); }

}  // namespace

TEST_CASE("in_double keeps every promise of a gate, over any gate of double", "[gates][whole][in_double]") {
  CHECK(hg::testing::check_gate(wide{.gate = inner()}));
  CHECK(hg::testing::check_gate(
      hg::in_double<hg::noisy_topk_gate<double>>{.gate = {.head = {.model = 6, .experts = 4}, .select = {.k = 2}}}));
  CHECK(hg::testing::check_gate(hg::in_double<hg::sparsemixer<hg::linear_head<double>>>{
      .gate = {.head = {.model = 6, .experts = 4}, .jitter = 0.3}}));
  CHECK(
      hg::testing::check_gate(hg::in_double<hg::random_second<top_two>>{.gate = {.gate = inner(), .threshold = 0.6}}));
  CHECK(hg::testing::check_gate(hg::in_double{hg::testing::archetype_trainable_gate<double>(4, 3)}));
}

TEST_CASE("in_double tells two logits apart that are one in float", "[gates][whole][in_double]") {
  // Logits 1 and 1 + 2^-30: float has 24 digits, so they are a tie there, which goes to the lower index.
  const auto set = [](auto& weight) { weight << 1, 0, 1, 9.31322574615478515625e-10; };
  const hg::matrix<float> x = hg::matrix<float>::Ones(1, 2);
  routed in_float(hg::renormalised_topk_gate<float>{.head = {.model = 2, .experts = 2}, .select = {.k = 1}});
  routed in_double(hg::in_double<top_two>{.gate = {.head = {.model = 2, .experts = 2}, .select = {.k = 1}}});
  set(in_float.p.head.weight);  // exact in float too
  set(in_double.p.head.weight);
  CHECK(experts_of_token(in_float(x), 0) == std::vector<hg::index>{0});
  CHECK(experts_of_token(in_double(x), 0) == std::vector<hg::index>{1});
  CHECK(in_double.r.logits(0, 0) == in_double.r.logits(0, 1));  // the record is rounded
}

TEST_CASE("in_double's record is that of the gate of double, rounded", "[gates][whole][in_double]") {
  for (const bool training : {false, true}) {
    using noisy = hg::noisy_topk_gate<double>;
    const noisy with_noise{.head = {.model = 5, .experts = 6}, .select = {.k = 3}};
    routed exact(with_noise);
    routed rounded(hg::in_double<noisy>{.gate = with_noise});
    const hg::matrix<float> x = narrow(random_matrix(40, 5, {2}));
    const hg::matrix<double> same = x.cast<double>();
    const auto& a = training ? exact.training(same, 4) : exact(same);
    const auto& b = training ? rounded.training(x, 4) : rounded(x);
    REQUIRE(b.assignments.size() == a.assignments.size());
    bool equal = b.scores_are == a.scores_are && b.best_first == a.best_first && b.tokens == 40 && b.experts == 6;
    for (hg::index i = 0; i < a.assignments.size(); ++i) {
      const auto &one = a.assignments[i],
                 other = hg::assignment<double>{b.assignments[i].token, b.assignments[i].expert, one.weight};
      equal = equal && one.token == other.token && one.expert == other.expert &&
              b.assignments[i].weight == static_cast<float>(one.weight);
    }
    CHECK(equal);
    CHECK(a.clean_logits.rows() == (training ? 40 : 0));
    const auto compare = [](const char*, const auto& from, const auto& to) {
      REQUIRE(to.rows() == from.rows());
      CHECK((from.rows() == 0 || hg::map_of(to.block()) == narrow(hg::map_of(from.block()))));
    };
    hg::detail::for_each_block(compare, a, b);
  }
}

TEST_CASE("in_double keeps what a gate of double chose before it dropped some", "[gates][whole][in_double]") {
  const hg::random_second<top_two> dropping{.gate = inner(), .threshold = 1};
  routed exact(dropping);
  routed rounded(hg::in_double<hg::random_second<top_two>>{.gate = dropping});
  const hg::matrix<float> x = narrow(random_matrix(40, 5, {2}));
  const auto& a = exact.training(x.cast<double>(), 4);
  const auto& b = rounded.training(x, 4);
  CHECK(b.best_first);
  REQUIRE((b.chosen.size() == 80 && a.chosen.size() == 80 && b.assignments.size() < 80));
  for (hg::index i = 0; i < 80; ++i)
    CHECK((b.chosen[i].token == a.chosen[i].token && b.chosen[i].expert == a.chosen[i].expert &&
           b.chosen[i].weight == static_cast<float>(a.chosen[i].weight)));
}

TEST_CASE("in_double's gradients are those of the gate of double", "[gates][whole][in_double]") {
  routed exact(inner());
  routed rounded(wide{.gate = inner()});
  const hg::matrix<float> x = narrow(random_matrix(40, 5, {2}));
  const hg::matrix<double> same = x.cast<double>();
  const hg::matrix<float> dg = narrow(random_matrix(40, 6, {3}));
  exact(same);
  rounded(x);
  exact.backward(same, dg.cast<double>());
  rounded.backward(x, dg);
  CHECK(rounded.dp.head.weight == exact.dp.head.weight);  // nothing of it is rounded
  CHECK(rounded.dx == narrow(exact.dx));

  // A loss reads the rounded probabilities, so its gradient is right to float's digits.
  exact.backward_of(same, hg::switch_balance<double>{});
  rounded.backward_of(x, hg::switch_balance<float>{});
  CHECK((rounded.dp.head.weight - exact.dp.head.weight).cwiseAbs().maxCoeff() < 1e-6);
  CHECK(exact.dp.head.weight.cwiseAbs().maxCoeff() > 1e-3);

  using noisy = hg::noisy_topk_gate<double>;
  const noisy with_noise{.head = {.model = 5, .experts = 6}, .select = {.k = 2}};
  routed exact_noise(with_noise);
  routed rounded_noise(hg::in_double<noisy>{.gate = with_noise});
  exact_noise.training(same, 4);
  rounded_noise.training(x, 4);
  exact_noise.backward_of(same, hg::load_balance<double>{});
  rounded_noise.backward_of(x, hg::load_balance<float>{});
  CHECK((rounded_noise.dp.head.noise_weight - exact_noise.dp.head.noise_weight).cwiseAbs().maxCoeff() < 1e-5);
  CHECK(exact_noise.dp.head.noise_weight.cwiseAbs().maxCoeff() > 1e-3);
}

TEST_CASE("in_double adds to dx with one rounding", "[gates][whole][in_double]") {
  const hg::matrix<float> x = hg::matrix<float>::Ones(1, 1);
  routed gate(hg::in_double<hg::topk_gate<double>>{.gate = {.head = {.model = 1, .experts = 1}, .select = {.k = 1}}});
  gate.p.head.weight << 0x1p-24 + 0x1p-50;  // itself rounded it is half of 1's last digit, which goes to the even one
  gate(x);
  gate.d.reset(gate.r);
  gate.d.logits(0, 0) = 1;
  hg::matrix<float> dx = hg::matrix<float>::Ones(1, 1);
  hg::testing::detail::pull_back_with(gate.gate, gate.p, x, gate.r, gate.cache, gate.d, dx, gate.dp, false, {});
  CHECK(dx(0, 0) == 1.0F + 0x1p-23F);
}

TEST_CASE("in_double refuses what float does not hold, and accepts a gate's own -inf", "[gates][whole][in_double]") {
  const hg::matrix<float> x = hg::matrix<float>::Ones(2, 2);
  routed gate(hg::in_double<hg::topk_gate<double>>{.gate = {.head = {.model = 2, .experts = 2}, .select = {.k = 1}}});
  gate.p.head.weight << 1, 2, 1e200, 0;
  CHECK_THROWS_WITH(gate(x),
                    "in_double::route: the router logit of token 0 for expert 1 is 1e+200, beyond what float holds");
  gate.p.head.weight(1, 0) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(gate(x), contains("gate::route: the router logit of token 0 for expert 1 is"));
  CHECK_THROWS_WITH(gate(hg::matrix<float>::Ones(2, 3)),
                    "in_double::route: x has 3 columns, the gate was built for model = 2");

  using biased = hg::sparsemixer<hg::linear_head<double, hg::dynamic, hg::dynamic, hg::biases::used>>;
  routed off(hg::in_double<biased>{.gate = {.head = {.model = 2, .experts = 3}, .jitter = 0.1}});
  off.p.head.bias(0, 1) = -std::numeric_limits<double>::infinity();
  off(x);
  for (const auto& a : off.r.assignments) CHECK(a.expert != 1);
}

TEST_CASE("in_double gives the same bits with any executor", "[gates][whole][in_double]") {
  const wide gate{.gate = inner()};
  std::mt19937_64 generator(1);
  const auto p = gate.init(generator);
  const hg::matrix<float> x = narrow(random_matrix(20000, 5, {4}));  // several tasks
  const auto run = [&](const auto& executor) {
    wide::cache c;
    hg::routing<float> r;
    hg::routing_gradient<float> d;
    hg::scratch<float> memory;
    const hg::pass<float, std::remove_cvref_t<decltype(executor)>> pass{executor, memory};
    gate.route(p, x, r, c, pass);
    d.reset(r);
    for (hg::index a = 0; a < r.assignments.size(); ++a) d.weights(a, 0) = 1.0F / static_cast<float>(a + 1);
    hg::matrix<float> dx = hg::matrix<float>::Ones(20000, 5);
    auto dp = p;
    gate.backward(p, x, r, c, d, dx, dp, pass);
    return std::tuple{dense_weights(r), dx, dp.head.weight};
  };
  CHECK(run(hg::thread_pool(3)) == run(hg::run_sequentially));
}

TEST_CASE("a layer of float learns with a router in double: its parameters are stepped in double",
          "[gates][whole][in_double]") {
  const auto train = [&](auto optimiser) {
    hg::layer layer{wide{.gate = inner()}, expert, 1};
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    const hg::matrix<float> x = narrow(random_matrix(20, 5, {2}));
    hg::matrix<float> y, dx;
    const hg::matrix<double> before = layer.params().gate.head.weight;
    double first = 0, loss = 0;
    for (int step = 0; step < 30; ++step) {
      layer.forward(x, y, tape);
      layer.set_zero(grads);
      const hg::matrix<float> dy = (y - x) / 10.0F;
      loss = static_cast<double>((y - x).squaredNorm());
      if (step == 0) first = loss;
      layer.backward(x, dy, tape, dx, grads, hg::switch_balance<float>{.weight = 0.01F});
      hg::clip_gradient_norm(1.0, layer, grads);
      optimiser.step(layer, grads);
    }
    CHECK(loss < 0.8 * first);
    const hg::matrix<double>& after = layer.params().gate.head.weight;
    CHECK(after != before);
    CHECK(after != narrow(after).cast<double>());  // not rounded to float anywhere
  };
  train(hg::adamw<float>{.rate = 1e-2});
  train(hg::sgd<float>{.rate = 0.1, .momentum = 0.9});
}

TEST_CASE("an optimiser of float steps parameters of double as an optimiser of double does",
          "[gates][whole][in_double]") {
  hg::layer in_float{wide{.gate = inner()}, expert, 1};
  hg::layer all_double{inner(), hg::swiglu_expert<double>{.model = 5, .hidden = 7}, 1};
  auto grads = in_float.zero_gradients();
  auto wide_grads = all_double.zero_gradients();
  CHECK(in_float.params().gate.head.weight == all_double.params().gate.head.weight);
  hg::adamw<float> adam{.rate = 1e-2};
  hg::adamw<double> wide_adam{.rate = 1e-2};
  for (std::uint64_t step = 0; step < 3; ++step) {
    grads.gate.head.weight = wide_grads.gate.head.weight = random_matrix(6, 5, {step});
    adam.step(in_float, grads);
    wide_adam.step(all_double, wide_grads);
  }
  CHECK(in_float.params().gate.head.weight == all_double.params().gate.head.weight);
}

TEST_CASE("a layer with a router in double is saved with all its digits, and reads files of float",
          "[gates][whole][in_double]") {
  struct test_path {
    std::filesystem::path path;
    ~test_path() { std::filesystem::remove(path); }
  };
  const test_path wide_file{own_path("in_double_wide.safetensors")}, file{own_path("in_double.safetensors")};
  hg::layer one{wide{.gate = inner()}, expert, 1};
  hg::layer other{wide{.gate = inner()}, expert, 2};
  hg::save(one, wide_file.path);
  hg::load(other, wide_file.path);
  CHECK(other.params().gate.head.weight == one.params().gate.head.weight);
  CHECK(other.params().experts[5].down == one.params().experts[5].down);

  hg::layer in_float{hg::renormalised_topk_gate<float>{.head = {.model = 5, .experts = 6}, .select = {.k = 2}}, expert,
                     3};
  hg::save(in_float, file.path);
  hg::load(other, file.path);
  CHECK(other.params().gate.head.weight == in_float.params().gate.head.weight.cast<double>());
  const std::string said = [&] {
    try {
      hg::load(in_float, wide_file.path);
    } catch (const std::runtime_error& e) {
      return std::string(e.what());
    }
    return std::string();
  }();
  CHECK_THAT(said, contains("tensor 'gate.weight' is F64, expected F32 or a narrower float"));
}

TEST_CASE("a packed layer routes in double as its layer does", "[gates][whole][in_double]") {
  const hg::layer layer{wide{.gate = inner()}, expert, 1};
  const hg::packed_layer packed(layer);
  const hg::matrix<float> x = narrow(random_matrix(20, 5, {2}));
  CHECK((packed(x) - layer(x)).cwiseAbs().maxCoeff() < 1e-5F);
}
