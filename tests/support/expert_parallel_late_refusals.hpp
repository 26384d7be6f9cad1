// SPDX-License-Identifier: BSD-3-Clause
// Refusals on one rank when the experts' rows are back, which are too late to end the pass of the others.
#pragma once

#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/error_of.hpp"
#include "support/expert_parallel_backward.hpp"

#include <string>
#include <utility>

namespace headgate_test {

/// Policies that can be told to refuse.
struct refusing_gate : hg::topk_gate<double> {
  bool refuses = false;

  template <class... Arguments>
  void backward(Arguments&&... arguments) const {
    if (refuses) hg::refuse("gate: no");
    hg::topk_gate<double>::backward(std::forward<Arguments>(arguments)...);
  }
};
struct refusing_expert : hg::linear_expert<double> {
  bool refuses = false;

  template <class... Arguments>
  void forward(Arguments&&... arguments) const {
    if (refuses) hg::refuse("shared: no");
    hg::linear_expert<double>::forward(std::forward<Arguments>(arguments)...);
  }
};

inline hg::layer<refusing_gate, hg::linear_expert<double>, refusing_expert> late_layer() {
  return {refusing_gate{{.head = {.model = 6, .experts = 5}, .select = {.k = 2}}},
          {.model = 6, .outputs = 4},
          refusing_expert{{.model = 6, .outputs = 4}},
          5};
}

/// The others return with what they would have got, and hear of it in their next operation.
template <class Communicator, class F>
void expect_late(complaints& all, Communicator& ranks, hg::index bad, const std::string& sentence, const F& pass) {
  const bool mine = ranks.rank() == bad;
  const std::string said = error_of(pass);
  all.expect(said == (mine ? "refused " + sentence : "nothing"), "it said: " + said);
  const std::string later = error_of([&] { ranks.barrier(); });
  all.expect(later == "barrier: rank " + std::to_string(bad) + " failed: " + sentence, "afterwards it said: " + later);
}

/// The shared expert of rank `bad` refuses in the forward.
template <class Communicator>
std::string check_late_forward(Communicator& ranks, hg::index bad) {
  complaints all;
  const auto whole = late_layer();
  auto shared = whole.shared();
  shared.refuses = ranks.rank() == bad;
  const hg::expert_parallel_layer<refusing_gate, hg::linear_expert<double>, refusing_expert> part(
      whole.gate(), whole.expert(), shared, whole.params(), {5, ranks.size()}, ranks.rank());
  typename std::remove_cvref_t<decltype(part)>::tape tape;
  const auto x = random_matrix<double>(9, 6, {1, static_cast<std::uint64_t>(ranks.rank())});
  hg::matrix<double> y;
  expect_late(all, ranks, bad, "shared: no", [&] { part.forward(ranks, x, y, tape); });
  all.expect(ranks.rank() == bad || same_matrix(y, whole(x)), "y is another");
  all.expect((tape.tokens == -1) == (ranks.rank() == bad), "the tape says that the forward ended otherwise");
  return all.text;
}

/// The gate of rank `bad` refuses in its backward.
template <class Communicator>
std::string check_late_backward(Communicator& ranks, hg::index bad) {
  complaints all;
  const auto whole = late_layer();
  auto part = part_of(whole, {5, ranks.size()}, ranks.rank());
  part.gate().refuses = ranks.rank() == bad;
  typename decltype(part)::tape tape;
  typename std::remove_cvref_t<decltype(whole)>::tape alone;
  const auto x = random_matrix<double>(9, 6, {1, static_cast<std::uint64_t>(ranks.rank())});
  hg::matrix<double> y, dx, expected;
  auto grads = part.zero_gradients();
  auto whole_grads = whole.zero_gradients();
  part.forward(ranks, x, y, tape);
  whole.forward(x, y, alone);
  whole.backward(x, y, alone, expected, whole_grads);
  expect_late(all, ranks, bad, "gate: no", [&] { part.backward(ranks, x, y, tape, dx, grads); });
  all.expect(ranks.rank() == bad || same_matrix(dx, expected), "dx is another");
  return all.text;
}

}  // namespace headgate_test
