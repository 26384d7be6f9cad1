// SPDX-License-Identifier: BSD-3-Clause
// Checks of an expert_parallel_layer against a layer on one rank, for ranks of any kind: each is called on every rank with its
// communicator, and returns what is wrong on this one, empty if nothing is.
#pragma once

#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/layer.hpp>

#include "support/layer_checks.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace headgate_test {

/// What is wrong, one sentence a line.
struct complaints {
  std::string text;
  void expect(bool holds, const std::string& sentence) {
    if (!holds) text += sentence + "\n";
  }
};

/// Where the tokens of rank r begin in the batches one behind the other: first[r] .. first[r + 1].
using token_shares = std::vector<hg::index>;

/// Rank 0 has no token, one rank has all, all ranks have some but not as many.
inline std::vector<token_shares> every_share(hg::index ranks, hg::index tokens) {
  token_shares uneven{0}, first_none{0, 0}, last_all(static_cast<std::size_t>(ranks), 0);
  for (hg::index r = 1; r < ranks; ++r) uneven.push_back(tokens * r * r / (ranks * ranks));
  uneven.push_back(tokens);
  for (hg::index r = 1; r < ranks; ++r) first_none.push_back(tokens * r / (ranks - 1));
  last_all.push_back(tokens);
  if (ranks == 1) return {uneven};
  return {uneven, first_none, last_all};
}

/// Contiguous, one after the other, backwards, all on the last rank, none on rank 0.
inline std::vector<hg::expert_placement> every_placement(hg::index experts, hg::index ranks) {
  std::vector<hg::index> round_robin, reversed, last, not_first;
  for (hg::index e = 0; e < experts; ++e) {
    round_robin.push_back(e % ranks);
    reversed.push_back(ranks - 1 - e * ranks / experts);
    last.push_back(ranks - 1);
    not_first.push_back(ranks == 1 ? 0 : 1 + e % (ranks - 1));
  }
  std::vector<hg::expert_placement> all{{experts, ranks}};
  if (ranks > 1)
    for (const auto& map : {round_robin, reversed, last, not_first}) all.emplace_back(map, ranks);
  return all;
}

/// The largest difference, relative to the largest value.
template <class A, class B>
double relative_distance(const A& a, const B& b) {
  double difference = 0, largest = 1e-30;
  for (hg::index r = 0; r < b.rows(); ++r)
    for (hg::index c = 0; c < b.cols(); ++c) {
      difference = std::fmax(difference, std::fabs(static_cast<double>(a(r, c)) - static_cast<double>(b(r, c))));
      largest = std::fmax(largest, std::fabs(static_cast<double>(b(r, c))));
    }
  return difference / largest;
}

/// This rank's part of a layer, with its parameters.
template <class Gate, class Expert, class Shared>
auto part_of(const hg::layer<Gate, Expert, Shared>& whole, const hg::expert_placement& placement, hg::index rank) {
  return hg::expert_parallel_layer<Gate, Expert, Shared>(whole.gate(), whole.expert(), whole.shared(), whole.params(),
                                                         placement, rank, whole.options());
}

/// One training pass of the whole layer on all tokens, and what it leaves.
template <class Layer>
struct whole_pass {
  using T = typename Layer::scalar;
  hg::matrix<T> x, dy, y, dx;
  typename Layer::gradients grads;

  whole_pass(const Layer& layer, hg::index tokens)
      : x(random_matrix<T>(tokens, layer.model(), {71})),
        dy(random_matrix<T>(tokens, layer.outputs(), {72})),
        grads(layer.zero_gradients()) {
    typename Layer::tape tape;
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads);
  }
};

/// A rank's experts have the gradients of the whole layer's, to the last bit; the others to rounding, or to the last bit where
/// `exactly` says that nothing was added in another order.
template <class Layer, class Whole, class Part>
void expect_gradients(complaints& all, const Layer& layer, const Whole& expected, const Part& found, bool exactly) {
  using T = typename Layer::scalar;
  const auto near = [&](std::string_view name, const auto& a, const auto& b) {
    const bool same = exactly ? same_matrix(a, b) : relative_distance(a, b) < (sizeof(T) == 4 ? 1e-5 : 1e-13);
    all.expect(same, "the gradient of " + std::string(name) + " is another");
  };
  auto like = found;  // the whole layer's gradients, in the shape of the part
  like.gate = expected.gate;
  like.shared = expected.shared;
  for (hg::index i = 0; i < found.ids.size(); ++i) like.experts[i] = expected.experts[found.ids[i]];
  Part::template walk_replicated<hg::fields_of::storage>(near, found, like);
  exactly = true;
  Part::template walk<hg::fields_of::storage>(
      [&](std::string_view name, const auto& a, const auto& b) {
        if (name.substr(0, 8) == "experts.") near(name, a, b);
      },
      found, like);
  static_cast<void>(layer);
}

/// Outputs, dx and the experts' gradients have the bits of one rank that has all tokens and all experts.
template <class Communicator, class Layer>
std::string check_same_as_one_rank(Communicator& ranks, const Layer& whole, const hg::expert_placement& placement,
                                   const token_shares& share, const whole_pass<Layer>& expected) {
  using T = typename Layer::scalar;
  complaints all;
  const auto part = part_of(whole, placement, ranks.rank());
  using part_type = std::remove_cvref_t<decltype(part)>;
  const auto me = static_cast<std::size_t>(ranks.rank());
  const hg::index first = share[me], count = share[me + 1] - first;
  const hg::matrix<T> x = expected.x.middleRows(first, count), dy = expected.dy.middleRows(first, count);
  hg::matrix<T> y, dx;

  typename part_type::workspace memory;
  part.forward(ranks, x, y, memory);
  all.expect(same_matrix(y, expected.y.middleRows(first, count)), "inference gives another y");

  typename part_type::tape tape;
  auto grads = part.zero_gradients();
  part.forward(ranks, x, y, tape);
  all.expect(same_matrix(y, expected.y.middleRows(first, count)), "training gives another y");
  part.backward(ranks, x, dy, tape, dx, grads);
  all.expect(same_matrix(dx, expected.dx.middleRows(first, count)), "dx is another");
  hg::all_reduce_gradients(ranks, part, grads);
  hg::index with_tokens = 0;
  for (std::size_t r = 0; r + 1 < share.size(); ++r) with_tokens += share[r + 1] > share[r];
  expect_gradients(all, whole, expected.grads, grads, with_tokens == 1);
  return all.text;
}

/// The same for every placement and every share of the tokens.
template <class Communicator, class Layer>
std::string check_every_placement(Communicator& ranks, const Layer& whole, hg::index tokens = 23) {
  std::string wrong;
  const whole_pass expected(whole, tokens);
  const hg::index experts = hg::parameterised_of(whole.expert(), whole.experts());
  hg::index which = 0;
  for (const auto& placement : every_placement(experts, ranks.size()))
    for (const auto& share : every_share(ranks.size(), tokens)) {
      const std::string text = check_same_as_one_rank(ranks, whole, placement, share, expected);
      if (!text.empty()) wrong += "case " + std::to_string(which) + ":\n" + text;
      ++which;
    }
  return wrong;
}

}  // namespace headgate_test
