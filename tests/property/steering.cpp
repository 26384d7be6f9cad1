// SPDX-License-Identifier: BSD-3-Clause
// Steering does to any gate what it says, to a layer, its tape and a packed layer alike, and backward follows it.
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/losses/entropy.hpp>
#include <headgate/losses/importance.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/routing/routing_trace.hpp>
#include <headgate/routing/telemetry.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace headgate_test;

namespace {

constexpr hg::index model = 6, experts = 7, tokens = 11;

template <class Gate>
auto layer_of(const Gate& gate, std::uint64_t seed = 3) {
  using T = typename Gate::scalar;
  hg::layer layer{gate, hg::swiglu_expert<T>{.model = model, .hidden = 5}, seed};
  layer.for_each_tensor(disturb_all{{seed}});
  return layer;
}

/// A user's score whose slope at -infinity is infinite: 0 times that is no gradient.
struct cubic {
  template <class V>
  [[nodiscard]] V value(V z) const {
    return z + z * z * z;
  }
  template <class V>
  [[nodiscard]] V derivative(V z) const {
    return V(1) + V(3) * z * z;
  }
};

/// f(gate) for gates of every kind of score, selection and weights.
template <class T, class F>
void for_top_k_gates(const F& f) {
  f(hg::topk_gate<T>{.head = {.model = model, .experts = experts}, .select = {.k = 3}});
  f(hg::renormalised_topk_gate<T>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  f(hg::balanced_sigmoid_gate<T>{.head = {.model = model, .experts = experts}, .select = {.k = 3}});
  f(hg::sigmoid_gate<T>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  f(hg::noisy_topk_gate<T>{.head = {.model = model, .experts = experts}, .select = {.k = 3}});
}
template <class T, class F>
void for_other_gates(const F& f) {
  f(hg::softmax_gate<T>{.head = {.model = model, .experts = experts}});
  f(hg::gumbel_gate<T>{.head = {.model = model, .experts = experts}, .score = {.samples = 2}});
  f(hg::top_p_gate<T>{.head = {.model = model, .experts = experts}, .select = {.mass = T(0.7)}});
  f(hg::adamole_gate<T>{.head = {.model = model, .experts = experts}});
  f(hg::relu_gate<T>{.head = {.model = model, .experts = experts}});
  f(hg::gate<hg::linear_head<T>, hg::elementwise_score<cubic, hg::score_kind::logits>, hg::top_k<>,
             hg::softmax_of_selected>{
      .head = {.model = model, .experts = experts}, .score = {}, .select = {.k = 3}, .weigh = {}});
}
template <class T, class F>
void for_all_gates(const F& f) {
  for_top_k_gates<T>(f);
  for_other_gates<T>(f);
}

template <class T>
bool same_record(const hg::routing<T>& a, const hg::routing<T>& b) {
  bool same = a.assignments.size() == b.assignments.size();
  for (hg::index i = 0; same && i < a.assignments.size(); ++i)
    same = a.assignments[i].token == b.assignments[i].token && a.assignments[i].expert == b.assignments[i].expert &&
           same_bits(a.assignments[i].weight, b.assignments[i].weight);
  return same;
}

/// One layer's outputs and records under a steering: in inference, in evaluation with a tape, packed, and with threads.
/// All have the same bits.
template <class Layer>
struct steered_pass {
  using T = typename Layer::scalar;
  typename Layer::workspace memory;
  hg::matrix<T> y;

  steered_pass(const Layer& layer, const hg::matrix<T>& x, const hg::steering<T>& how) {
    memory.steering = how;
    layer.forward(x, y, memory);
    const hg::packed_layer packed{layer};
    typename decltype(packed)::workspace packed_memory;
    typename Layer::tape tape;
    tape.training = false;
    packed_memory.steering = tape.steering = how;
    hg::matrix<T> other;
    const auto check = [&](const auto& of) {
      CHECK(same_matrix(other, y));
      CHECK(same_record(of.routing, memory.routing));
    };
    packed.forward(x, other, packed_memory);
    check(packed_memory);
    packed.forward(hg::thread_pool{2}, x, other, packed_memory);
    check(packed_memory);
    layer.forward(hg::thread_pool{3}, x, other, tape);
    check(tape);
  }
  [[nodiscard]] std::vector<hg::index> experts_of(hg::index token) const {
    std::vector<hg::index> all;
    for (const auto& a : memory.routing.assignments)
      if (a.token == token) all.push_back(a.expert);
    return all;
  }
  [[nodiscard]] hg::index count_of(hg::index expert) const { return memory.routing.load()[expert]; }
};

template <class Layer>
steered_pass<Layer> run(const Layer& layer, const hg::matrix<typename Layer::scalar>& x,
                        const hg::steering<typename Layer::scalar>& how) {
  return {layer, x, how};
}

/// Differences of <y, dy> + losses under a steering, by x and all parameters.
template <class Layer, class... Losses>
hg::testing::gradient_report check_gradients(Layer layer, hg::matrix<double> x, const hg::steering<double>& how,
                                             bool training, const Losses&... losses) {
  const auto dy = random_matrix<double>(x.rows(), layer.outputs(), {77});
  typename Layer::tape tape;
  tape.training = training;
  tape.steering = how;
  hg::matrix<double> y, dx;
  const auto loss = [&] {
    tape.random = {5};
    layer.forward(x, y, tape);
    double sum = (y.array() * dy.array()).sum();
    tape.gradient.reset(tape.routing);
    sum += hg::add_losses(tape.routing, tape.gradient, losses...);
    return sum;
  };
  loss();
  auto grads = layer.zero_gradients();
  tape.steering = {};  // of the next forward: backward follows the last
  layer.backward(x, dy, tape, dx, grads, losses...);
  tape.steering = how;
  auto result = hg::testing::gradient_check(loss, {{"x", x, dx}}, strict());
  layer.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
    result.include(hg::testing::gradient_check(loss, {{name, w, dw}}, strict()));
    for (const hg::index e : how.off) {
      if (name == "gate.weight") CHECK(dw.row(e).isZero(0));
      if (name.substr(0, 10) == hg::sentence("experts.", e, ".")) CHECK(dw.isZero(0));
    }
  });
  return result;
}

hg::recorded_pass<double> some_routing(hg::index count) {
  hg::recorded_pass<double> forced(experts);
  for (hg::index t = 0; t < count; ++t) {
    const hg::index ids[] = {(3 * t + 2) % experts, (3 * t + 5) % experts};
    const double weights[] = {0.25 + static_cast<double>(t), -0.5};
    const auto named = static_cast<std::size_t>(t % 3);  // none, one or two
    forced.append({ids, named}, {weights, named});
  }
  return forced;
}

}  // namespace

TEMPLATE_TEST_CASE("a steering of which nothing is set changes no bit", "[property][steering]", float, double) {
  using T = TestType;
  for_all_gates<T>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<T>(tokens, model, {1});
    CHECK(same_matrix(run(layer, x, {}).y, layer(x)));
  });
}

TEMPLATE_TEST_CASE("k steers a gate as its own k would", "[property][steering]", float, double) {
  using T = TestType;
  for_top_k_gates<T>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<T>(tokens, model, {1});
    for (hg::index k = 1; k <= experts; ++k) {
      auto other = layer;
      other.gate().select.k = k;
      CHECK(same_matrix(run(layer, x, {.k = k}).y, other(x)));
    }
  });
}

TEMPLATE_TEST_CASE("skip leaves out the best and takes the next ones", "[property][steering]", float, double) {
  using T = TestType;
  for_top_k_gates<T>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<T>(tokens, model, {1});
    const auto ranked = run(layer, x, {.k = experts});
    for (const hg::index k : {0, 1, 3}) {
      const hg::index each = k > 0 ? k : hg::index{gate.select.k};
      for (hg::index skip = 0; skip + each <= experts; ++skip) {
        const auto steered = run(layer, x, {.k = k, .skip = skip});
        bool right = true;
        for (hg::index t = 0; t < tokens; ++t) {
          auto expected = ranked.experts_of(t);
          expected = {expected.begin() + skip, expected.begin() + skip + each};
          right = right && steered.experts_of(t) == expected;
        }
        CHECK(right);
      }
    }
  });
}

TEST_CASE("experts that are off are as good as absent", "[property][steering]") {
  for_all_gates<double>([](auto gate) {
    using Gate = decltype(gate);
    auto layer = layer_of(gate);
    if constexpr (requires { layer.params().gate.select.selection_bias; })
      layer.params().gate.select.selection_bias(0, 5) = 50;  // which would select it, whatever its score
    const auto x = random_matrix<double>(tokens, model, {1});
    const auto steered = run(layer, x, {.off = {5, 1, 5}});
    CHECK(steered.count_of(5) == 0);
    CHECK(steered.count_of(1) == 0);

    // A layer without the two: of the same numbers, but in sums of another order, and with noise of its own.
    if constexpr (!std::is_same_v<Gate, hg::gumbel_gate<double>> && !std::is_same_v<Gate, hg::adamole_gate<double>>) {
      gate.head.experts = 5;
      hg::layer small{gate, hg::swiglu_expert<double>{.model = model, .hidden = 5}, 1};
      const hg::index left[] = {0, 2, 3, 4, 6};
      for (hg::index e = 0; e < 5; ++e) {
        small.params().experts[e] = layer.params().experts[left[e]];
        small.params().gate.head.weight.row(e) = layer.params().gate.head.weight.row(left[e]);
        if constexpr (requires { layer.params().gate.select.selection_bias; })
          small.params().gate.select.selection_bias(0, e) = layer.params().gate.select.selection_bias(0, left[e]);
      }
      CHECK((steered.y - small(x)).norm() <= 1e-13 * steered.y.norm());
    }
  });
}

TEST_CASE("where fewer experts than k are on, a token gets those", "[property][steering]") {
  for_top_k_gates<float>([](const auto& gate) {
    const auto x = random_matrix<float>(tokens, model, {1});
    const auto steered = run(layer_of(gate), x, {.k = 3, .skip = 1, .off = {0, 1, 2, 3, 4}});
    CHECK(steered.memory.routing.assignments.size() == tokens);
    CHECK(steered.count_of(5) + steered.count_of(6) == tokens);
    CHECK(steered.y.allFinite());
  });
}

TEMPLATE_TEST_CASE("replaying a layer's own routing gives its output bit for bit, with and without weights",
                   "[property][steering]", float, double) {
  using T = TestType;
  for_all_gates<T>([](const auto& gate) {
    const auto layer = layer_of(gate);
    hg::routing_trace<T> with, without;
    hg::matrix<T> y[2];
    for (std::uint64_t pass = 0; pass < 2; ++pass) {
      typename decltype(layer_of(gate))::workspace memory;
      layer.forward(random_matrix<T>(tokens, model, {pass}), y[pass], memory);
      with.append(memory.routing);
      without.append(memory.routing, hg::record_weights::no);
    }
    for (const std::uint64_t pass : {1u, 0u}) {
      const auto x = random_matrix<T>(tokens, model, {pass});
      const hg::index of = static_cast<hg::index>(pass);
      CHECK(same_matrix(run(layer, x, {.forced = &with[of]}).y, y[pass]));
      CHECK(same_matrix(run(layer, x, {.forced = &with[of], .weights = hg::forced_weights::recorded}).y, y[pass]));
      CHECK(same_matrix(run(layer, x, {.forced = &without[of]}).y, y[pass]));
    }
  });
}

TEST_CASE("forced experts come with the record's weights, or with weights of the present scores",
          "[property][steering]") {
  for_all_gates<double>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<double>(tokens, model, {1});
    const auto forced = some_routing(tokens);
    const auto recorded = run(layer, x, {.forced = &forced, .weights = hg::forced_weights::recorded});
    const auto computed = run(layer, x, {.forced = &forced});
    bool right = true;
    for (hg::index t = 0; t < tokens; ++t) {
      const auto ids = forced.experts_of(t);
      right = right && recorded.experts_of(t) == std::vector(ids.begin(), ids.end()) &&
              computed.experts_of(t) == recorded.experts_of(t);
    }
    for (const auto& a : recorded.memory.routing.assignments) {
      const auto ids = forced.experts_of(a.token);
      const auto at = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), a.expert) - ids.begin());
      right = right && a.weight == forced.weights_of(a.token)[at];
    }
    CHECK(right);
    CHECK(same_matrix(hg::map_of(recorded.memory.routing.scores.block()),
                      hg::map_of(computed.memory.routing.scores.block())));
    CHECK(!same_matrix(recorded.y, computed.y));
  });
}

TEST_CASE("gradients under k, skip and experts off are those of differences", "[property][steering]") {
  for_top_k_gates<double>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<double>(5, model, {1});
    for (const bool training : {false, true})
      for (const hg::steering<double>& how :
           {hg::steering<double>{.k = 4}, {.skip = 2}, {.k = 1, .skip = 1, .off = {2}}, {.k = 5, .off = {0, 3, 4}}}) {
        const auto report = check_gradients(layer, x, how, training, hg::router_z<double>{.weight = 0.1},
                                            hg::switch_balance<double>{}, hg::entropy_bonus<double>{});
        INFO(report.text());
        CHECK(report);
      }
  });
  for_other_gates<double>([](const auto& gate) {
    for (const bool training : {false, true}) {
      const auto report =
          check_gradients(layer_of(gate), random_matrix<double>(5, model, {1}), {.off = {0, 4}}, training,
                          hg::router_z<double>{.weight = 0.1}, hg::importance_balance<double>{});
      INFO(report.text());
      CHECK(report);
    }
  });
}

TEST_CASE("gradients of a forced routing are those of differences", "[property][steering]") {
  for_all_gates<double>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<double>(5, model, {1});
    const auto forced = some_routing(5);
    hg::recorded_pass<double> others(experts);  // none of them off
    for (hg::index t = 0; t < 5; ++t) {
      const hg::index ids[] = {(t + 1) % 4, 4 + t % 3};
      const double weights[] = {0.5, -0.75};
      others.append(ids, weights);
    }
    for (const auto weights : {hg::forced_weights::recomputed, hg::forced_weights::recorded}) {
      const auto report = check_gradients(layer, x, {.forced = &forced, .weights = weights}, false);
      INFO(report.text());
      CHECK(report);
      const auto with_losses = check_gradients(layer, x, {.forced = &others, .weights = weights}, true,
                                               hg::router_z<double>{.weight = 0.1}, hg::importance_balance<double>{});
      INFO(with_losses.text());
      CHECK(with_losses);
    }
  });
}

TEST_CASE("recorded weights send no gradient to the router, recomputed ones do", "[property][steering]") {
  for_top_k_gates<double>([](const auto& gate) {
    const auto layer = layer_of(gate);
    const auto x = random_matrix<double>(tokens, model, {1}), dy = random_matrix<double>(tokens, model, {2});
    const auto forced = some_routing(tokens);
    typename decltype(layer_of(gate))::tape tape;
    hg::matrix<double> y, dx;
    const auto router_gradient = [&](hg::forced_weights weights) {
      tape.steering = {.forced = &forced, .weights = weights};
      auto grads = layer.zero_gradients();
      layer.forward(x, y, tape);
      layer.backward(x, dy, tape, dx, grads);
      return grads.gate.head.weight.norm();
    };
    CHECK(router_gradient(hg::forced_weights::recomputed) > 0.01);
    CHECK(router_gradient(hg::forced_weights::recorded) == 0);
    tape.steering = {};  // and the next pass is free again
    auto grads = layer.zero_gradients();
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads);
    CHECK(grads.gate.head.weight.norm() > 0.01);
  });
}

TEST_CASE("a steering that cannot be is refused with both numbers, and leaves the output alone",
          "[property][steering]") {
  const auto layer = layer_of(hg::topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 3}});
  const auto dense = layer_of(hg::softmax_gate<float>{.head = {.model = model, .experts = experts}});
  const auto x = random_matrix<float>(4, model, {1});
  const auto said_by = [&](const auto& of, const hg::steering<float>& how) {
    typename std::remove_cvref_t<decltype(of)>::workspace memory;
    hg::matrix<float> y = hg::matrix<float>::Constant(4, model, 7);
    memory.steering = how;
    const std::string text = refusal([&] { of.forward(x, y, memory); });
    CHECK((text.empty() || y == hg::matrix<float>::Constant(4, model, 7)));
    memory.steering = {};
    of.forward(x, y, memory);
    CHECK(same_matrix(y, of(x)));
    return text;
  };
  const auto said = [&](const hg::steering<float>& how) { return said_by(layer, how); };
  CHECK(said({.k = 8}) == "steering: k is 8, the gate has 7 experts");
  CHECK(said({.k = -1}) == "steering: k is -1, the gate has 7 experts");
  CHECK(said({.skip = 7}) == "steering: skip is 7, the gate has 7 experts");
  CHECK(said({.skip = -2}) == "steering: skip is -2, the gate has 7 experts");
  CHECK(said({.k = 4, .skip = 4}) == "steering: skip is 4 and k 4, together more than the gate's 7 experts");
  CHECK(said({.skip = 5}) == "steering: skip is 5 and k 3, together more than the gate's 7 experts");
  CHECK(said({.off = {1, 7}}) == "steering: expert 7 is switched off, the gate has 7");
  CHECK(said({.off = {-1}}) == "steering: expert -1 is switched off, the gate has 7");
  CHECK(said({.off = {6, 5, 4, 3, 2, 1, 0}}) == "steering: all 7 experts are switched off for token 0");
  CHECK(said({.k = 1, .skip = 3, .off = {0, 1, 2, 3}}) == "steering: token 0 has 3 experts that are on, skip is 3");
  CHECK(said_by(dense, {.k = 2}) == "steering: k is 2 and skip 0, but this gate's selection has no k of its own");

  hg::recorded_pass<float> forced(experts, hg::record_weights::no);
  for (hg::index t = 0; t < 3; ++t) forced.append(std::vector<hg::index>{t, 6}, {});
  CHECK(said({.forced = &forced}) == "steering: the forced routing is of 3 tokens, the batch has 4");
  forced.append(std::vector<hg::index>{2}, {});
  CHECK(said({.forced = &forced}).empty());
  CHECK(said({.forced = &forced, .weights = hg::forced_weights::recorded}) ==
        "steering: the forced routing was recorded without weights");
  CHECK(said({.k = 2, .forced = &forced}) ==
        "steering: the experts are forced, so that k and skip must be 0, they are 2 and 0");
  CHECK(said({.off = {1}, .forced = &forced}) == "steering: token 1 is forced to expert 1, which is off");
  hg::recorded_pass<float> of_six(6);
  CHECK(said({.forced = &of_six}) == "steering: the forced routing was recorded with 6 experts, the gate has 7");
}

namespace {

/// A layer and a batch: the last element of x is 0, or 2 in padding tokens, whose logits overflow to -infinity by it. Of
/// experts with biases, whose output for an input of zeros is not zero.
template <class T>
struct padded {
  using gate_type = hg::renormalised_topk_gate<T>;
  using expert_type = hg::ffn_expert<T, hg::relu, hg::dynamic, hg::dynamic, hg::biases::used>;

  hg::layer<gate_type, expert_type> layer{gate_type{.head = {.model = model, .experts = experts}, .select = {.k = 3}},
                                          expert_type{.model = model, .hidden = 5}, 3};
  hg::matrix<T> real = random_matrix<T>(tokens, model, {1}), x = random_matrix<T>(tokens + 6, model, {2});

  padded() {
    layer.for_each_tensor(disturb_all{{4}});
    real.col(model - 1).setZero();
    layer.params().gate.head.weight.col(model - 1).setConstant(std::numeric_limits<T>::lowest());
    for (hg::index t = 0; t < 6; ++t) x.row(3 * t).tail(1)(0) = 2;
    for (hg::index t = 0; t < tokens; ++t) x.row(place(t)) = real.row(t);
  }
  /// Where a real token stands in x: from the first on, every third token is padding.
  [[nodiscard]] static hg::index place(hg::index t) { return t + t / 2 + 1; }
};

}  // namespace

TEMPLATE_TEST_CASE("padding tokens all of whose experts are off take no capacity, no count and no output",
                   "[property][steering]", float, double) {
  using T = TestType;
  padded<T> given;
  for (const auto weight_on : {hg::weight_on::output, hg::weight_on::input}) {
    given.layer.options().weight_on = weight_on;
    for (const double factor : {0.5, 1.0, 100.0}) {
      given.layer.options().capacity.factor = factor;
      const auto alone = run(given.layer, given.real, {});
      const auto among = run(given.layer, given.x, {});
      CHECK(among.memory.routing.assignments.size() == 3 * tokens);
      CHECK(among.memory.plan.dropped() == alone.memory.plan.dropped());
      CHECK((factor > 1 || alone.memory.plan.dropped() > 0));
      const auto load = among.memory.routing.load(), expected = alone.memory.routing.load();
      CHECK(std::equal(load.begin(), load.end(), expected.begin(), expected.end()));
      hg::routing_telemetry of_among, of_alone;
      of_among.add(among.memory.routing);
      of_alone.add(alone.memory.routing);
      CHECK(of_among.assignments() == of_alone.assignments());
      CHECK(of_among.mean_top1_probability() == of_alone.mean_top1_probability());
      for (hg::index t = 0; t < tokens; ++t)
        CHECK(same_matrix(hg::matrix<T>(among.y.row(padded<T>::place(t))), hg::matrix<T>(alone.y.row(t))));
      for (hg::index t = 0; t < 6; ++t) CHECK(among.y.row(3 * t).isZero(0));
    }
  }
}

TEMPLATE_TEST_CASE("a pass with experts that its own logits switch off is replayed bit for bit", "[property][steering]",
                   float, double) {
  using T = TestType;
  padded<T> given;
  auto& w = given.layer.params().gate.head.weight;
  w(1, model - 1) = w(4, model - 1) = 0;  // two are on, where three are wanted
  const auto free = run(given.layer, given.x, {});
  CHECK(free.experts_of(0).size() == 2);
  const hg::recorded_pass<T> recorded(free.memory.routing);
  CHECK(same_matrix(run(given.layer, given.x, {.forced = &recorded}).y, free.y));
  CHECK(
      same_matrix(run(given.layer, given.x, {.forced = &recorded, .weights = hg::forced_weights::recorded}).y, free.y));
  w.col(model - 1).setConstant(std::numeric_limits<T>::lowest());
  const auto none = run(given.layer, given.x, {});
  CHECK(none.experts_of(0).empty());
  const hg::recorded_pass<T> of_none(none.memory.routing);
  CHECK(same_matrix(run(given.layer, given.x, {.forced = &of_none}).y, none.y));
  const auto steered = run(given.layer, given.x, {.k = 2, .skip = 1, .off = {3}});  // not the steering's doing
  CHECK(steered.experts_of(0).empty());
  CHECK(steered.experts_of(1).size() == 2);
}

TEST_CASE("with the weight on the input, an expert with biases adds nothing to a token it is off for",
          "[property][steering]") {
  padded<double> given;
  given.layer.options().weight_on = hg::weight_on::input;
  auto& w = given.layer.params().gate.head.weight;
  w(2, model - 1) = 0;  // one is on for padding tokens
  const auto all = run(given.layer, given.x, {});
  CHECK(all.experts_of(0) == std::vector<hg::index>{2});
  given.layer.gate().select.k = 1;
  CHECK(same_matrix(hg::matrix<double>(run(given.layer, given.x, {}).y.row(0)), hg::matrix<double>(all.y.row(0))));
  CHECK(all.y.row(0).norm() > 0);
}
