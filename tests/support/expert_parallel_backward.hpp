// SPDX-License-Identifier: BSD-3-Clause
// More checks of an expert_parallel_layer, of the kind of expert_parallel_checks.hpp: capacity, losses, differences.
#pragma once

#include <headgate/losses/global_balance.hpp>

#include "support/expert_parallel_checks.hpp"

#include <span>
#include <string>
#include <vector>

namespace headgate_test {

/// With a capacity each rank's tokens get what the whole layer gives them as a batch of their own; the experts' gradients are
/// the sum of those batches'.
template <class Communicator, class Layer>
std::string check_capacity_of_each_rank(Communicator& ranks, const Layer& whole) {
  using T = typename Layer::scalar;
  complaints all;
  const auto part = part_of(whole, {whole.experts(), ranks.size()}, ranks.rank());
  using part_type = std::remove_cvref_t<decltype(part)>;
  const auto seed = static_cast<std::uint64_t>(ranks.rank());
  const auto x = random_matrix<T>(12 + 5 * ranks.rank(), whole.model(), {81, seed});
  const auto dy = random_matrix<T>(x.rows(), whole.outputs(), {82, seed});
  hg::matrix<T> y, dx, expected_y, expected_dx;
  typename part_type::tape tape;
  typename Layer::tape alone;
  auto grads = part.zero_gradients();
  auto expected = whole.zero_gradients();
  part.forward(ranks, x, y, tape);
  part.backward(ranks, x, dy, tape, dx, grads);
  whole.forward(x, expected_y, alone);
  whole.backward(x, dy, alone, expected_dx, expected);
  all.expect(alone.plan.dropped() > 0, "nothing was dropped");
  all.expect(same_matrix(y, expected_y), "y is another");
  all.expect(same_matrix(dx, expected_dx), "dx is another");
  hg::all_reduce_gradients(ranks, part, grads);
  hg::all_reduce_gradients(ranks, whole, expected);
  for (hg::index i = 0; i < grads.ids.size(); ++i)
    all.expect(relative_distance(grads.experts[i].weight, expected.experts[grads.ids[i]].weight) < 1e-5,
               "an expert's gradient is another");
  all.expect(same_matrix(grads.gate.head.weight, expected.gate.head.weight), "the gate's gradient is another");
  return all.text;
}

/// With counts over ranks, the mean of the ranks' losses, and the gradients they give, are those of one batch.
template <class Communicator, class Layer>
std::string check_global_balance(Communicator& ranks, const Layer& whole) {
  using T = typename Layer::scalar;
  complaints all;
  const hg::index each = 11, me = ranks.rank();
  const T weight = T(0.5);
  const auto x = random_matrix<T>(each * ranks.size(), whole.model(), {91});
  const auto dy = random_matrix<T>(each * ranks.size(), whole.outputs(), {92});
  hg::matrix<T> y, dx, expected_dx;
  typename Layer::tape alone;
  auto expected = whole.zero_gradients();
  whole.forward(x, y, alone);
  hg::expert_counts counts;
  counts.collect(alone.routing);
  const T expected_loss =
      whole.backward(x, dy, alone, expected_dx, expected, hg::global_balance<T>{.weight = weight, .counts = &counts});

  const auto part = part_of(whole, {whole.experts(), ranks.size()}, me);
  using part_type = std::remove_cvref_t<decltype(part)>;
  typename part_type::tape tape;
  auto grads = part.zero_gradients();
  const hg::matrix<T> mine = x.middleRows(me * each, each), dmine = dy.middleRows(me * each, each);
  part.forward(ranks, mine, y, tape);
  hg::expert_counts of_all(whole.experts());
  of_all.collect(tape.routing);
  ranks.all_reduce(of_all.counts());
  T loss = part.backward(ranks, mine, dmine, tape, dx, grads,
                         hg::global_balance<T>{.weight = weight / static_cast<T>(ranks.size()), .counts = &of_all});
  ranks.all_reduce(std::span(&loss, 1));
  hg::all_reduce_gradients(ranks, part, grads);
  for (hg::index e = 0; e < whole.experts(); ++e) all.expect(of_all[e] == counts[e], "the counts are others");
  all.expect(std::fabs(loss - expected_loss) < T(1e-12) * std::fabs(expected_loss), "the loss is another");
  all.expect(relative_distance(dx, expected_dx.middleRows(me * each, each)) < 1e-12, "dx is another");
  all.expect(relative_distance(grads.gate.head.weight, expected.gate.head.weight) < 1e-12,
             "the gate's gradient is another");
  return all.text;
}

/// Analytic gradients against central differences of the loss over all ranks, some elements of every matrix and of x.
template <class Communicator, class Layer>
std::string check_differences(Communicator& ranks, const Layer& whole) {
  using T = typename Layer::scalar;
  complaints all;
  const hg::index me = ranks.rank();
  const std::vector<hg::index> backwards = [&] {
    std::vector<hg::index> map;
    for (hg::index e = 0; e < whole.experts(); ++e) map.push_back(ranks.size() - 1 - e % ranks.size());
    return map;
  }();
  auto part = part_of(whole, {backwards, ranks.size()}, me);
  using part_type = std::remove_cvref_t<decltype(part)>;
  auto x = random_matrix<T>(4 + 3 * me, whole.model(), {61, static_cast<std::uint64_t>(me)});
  const auto dy = random_matrix<T>(x.rows(), whole.outputs(), {62, static_cast<std::uint64_t>(me)});
  hg::matrix<T> y, dx;
  typename part_type::tape tape;
  const hg::random_stream random{62 + static_cast<std::uint64_t>(me)};  // of dropout
  tape.random = random;
  auto grads = part.zero_gradients();
  part.forward(ranks, x, y, tape);
  part.backward(ranks, x, dy, tape, dx, grads);
  hg::all_reduce_gradients(ranks, part, grads);

  const auto loss = [&] {  // over all ranks
    tape.random = random;
    part.forward(ranks, x, y, tape);
    T sum = y.cwiseProduct(dy).sum();
    ranks.all_reduce(std::span(&sum, 1));
    return sum;
  };
  // Every rank takes part; `value` is null on those that have not got it.
  const auto check = [&](T* value, T analytic, const std::string& name) {
    constexpr T step = T(1e-5);
    const T before = value ? *value : T{0};
    if (value) *value = before + step;
    const T above = loss();
    if (value) *value = before - step;
    const T below = loss();
    if (value) *value = before;
    const T numeric = (above - below) / (2 * step);
    if (value)
      all.expect(std::fabs(numeric - analytic) < T(1e-6) * (T(0.1) + std::fabs(analytic)),
                 name + ": " + std::to_string(analytic) + ", by differences " + std::to_string(numeric));
  };
  const auto check_matrix = [&](auto* w, const auto* d, hg::index size, const std::string& name) {
    for (hg::index i = 0; i < size; i += 1 + size / 3)
      check(w ? w->data() + i : nullptr, d ? d->data()[i] : T{0}, name);
  };
  auto& p = part.params();
  check_matrix(&p.gate.head.weight, &grads.gate.head.weight, p.gate.head.weight.size(), "gate");
  check_matrix(&p.shared.up, &grads.shared.up, p.shared.up.size(), "shared");
  hg::index next = 0;
  for (hg::index e = 0; e < whole.experts(); ++e) {
    const hg::index i = part.placement().rank_of(e) == me ? next++ : -1;
    const hg::index size = whole.params().experts[e].up.size();
    const std::string name = "expert " + std::to_string(e);
    check_matrix(i < 0 ? nullptr : &p.experts[i].up, i < 0 ? nullptr : &grads.experts[i].up, size, name);
    check_matrix(i < 0 ? nullptr : &p.experts[i].down, i < 0 ? nullptr : &grads.experts[i].down, size, name);
  }
  for (hg::index r = 0; r < ranks.size(); ++r)
    check_matrix(r == me ? &x : nullptr, r == me ? &dx : nullptr, (4 + 3 * r) * whole.model(), "x");
  return all.text;
}

}  // namespace headgate_test
