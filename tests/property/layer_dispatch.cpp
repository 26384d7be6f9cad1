// SPDX-License-Identifier: BSD-3-Clause
// What dropless dispatch promises, and what dropping tokens does.
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/reference/moe.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <vector>

using namespace headgate_test;

namespace {

using swiglu = hg::swiglu_expert<double>;

/// Follows a list of assignments: any routing that a test wants.
struct scripted_gate {
  using scalar = double;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model, experts;
  std::vector<hg::assignment<double>> script;

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<double>, hg::routing<double>& r, cache&) const {
    for (const auto& a : script) r.assignments.push_back(a);
  }
};

std::vector<hg::assignment<double>> some_assignments() {
  numbers next(5);
  std::vector<hg::assignment<double>> all;
  for (hg::index t = 0; t < 9; ++t)
    for (hg::index e = 0; e < 5; ++e)
      if (e != 3 && next.below(2) == 0) all.push_back({t, e, next.within(1.0)});
  return all;
}

template <class T>
void shuffle(std::vector<T>& all, std::uint64_t seed) {
  numbers next(seed);
  for (std::size_t i = all.size(); i > 1; --i)
    std::swap(all[i - 1], all[static_cast<std::size_t>(next.below(static_cast<hg::index>(i)))]);
}

/// y of a layer of swiglu experts by the textbook, one token and one expert at a time.
template <class Layer>
hg::matrix<double> naive(const Layer& layer, const hg::matrix<double>& x,
                         const hg::array<hg::assignment<double>>& routed) {
  hg::matrix<double> y(x.rows(), layer.model());
  hg::reference::moe<double>(hg::view_of(x), routed, hg::view_of(y), [&](hg::index e, const double* in, double* out) {
    const auto& p = layer.params().experts[e];
    const Eigen::Map<const Eigen::VectorXd> row(in, layer.model());
    const Eigen::ArrayXd u = p.gate * row, v = p.up * row;
    Eigen::Map<Eigen::VectorXd>(out, layer.model()) = p.down * (u / (1 + (-u).exp()) * v).matrix();
  });
  return y;
}

}  // namespace

TEST_CASE("a layer equals the naive loop over tokens", "[layer][dispatch]") {
  const auto x = random_matrix<double>(33, 6, {1});
  const auto check = [&](const auto& gate) {
    const hg::layer layer{gate, swiglu{.model = 6, .hidden = 11}, 2};
    typename std::remove_cvref_t<decltype(layer)>::workspace memory;
    hg::matrix<double> y;
    layer.forward(x, y, memory);
    CHECK((y - naive(layer, x, memory.routing.assignments)).cwiseAbs().maxCoeff() < 1e-13);
  };
  check(hg::topk_gate<double>{.head = {.model = 6, .experts = 5}, .select = {.k = 2}});
  check(hg::topk_gate<double>{.head = {.model = 6, .experts = 5}, .select = {.k = 5}});  // k = experts
  check(hg::adamole_gate<double>{.head = {.model = 6, .experts = 5}});
  check(hg::relu_gate<double>{.head = {.model = 6, .experts = 5}});
}

TEST_CASE("the counts of a top-k layer sum to tokens times k", "[layer][dispatch]") {
  const hg::layer layer{hg::topk_gate<double>{.head = {.model = 6, .experts = 5}, .select = {.k = 3}},
                        swiglu{.model = 6, .hidden = 4}, 2};
  decltype(layer)::workspace memory;
  hg::matrix<double> y;
  layer.forward(random_matrix<double>(29, 6, {1}), y, memory);
  hg::index sum = 0;
  for (const hg::index count : memory.routing.load()) sum += count;
  CHECK(sum == 29 * 3);
}

TEST_CASE("the result does not depend on the order of the assignments", "[layer][dispatch]") {
  const auto x = random_matrix<double>(9, 6, {1}), dy = random_matrix<double>(9, 6, {2});
  hg::layer layer{scripted_gate{6, 5, some_assignments()}, swiglu{.model = 6, .hidden = 4}, 2};
  const auto run = [&] {
    hg::matrix<double> y, dx;
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads);
    return std::tuple{y, dx, grads};
  };
  const auto [y, dx, grads] = run();
  for (std::uint64_t seed = 1; seed < 6; ++seed) {
    shuffle(layer.gate().script, seed);
    const auto [other_y, other_dx, other_grads] = run();
    CHECK(same_matrix(other_y, y));  // to the bit: a token's rows are added by expert
    CHECK(same_matrix(other_dx, dx));
    for (hg::index e = 0; e < 5; ++e) CHECK((other_grads.experts[e].up - grads.experts[e].up).norm() < 1e-12);
  }
}

TEST_CASE("an expert with no token gets exactly zero gradient", "[layer][dispatch]") {
  hg::layer layer{scripted_gate{6, 5, some_assignments()},
                  hg::ffn_expert<double, hg::relu, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 6, .hidden = 4},
                  2};
  const auto x = random_matrix<double>(9, 6, {1}), dy = random_matrix<double>(9, 6, {2});
  hg::matrix<double> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, dy, tape, dx, grads);
  REQUIRE(tape.routing.load()[3] == 0);
  const auto& d = grads.experts[3];
  CHECK((d.up.isZero(0) && d.down.isZero(0) && d.up_bias.isZero(0) && d.down_bias.isZero(0)));
  CHECK_FALSE(grads.experts[2].up.isZero(0));
}

TEST_CASE("a permutation of the tokens permutes the outputs and the gradients of the inputs", "[layer][dispatch]") {
  const hg::layer layer{hg::renormalised_topk_gate<double>{.head = {.model = 6, .experts = 5}, .select = {.k = 2}},
                        swiglu{.model = 6, .hidden = 4}, 2};
  const auto x = random_matrix<double>(31, 6, {1}), dy = random_matrix<double>(31, 6, {2});
  std::vector<hg::index> order(31);
  for (std::size_t i = 0; i < 31; ++i) order[i] = static_cast<hg::index>(i);
  shuffle(order, 3);
  const auto run = [&](const hg::matrix<double>& x_rows, const hg::matrix<double>& dy_rows) {
    hg::matrix<double> y, dx;
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    layer.forward(x_rows, y, tape);
    layer.backward(x_rows, dy_rows, tape, dx, grads);
    return std::pair{y, dx};
  };
  hg::matrix<double> moved_x(31, 6), moved_dy(31, 6);
  for (hg::index t = 0; t < 31; ++t) {
    moved_x.row(t) = x.row(order[static_cast<std::size_t>(t)]);
    moved_dy.row(t) = dy.row(order[static_cast<std::size_t>(t)]);
  }
  const auto [y, dx] = run(x, dy);
  const auto [moved_y, moved_dx] = run(moved_x, moved_dy);
  for (hg::index t = 0; t < 31; ++t) {
    CHECK(same_matrix(moved_y.row(t), y.row(order[static_cast<std::size_t>(t)])));
    CHECK(same_matrix(moved_dx.row(t), dx.row(order[static_cast<std::size_t>(t)])));
  }
}

TEST_CASE("an empty batch, one token, all tokens on one expert and a token without expert work", "[layer][dispatch]") {
  hg::layer layer{scripted_gate{6, 5, {}}, swiglu{.model = 6, .hidden = 40},
                  hg::linear_expert<double>{.model = 6, .outputs = 6}, 2};
  using assignments = std::vector<hg::assignment<double>>;
  for (const auto& [tokens, script] : {std::pair{hg::index{0}, assignments{}},
                                       {1, {{0, 4, 0.5}}},
                                       {3, {{0, 1, 1.0}, {1, 1, 1.0}, {2, 1, 1.0}}},
                                       {2, {{1, 0, 0.5}}},
                                       {2, {}}}) {
    CAPTURE(tokens, script.size());
    layer.gate().script = script;
    const auto x = random_matrix<double>(tokens, 6, {1}), dy = random_matrix<double>(tokens, 6, {2});
    hg::matrix<double> y, dx;
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    layer.forward(x, y, tape);
    const double loss = layer.backward(x, dy, tape, dx, grads);
    CHECK(loss == 0);
    CHECK((y.rows() == tokens && y.cols() == 6 && dx.rows() == tokens));
    CHECK((y - naive(layer, x, tape.routing.assignments) - x * layer.params().shared.weight.transpose()).norm() <
          1e-13);
    CHECK((grads.shared.weight - dy.transpose() * x).norm() < 1e-13);
  }
}

TEST_CASE("an empty batch goes through gate, losses and experts wider than a panel", "[layer][dispatch]") {
  hg::layer layer{hg::noisy_topk_gate<float>{.head = {.model = 40, .experts = 30}, .select = {.k = 2}},
                  hg::swiglu_expert<float>{.model = 40, .hidden = 50}, 2};
  const hg::matrix<float> x(0, 40), dy(0, 40);
  hg::matrix<float> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  const float loss = layer.backward(x, dy, tape, dx, grads, hg::switch_balance<float>{}, hg::router_z<float>{});
  CHECK(loss == 0);
  CHECK((y.rows() == 0 && y.cols() == 40 && dx.rows() == 0 && dx.cols() == 40));
  CHECK(same_parameters(grads, layer.zero_gradients()));
}

TEST_CASE("a dropped token gets the shared expert alone and sends no gradient", "[layer][dispatch]") {
  const hg::linear_expert<double> shared{.model = 6, .outputs = 6};
  hg::layer layer{scripted_gate{6, 2, {{0, 0, 0.5}, {1, 0, 0.5}, {2, 0, 0.9}, {3, 1, 0.5}}},
                  swiglu{.model = 6, .hidden = 4}, shared, 2,
                  hg::layer_options{.capacity = {.factor = 0.5, .drop = hg::drop::by_probability}}};  // one each
  const auto x = random_matrix<double>(4, 6, {1}), dy = random_matrix<double>(4, 6, {2});
  hg::matrix<double> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, dy, tape, dx, grads);
  CHECK(tape.plan.dropped() == 2);
  const auto& w = layer.params().shared.weight;
  for (const hg::index t : {0, 1}) {
    CHECK((y.row(t) - x.row(t) * w.transpose()).norm() < 1e-14);
    CHECK((dx.row(t) - dy.row(t) * w).norm() < 1e-14);
  }
  CHECK((y.row(2) - x.row(2) * w.transpose()).norm() > 1e-3);
  CHECK((tape.gradient.weights(0, 0) == 0 && tape.gradient.weights(1, 0) == 0 && tape.gradient.weights(2, 0) != 0));
  CHECK(tape.routing.load()[0] == 3);  // the record tells what the gate wanted
}

TEST_CASE("a dropped token of a layer without a shared expert is zero", "[layer][dispatch]") {
  const hg::layer layer{scripted_gate{6, 2, {{0, 0, 0.5}, {1, 0, 0.5}}}, swiglu{.model = 6, .hidden = 4}, 2,
                        hg::layer_options{.capacity = {.factor = 0.5}}};
  const auto y = layer(random_matrix<double>(2, 6, {1}));
  CHECK(y.row(1).isZero(0));
  CHECK_FALSE(y.row(0).isZero(0));
}

TEST_CASE("a gate that names a token or an expert that does not exist is refused before y is written",
          "[layer][dispatch]") {
  hg::layer layer{scripted_gate{6, 2, {{0, 2, 0.5}}}, swiglu{.model = 6, .hidden = 4}, 2};
  const auto x = random_matrix<double>(2, 6, {1});
  hg::matrix<double> y = random_matrix<double>(2, 6, {3});
  const hg::matrix<double> before = y;
  decltype(layer)::workspace memory;
  const auto said = [&] { return refusal([&] { layer.forward(x, y, memory); }); };
  CHECK(said() == "dispatch_plan: assignment 0 names expert 2, the layer has 2");
  layer.gate().script = {{-1, 0, 0.5}};
  CHECK(said() == "dispatch_plan: assignment 0 names token -1, the batch has 2");
  layer.gate().script = {{0, 0, not_a_number<double>}};
  CHECK_THAT(said(), contains("(token 0, expert 0) has the weight nan"));
  CHECK(same_matrix(y, before));
}
