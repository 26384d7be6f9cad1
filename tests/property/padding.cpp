// SPDX-License-Identifier: BSD-3-Clause
// Tokens that a steering's mask leaves out are as good as absent: for the other tokens, for losses, for the gradients.
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/losses/communication_balance.hpp>
#include <headgate/losses/device_balance.hpp>
#include <headgate/losses/entropy.hpp>
#include <headgate/losses/global_balance.hpp>
#include <headgate/losses/importance.hpp>
#include <headgate/losses/load.hpp>
#include <headgate/losses/mutual_information.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/sequence_balance.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/packed_layer.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace headgate_test;

namespace {

constexpr hg::index model = 6, experts = 5, tokens = 24;

bool counts(hg::index token) { return token % 4 != 2 && token != 0; }

/// f(gate) for every kind of gate that has no random numbers of a token's place.
template <class T, class F>
void for_steerable_gates(const F& f) {
  const hg::linear_head<T> head{.model = model, .experts = experts};
  f(hg::topk_gate<T>{.head = head, .select = {.k = 2}});
  f(hg::softmax_topk_gate<T>{.head = head, .select = {.k = 2}});
  f(hg::softmax_gate<T>{.head = head});
  f(hg::top_p_gate<T>{.head = head, .select = {.mass = T(0.7)}});
  f(hg::adamole_gate<T>{.head = head});
  f(hg::relu_gate<T>{.head = head});
  f(hg::expert_choice_gate<T>{.head = head, .capacity = {.factor = 1.5}});
  f(hg::sinkhorn_gate<T>{.gate = {.head = head, .select = {.k = 2}}});
}

/// The rows that count, or back among zeros.
template <class T>
hg::matrix<T> without_padding(const hg::matrix<T>& x) {
  hg::matrix<T> rows(x.rows(), x.cols());
  hg::index next = 0;
  for (hg::index t = 0; t < tokens; ++t)
    if (counts(t)) rows.row(next++) = x.row(t);
  return rows.topRows(next);
}
template <class T>
hg::matrix<T> among_zeros(const hg::matrix<T>& rows) {
  hg::matrix<T> x = hg::matrix<T>::Zero(tokens, rows.cols());
  hg::index next = 0;
  for (hg::index t = 0; t < tokens; ++t)
    if (counts(t)) x.row(t) = rows.row(next++);
  return x;
}

/// What a loss says of a record, and every number that it adds.
template <class Loss>
std::vector<double> told_by(const Loss& loss, const hg::routing<double>& r) {
  hg::routing_gradient<double> d;
  d.reset(r);
  std::vector<double> all{loss(r, d)};
  for (const auto* block : {&d.weights, &d.logits, &d.scores, &d.clean_logits, &d.noise_scale})
    all.insert(all.end(), block->data(), block->data() + block->size());
  return all;
}

}  // namespace

TEST_CASE("a token that does not count gets nothing, and the others get what they would without it",
          "[property][steering][padding]") {
  bool mask[tokens];
  for (hg::index t = 0; t < tokens; ++t) mask[t] = counts(t);
  for_steerable_gates<double>([&](const auto& gate) {
    bool best_first = false;
    for (const auto rule : {hg::drop::by_position, hg::drop::by_priority}) {
      if (rule == hg::drop::by_priority && !best_first) continue;  // refused
      const hg::layer layer{gate, hg::swiglu_expert<double>{.model = model, .hidden = 5}, 3,
                            hg::layer_options{.capacity = {.factor = 1.25, .drop = rule}}};
      const hg::matrix<double> x = random_matrix<double>(tokens, model, {1}), rest = without_padding(x);
      hg::matrix<double> y, z;
      typename std::remove_cvref_t<decltype(layer)>::workspace memory, plain;
      memory.steering.mask = mask;
      layer.forward(x, y, memory);
      layer.forward(rest, z, plain);
      best_first = plain.routing.best_first;
      CHECK(same_matrix(y, among_zeros(z)));
      const hg::packed_layer packed{layer};
      typename std::remove_cvref_t<decltype(packed)>::workspace packed_memory;
      packed_memory.steering.mask = mask;
      packed.forward(x, y, packed_memory);
      CHECK(same_matrix(y, among_zeros(z)));
    }
  });
}

TEST_CASE("gradients of a batch with padding are those of the batch without it", "[property][steering][padding]") {
  bool mask[tokens];
  for (hg::index t = 0; t < tokens; ++t) mask[t] = counts(t);
  for_steerable_gates<double>([&](const auto& gate) {
    const hg::layer layer{gate, hg::swiglu_expert<double>{.model = model, .hidden = 5}, 3};
    using tape = typename std::remove_cvref_t<decltype(layer)>::tape;
    const hg::matrix<double> x = random_matrix<double>(tokens, model, {1}),
                             dy = random_matrix<double>(tokens, model, {2});
    const hg::matrix<double> rest = without_padding(x), dz = without_padding(dy);
    hg::matrix<double> y, dx, dx_of_rest;
    tape padded, plain;
    padded.steering.mask = mask;
    auto grads = layer.zero_gradients(), expected = layer.zero_gradients();
    layer.forward(x, y, padded);
    const double loss =
        layer.backward(x, dy, padded, dx, grads, hg::switch_balance<double>{}, hg::router_z<double>{.weight = 0.1});
    layer.forward(rest, y, plain);
    CHECK(layer.backward(rest, dz, plain, dx_of_rest, expected, hg::switch_balance<double>{},
                         hg::router_z<double>{.weight = 0.1}) == Approx(loss).epsilon(1e-13));
    CHECK((dx - among_zeros(dx_of_rest)).cwiseAbs().maxCoeff() < 1e-13);
    double largest = 0;
    decltype(grads)::template walk<hg::fields_of::training>(
        [&](std::string_view, const auto& a, const auto& b) {
          largest = (std::max)(largest, static_cast<double>((a - b).cwiseAbs().maxCoeff()));
        },
        expected, grads);
    CHECK(largest < 1e-12);
  });
}

TEST_CASE("a recording of all tokens is replayed without those that do not count", "[property][steering][padding]") {
  bool mask[tokens];
  for (hg::index t = 0; t < tokens; ++t) mask[t] = counts(t);
  const hg::layer layer{hg::topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                        hg::swiglu_expert<double>{.model = model, .hidden = 5}, 3};
  const hg::matrix<double> x = random_matrix<double>(tokens, model, {1}),
                           dy = random_matrix<double>(tokens, model, {2});
  hg::matrix<double> y, dx, expected_y, expected_dx;
  typename std::remove_cvref_t<decltype(layer)>::tape tape, chosen;
  layer.forward(x, y, tape);
  const hg::recorded_pass<double> recorded(tape.routing);
  auto expected = layer.zero_gradients();
  chosen.steering.mask = mask;
  layer.forward(x, expected_y, chosen);
  layer.backward(x, dy, chosen, expected_dx, expected);
  for (const auto weights : {hg::forced_weights::recomputed, hg::forced_weights::recorded}) {
    tape.steering = {.forced = &recorded, .weights = weights, .mask = mask};
    auto grads = layer.zero_gradients();
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads);
    CHECK(same_matrix(y, expected_y));
    if (weights == hg::forced_weights::recorded) continue;  // no gradient goes to the router
    CHECK(same_matrix(dx, expected_dx));
    CHECK(same_parameters(grads, expected));
  }
}

TEST_CASE("the mask of the pass is that of all who read its record, and with their own both hold",
          "[property][steering][padding]") {
  const hg::layer layer{hg::noisy_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                        hg::swiglu_expert<double>{.model = model, .hidden = 5}, 3};
  const hg::matrix<double> x = random_matrix<double>(tokens, model, {1});
  hg::matrix<double> y;
  typename std::remove_cvref_t<decltype(layer)>::tape tape;
  bool own[tokens], both[tokens];
  {
    bool mask[tokens];
    for (hg::index t = 0; t < tokens; ++t) {
      mask[t] = counts(t);
      own[t] = t < tokens / 2;
      both[t] = mask[t] && own[t];
    }
    tape.steering.mask = mask;
    layer.forward(x, y, tape);
    tape.steering.mask = {};
    std::fill(mask, mask + tokens, true);  // the record has its own
  }
  const hg::routing<double>& r = tape.routing;
  REQUIRE(r.counting() < tokens);
  hg::routing<double> without = r;
  without.keep_mask({});

  const hg::index devices[] = {0, 0, 1, 1, 2};
  hg::expert_counts by_record, by_mask;
  by_record.collect(r, own);
  by_mask.collect(without, both);
  for (hg::index e = 0; e < experts; ++e) CHECK(by_record[e] == by_mask[e]);
  const auto check = [&](auto loss) {
    INFO(loss.name);
    const auto plain = told_by(loss, r);
    loss.mask = {r.mask.data(), tokens};
    CHECK(plain == told_by(loss, without));
    CHECK(plain == told_by(loss, r));
    loss.mask = own;
    const auto halved = told_by(loss, r);
    CHECK(halved != plain);
    loss.mask = both;
    CHECK(halved == told_by(loss, without));
  };
  check(hg::switch_balance<double>{});
  check(hg::global_balance<double>{.counts = &by_record});
  check(hg::sequence_balance<double>{.length = 8});
  check(hg::device_balance<double>{.devices = devices});
  check(hg::communication_balance<double>{.devices = devices});
  check(hg::importance_balance<double>{});
  check(hg::load_balance<double>{});
  check(hg::router_z<double>{});
  check(hg::entropy_penalty<double>{});
  check(hg::entropy_bonus<double>{});
  check(hg::mutual_information_balance<double>{});
  check(hg::load_concentration<double>{});
}

TEST_CASE("a capacity that is a share of the tokens does not count padding", "[property][steering][padding]") {
  bool mask[tokens];
  for (hg::index t = 0; t < tokens; ++t) mask[t] = counts(t);
  const hg::layer layer{hg::topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                        hg::swiglu_expert<double>{.model = model, .hidden = 5}, 3,
                        hg::layer_options{.capacity = {.factor = 1.5, .of = hg::share_of::tokens}}};
  const hg::matrix<double> x = random_matrix<double>(tokens, model, {1}), rest = without_padding(x);
  hg::matrix<double> y, z;
  typename std::remove_cvref_t<decltype(layer)>::workspace memory, plain;
  memory.steering.mask = mask;
  layer.forward(x, y, memory);
  layer.forward(rest, z, plain);
  REQUIRE(plain.plan.dropped() > 0);
  CHECK(memory.plan.dropped() == plain.plan.dropped());
  CHECK(same_matrix(y, among_zeros(z)));
}
