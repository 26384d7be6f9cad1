// SPDX-License-Identifier: BSD-3-Clause
// What all ranks of an expert_parallel_layer get if one of them refuses.
#pragma once

#include "support/error_of.hpp"
#include "support/expert_parallel_checks.hpp"

#include <string>
#include <type_traits>

namespace headgate_test {

/// Where `bad` refuses in the forward, it says why, the others name it, and y is what it was on all.
template <class Communicator, class Layer, class Spoil>
std::string check_forward_fails(Communicator& ranks, const Layer& whole, hg::index bad, const std::string& sentence,
                                const Spoil& spoil) {
  using T = typename Layer::scalar;
  complaints all;
  auto part = part_of(whole, {whole.experts(), ranks.size()}, ranks.rank());
  typename decltype(part)::tape tape;
  auto x = random_matrix<T>(9, whole.model(), {1, static_cast<std::uint64_t>(ranks.rank())});
  hg::matrix<T> y = hg::matrix<T>::Constant(2, 2, T{7});
  if (ranks.rank() == bad) spoil(part, x);
  const std::string said = error_of([&] { part.forward(ranks, x, y, tape); });
  const std::string expected =
      ranks.rank() == bad ? "refused " + sentence : "rank " + std::to_string(bad) + " failed: " + sentence;
  all.expect(said.find(expected) != std::string::npos, "it said: " + said);
  all.expect(same_matrix(y, hg::matrix<T>(hg::matrix<T>::Constant(2, 2, T{7}))), "y was written");
  all.expect(tape.tokens == -1, "the tape is ready for a backward");
  all.expect(error_of([&] { ranks.barrier(); }).find("rank " + std::to_string(bad)) != std::string::npos,
             "the group is not broken");
  return all.text;
}

/// The same in the backward, where a loss of rank `bad` refuses; dx and the gradients are what they were.
template <class Communicator, class Layer>
std::string check_backward_fails(Communicator& ranks, const Layer& whole, hg::index bad) {
  using T = typename Layer::scalar;
  complaints all;
  const auto part = part_of(whole, {whole.experts(), ranks.size()}, ranks.rank());
  typename std::remove_cvref_t<decltype(part)>::tape tape;
  const auto x = random_matrix<T>(9, whole.model(), {1, static_cast<std::uint64_t>(ranks.rank())});
  hg::matrix<T> y, dx = hg::matrix<T>::Constant(2, 2, T{7});
  auto grads = part.zero_gradients();
  part.forward(ranks, x, y, tape);
  const auto loss = [&](const hg::routing<T>&, hg::routing_gradient<T>&) {
    if (ranks.rank() == bad) hg::refuse("loss: no");
    return T{0};
  };
  const std::string said = error_of([&] { part.backward(ranks, x, y, tape, dx, grads, loss); });
  all.expect(said.find(ranks.rank() == bad ? "refused loss: no" : "failed: loss: no") != std::string::npos,
             "it said: " + said);
  all.expect(same_matrix(dx, hg::matrix<T>(hg::matrix<T>::Constant(2, 2, T{7}))), "dx was written");
  all.expect(same_parameters(grads, part.zero_gradients()), "gradients were written");
  return all.text;
}

}  // namespace headgate_test
