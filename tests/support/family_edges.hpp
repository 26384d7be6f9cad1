// SPDX-License-Identifier: BSD-3-Clause
// The edges of routing, for the layer of any published family: ties, masks, zero sums, huge logits, NaN, one expert, all
// experts, a router in double, equal bits.
#pragma once

#include <headgate/gates/whole/in_double.hpp>
#include <headgate/packed_layer.hpp>

#include "support/edge_layer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace headgate_test {
namespace edges {

/// 0, 1, ..., count - 1.
[[nodiscard]] inline std::vector<hg::index> lowest(hg::index count) {
  std::vector<hg::index> ids;
  for (hg::index e = 0; e < count; ++e) ids.push_back(e);
  return ids;
}

/// Rule 1: equal logits go to the lowest indices, and with groups to the lowest groups, with the formula's weights.
template <class Family, class T>
void check_ties(edge_layer<Family, T>& edge) {
  INFO("equal logits");
  edge.route(edge.equal_rows({0, 3, -2}));
  for (hg::index t = 0; t < 3; ++t) CHECK(edge.experts_of(t) == lowest(edge.k));
  edge.check_weights(0, edge.given.equal);
  edge.check_by_the_book();
  if (edge.k == edge.experts) return;

  hg::matrix<T> z = edge.equal_rows({1, 1, 0});
  const hg::index last = edge.experts - 1;
  z(0, last) = 2;                             // one is better: then the lowest of the others
  z.row(1).head(edge.experts / 2).setZero();  // the upper half is better
  for (hg::index e = 0; e < edge.experts; ++e) z(2, e) = static_cast<T>(e % 2);
  edge.route(z);
  CHECK(edge.experts_of(0).front() == last);
  CHECK(edge.experts_of(1).front() == edge.experts / 2);
  CHECK(edge.experts_of(2).front() == 1);
  edge.check_by_the_book();
}

/// Rule 2: of groups that are equal the lowest are kept.
template <class Family, class T>
void check_equal_groups(edge_layer<Family, T>& edge) {
  if (edge.groups == 1) return;
  INFO("equal groups");
  const hg::index size = edge.experts / edge.groups;
  hg::matrix<T> z = edge.equal_rows({0, 0});
  for (hg::index e = 0; e < edge.experts; ++e) {
    z(0, e) = static_cast<T>(e % size);
    z(1, e) = static_cast<T>((e + 1) % size) - (e < size ? T{1} : T{0});  // the first group is worse
  }
  edge.route(z);
  for (const hg::index e : edge.experts_of(0)) CHECK(e < edge.kept_groups * size);
  for (const hg::index e : edge.experts_of(1)) CHECK((e >= size && e < (edge.kept_groups + 1) * size));
  edge.check_by_the_book();
}

/// Rule 3: scores of the chosen that are zero, or denormal, or the smallest normal numbers.
///
/// With a softmax over all experts and no bias the best expert is always chosen, and its probability is at least
/// 1 / experts: no sum can be zero unless the caller leaves the best out (`steering::skip`). The softmax of the selected
/// and SparseMixer's have no sum below 1 to divide by, whatever is left out.
template <class Family, class T>
void check_zero_sums(edge_layer<Family, T>& edge) {
  INFO("zero sums");
  // Around the logarithms of the smallest normal number and of the smallest number.
  const std::vector<double> depths = sizeof(T) == 4 ? std::vector<double>{1e4, 86, 87, 87.3, 87.5, 88, 88.5, 103}
                                                    : std::vector<double>{1e4, 707, 708, 708.3, 708.5, 709, 710, 745};
  hg::matrix<T> z(8, edge.experts);
  for (hg::index t = 0; t < 8; ++t) z.row(t).setConstant(-static_cast<T>(depths[static_cast<std::size_t>(t)]));
  edge.route(z);
  edge.check_finite();
  edge.check_weights(0, edge.given.at_bottom.empty() ? edge.given.equal : edge.given.at_bottom);
  for (hg::index t = 0; t < 8; ++t) CHECK(edge.experts_of(t) == lowest(edge.k));
  if (edge.k == edge.experts) return;

  for (hg::index t = 0; t < 8; ++t)
    for (hg::index e = 0; e < edge.experts; ++e) z(t, e) -= z(t, 0) * static_cast<T>(0.001) * static_cast<T>(e % 3);
  z.col(edge.experts - 1).setZero();
  if constexpr (edge_layer<Family, T>::has_bias) {  // which alone decides
    INFO("a selection bias takes experts without a score");
    auto& bias = edge.layer.params().gate.select.adjust.selection_bias;
    bias.leftCols(edge.k).setConstant(3);
    edge.route(z);
    edge.check_finite();
    for (hg::index t = 0; t < 8; ++t) {
      auto chosen = edge.experts_of(t);
      std::sort(chosen.begin(), chosen.end());
      CHECK(chosen == lowest(edge.k));
    }
    edge.check_weights(0, std::vector<double>(static_cast<std::size_t>(edge.k), 0.0));
    bias.setZero();
  }
  if constexpr (edge_layer<Family, T>::has_stages) {
    INFO("the best expert is left out");
    auto gate = edge.gate_of_logits();
    gate.steering.skip = 1;
    gate.route_logits(z);
    gate.check_finite();
    for (const auto& a : gate.r.assignments) CHECK(a.expert != edge.experts - 1);
  }
}

/// After a pass of a gate alone: a token has k experts, or as many as are on, and none that is off.
template <class Gate>
void check_masked(const gate_alone<Gate>& gate, hg::index token, hg::index k) {
  const auto is_on = [&](hg::index e) { return std::isfinite(gate.r.logits(token, e)); };
  hg::index on = 0, named = 0;
  for (hg::index e = 0; e < gate.r.experts; ++e) on += is_on(e) ? 1 : 0;
  for (const auto& a : gate.r.assignments) {
    if (a.token != token) continue;
    ++named;
    CHECK(is_on(a.expert));
  }
  CHECK(named == std::min(on, k));
}

/// Rule 4: experts that a mask has switched off.
template <class Family, class T>
void check_masks(edge_layer<Family, T>& edge) {
  INFO("logits of -infinity");
  const hg::index n = edge.experts;
  if constexpr (edge_layer<Family, T>::has_stages) {
    auto gate = edge.gate_of_logits();
    hg::matrix<T> z = edge.equal_rows({0, 0, 0, -1e4, 0, 0});
    z(0, 0) = edge.off;  // the first of equals
    for (hg::index e = 0; e < n; ++e) z(1, e) = static_cast<T>(e) / 4;
    z(1, n - 1) = edge.off;                                   // the best
    z.row(2).head(n - 1).setConstant(edge.off);               // all but the last
    z.row(3).head(n / 2).setConstant(edge.off);               // half of them, and the others have no score left
    z.row(4).setConstant(edge.off);                           // all
    for (hg::index e = 0; e < n; e += 2) z(5, e) = edge.off;  // every other
    gate.route_logits(z);
    for (hg::index t = 0; t < z.rows(); ++t) {
      INFO("token " << t);
      check_masked(gate, t, edge.k);
    }
    gate.check_finite();
  }
  if constexpr (edge_layer<Family, T>::steerable) {
    if (n == 1) {
      edge.tape.steering.off = {0};
      CHECK_THROWS_WITH(edge.route(edge.equal_rows({0})), "steering: all 1 experts are switched off for token 0");
      edge.tape.steering.off = {};
      return;
    }
    hg::matrix<T> z = edge.equal_rows({0, 1e4, -1e4});
    for (hg::index e = 0; e < n; ++e) z(0, e) = static_cast<T>(e) / 4;
    edge.tape.steering.off = {n - 1, 0};
    if (n < 3) edge.tape.steering.off = {n - 1};
    edge.route(z);
    for (const auto& a : edge.tape.routing.assignments) {
      CHECK(a.expert != n - 1);
      CHECK((a.expert != 0 || n < 3));
    }
    edge.check_finite();
    edge.tape.steering.off = lowest(n - 1);  // the last is left
    edge.route(z);
    for (const auto& a : edge.tape.routing.assignments) CHECK(a.expert == n - 1);
    for (hg::index t = 0; t < 3; ++t) CHECK(edge.experts_of(t).size() == 1);
    edge.check_finite();
    edge.tape.steering.off = {};
  }
}

/// A gate without stages takes its -infinity from the router's weights, for tokens of one element 1.
template <class Family, class T>
void check_masks_of_whole_gate(const edge_layer<Family, T>& edge) {
  if constexpr (!edge_layer<Family, T>::has_stages) {
    INFO("logits of -infinity");
    gate_alone<typename edge_layer<Family, T>::stages> gate{.gate = edge.layer.gate(), .p = edge.layer.params().gate};
    gate.gate.head.model = 1;
    const hg::index n = edge.experts;
    const hg::matrix<T> one = hg::matrix<T>::Ones(1, 1);
    const auto mask = [&](hg::index first, hg::index count) {
      gate.p.head.weight.setZero(n, 1);
      gate.p.head.weight.middleRows(first, count).setConstant(edge.off);
      gate.route(one);
      check_masked(gate, 0, edge.k);
      gate.p.head.weight.setOnes();  // what lies between: 0 times its -infinity is none of the gate's business
      gate.check_finite();
    };
    mask(0, 1);
    mask(0, n - 1);
    mask(n / 2, n - n / 2);
    mask(0, n);
  }
}

/// Rule 7: huge logits.
template <class Family, class T>
void check_huge(edge_layer<Family, T>& edge) {
  INFO("huge logits");
  const hg::index last = edge.experts - 1;
  hg::matrix<T> z = edge.equal_rows({1e4, -1e4, 0, 0, 0, 1e4});
  z(1, last) = 1e4;
  z(2, last) = 1e4, z(2, 0) = -1e4;
  z(3, last) = -1e4;
  for (hg::index e = 0; e <= last; ++e) z(4, e) = e % 2 == 0 ? T(-1e4) : T(1e4);
  z(5, 0) = -1e4;
  edge.route(z);
  for (const hg::index t : {1, 2}) CHECK(edge.experts_of(t).front() == last);
  edge.check_by_the_book();
  edge.check_finite();
}

/// Rule 8: what is not a number, with the token that has it.
template <class Family, class T>
void check_not_numbers(edge_layer<Family, T>& edge) {
  INFO("NaN and +infinity");
  const auto said = [&] { return refusal([&] { edge.layer.forward(edge.executor, edge.x, edge.y, edge.tape); }); };
  edge.route(edge.equal_rows({0, 1, 2, 3, 4}));
  const hg::matrix<T> y = edge.y;
  edge.x(3, 2) = not_a_number<T>;
  CHECK_THAT(said(), contains("layer::forward: x holds nan at row 3, column 2") ||
                         contains("layer::forward: x holds -nan at row 3, column 2"));
  CHECK(same_matrix(edge.y, y));
  edge.x(3, 2) = infinity<T>;
  CHECK_THAT(said(), contains("layer::forward: x holds inf at row 3, column 2"));
  CHECK(same_matrix(edge.y, y));
  edge.x(3, 2) = 0;  // the logit overflows: a finite row is refused with its token too
  edge.x(2, 2) = std::numeric_limits<T>::max();
  edge.layer.params().gate.head.weight(0, 2) = 1e4;
  CHECK_THAT(said(), contains("the router logit of token 2 for expert 0 is inf"));
  CHECK(same_matrix(edge.y, y));

  if constexpr (edge_layer<Family, T>::has_stages) {
    for (const bool steered : {false, true}) {
      auto gate = edge.gate_of_logits();
      if (steered) gate.steering.k = edge.k;
      hg::matrix<T> z = edge.equal_rows({0, 0, 0, 0});
      z(1, 0) = edge.off;  // is none
      z(2, edge.experts - 1) = not_a_number<T>;
      z(3, 0) = not_a_number<T>;
      const std::string place = hg::sentence("the router logit of token 2 for expert ", edge.experts - 1, " is ");
      CHECK_THAT(refusal([&] { gate.route_logits(z); }), contains(place + "nan") || contains(place + "-nan"));
      CHECK(gate.r.assignments.empty());
      z(2, edge.experts - 1) = infinity<T>;
      CHECK_THAT(refusal([&] { gate.route_logits(z); }), contains(place + "inf"));
      CHECK(gate.r.assignments.empty());
    }
  }
}

/// Rule 9: a router in double tells two logits apart that are one number in float. They compete for the last place.
template <class Family>
void check_router_in_double(const edge_setting<Family>& given, hg::index k, hg::index experts) {
  if (k == experts) return;
  INFO("a router in double");
  const auto run = [&](auto gate) {
    using gate_type = decltype(gate);
    std::mt19937_64 generator(1);
    gate_alone<gate_type> alone{.gate = gate, .p = gate.init(generator)};
    auto& w = alone.p.head.weight;
    using S = typename std::remove_cvref_t<decltype(w)>::Scalar;
    w.setZero();
    w(0, 0) = 1;
    w(1, 0) = static_cast<S>(1 + 0x1p-30);
    for (hg::index e = 2; e <= k; ++e) w(e, 0) = static_cast<S>(1 + 0.001 * static_cast<double>(e));
    alone.route(hg::matrix<float>::Ones(1, alone.gate.model()));
    std::vector<bool> chosen(2, false);
    for (const auto& a : alone.r.assignments)
      if (a.expert < 2) chosen[static_cast<std::size_t>(a.expert)] = true;
    CHECK(alone.r.assignments.size() == k);
    return chosen;
  };
  const auto wide = Family::template policies<double>(given.shape).gate;
  CHECK(run(Family::template policies<float>(given.shape).gate) == std::vector<bool>{true, false});
  CHECK(run(hg::in_double<std::remove_cvref_t<decltype(wide)>>{.gate = wide}) == std::vector<bool>{false, true});
}

/// Rule 10: a token has the same bits alone and in a batch, with one thread and with three, in a layer and packed.
template <class Family, class T>
void check_bits(edge_layer<Family, T>& edge) {
  INFO("equal bits");
  static const hg::thread_pool pool(3);
  edge.layer.params().gate.head.weight = random_matrix<T>(edge.experts, edge.layer.model(), {4});
  const hg::index tokens = 20000 / edge.experts;  // several tasks of the gate
  hg::matrix<T> x = random_matrix<T>(tokens, edge.layer.model(), {5});
  x.row(1).setZero();
  hg::matrix<T> y, other;
  typename edge_layer<Family, T>::layer_type::workspace memory;
  edge.layer.forward(edge.executor, x, y, memory);
  edge.layer.forward(any_executor(pool), x, other, memory);
  CHECK(same_matrix(other, y));
  const hg::packed_layer packed(edge.layer, edge.executor);
  typename decltype(packed)::workspace packed_memory;
  for (const any_executor& executor : {edge.executor, any_executor(pool)}) {
    packed.forward(executor, x, other, packed_memory);
    CHECK(same_matrix(other, y));
  }
  for (const hg::index t : {hg::index{0}, hg::index{1}, tokens / 2, tokens - 1}) {
    edge.layer.forward(edge.executor, x.row(t), other, memory);
    CHECK(same_matrix(other, y.row(t)));
    packed.forward(edge.executor, x.row(t), other, packed_memory);
    CHECK(same_matrix(other, y.row(t)));
  }
}

/// A selection bias changes who is chosen, and no weight; also where it makes all that chooses negative.
template <class Family, class T>
void check_selection_bias(edge_layer<Family, T>& edge) {
  if constexpr (edge_layer<Family, T>::has_bias) {
    INFO("a selection bias");
    auto& bias = edge.layer.params().gate.select.adjust.selection_bias;
    const hg::index last = edge.experts - 1;
    hg::matrix<T> z = edge.equal_rows({0, 0});
    for (hg::index e = 0; e <= last; ++e) {
      z(0, e) = -static_cast<T>(e) / 4;
      z(1, e) = static_cast<T>(e % 5) / 4;
    }
    edge.route(z);
    CHECK(edge.experts_of(0) == lowest(edge.k));
    for (const T all : {T{0}, T{-5}}) {
      bias.setConstant(all);
      bias(0, last) = all + 2;  // the worst becomes the first
      edge.route(z);
      const auto chosen = edge.experts_of(0);
      const auto weights = edge.weights_of(0);
      CHECK(chosen.front() == last);
      for (std::size_t i = 1; i < chosen.size(); ++i) {  // weights are to each other as scores without the bias
        if (edge.groups == 1) CHECK(chosen[i] == static_cast<hg::index>(i) - 1);
        const T one = weights[i] * edge.tape.routing.scores(0, last);
        CHECK(one == Approx(weights[0] * edge.tape.routing.scores(0, chosen[i])).epsilon(16 * epsilon<T>));
      }
      edge.check_by_the_book();
      edge.check_finite();
    }
    bias.setZero();
  }
}

}  // namespace edges

/// All edge rules for a layer of this shape. Rules 5 and 6 (one expert, k = experts) ask for shapes of their own:
/// `check_all_chosen`.
template <class Family, class T = float>
void check_edges(const edge_setting<Family>& given) {
  INFO(std::string(Family::name));
  edge_layer<Family, T> edge(given);
  edges::check_ties(edge);
  edges::check_equal_groups(edge);
  edges::check_zero_sums(edge);
  edges::check_masks(edge);
  edges::check_masks_of_whole_gate(edge);
  edges::check_huge(edge);
  edges::check_not_numbers(edge);
  if constexpr (sizeof(T) == 4) edges::check_router_in_double(given, edge.k, edge.experts);
  edges::check_selection_bias(edge);
  edges::check_bits(edge);
}

/// For shapes in which k is the number of experts, one included: each expert once, with the formula's weights.
template <class Family, class T = float>
void check_all_chosen(const edge_setting<Family>& given) {
  INFO(std::string(Family::name) << ", all experts chosen");
  edge_layer<Family, T> edge(given);
  INFO(edge.experts << " experts");
  REQUIRE(edge.k == edge.experts);
  edges::check_ties(edge);
  edges::check_zero_sums(edge);
  edges::check_masks(edge);
  edges::check_huge(edge);
  edge.route(random_matrix<T>(8, edge.experts, {6}));
  for (hg::index t = 0; t < 8; ++t) {
    auto chosen = edge.experts_of(t);
    std::sort(chosen.begin(), chosen.end());
    CHECK(chosen == edges::lowest(edge.experts));
  }
  edge.check_by_the_book();
  edge.check_finite();
  edges::check_bits(edge);
}

}  // namespace headgate_test
