// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include "measure_rank.hpp"
#include "table.hpp"

#include <headgate/communicators/thread_ranks.hpp>

namespace scaling {

namespace {

/// What each rank has to send, from the choice alone: token t is at home on rank t mod ranks.
std::vector<two_passes> predict(const setting& s, std::span<const index> choice, index ranks) {
  const auto count = static_cast<std::size_t>(ranks);
  std::vector<std::vector<index>> rows(count, std::vector<index>(count)), slots = rows;  // [from][to]
  for (index t = 0; t < s.draws; ++t) {
    const auto home = static_cast<std::size_t>(t % ranks);
    std::vector<bool> met(count);
    for (index i = 0; i < s.k; ++i) {
      const auto rank =
          static_cast<std::size_t>(rank_of(choice[static_cast<std::size_t>(t * s.k + i)], s.experts, ranks));
      ++slots[home][rank];
      rows[home][rank] += met[rank] ? 0 : 1;
      met[rank] = true;
    }
  }
  const std::vector<index> held = experts_of_ranks(s.experts, ranks);
  std::vector<two_passes> all(count);
  for (std::size_t from = 0; from < count; ++from)
    for (std::size_t to = 0; to < count; ++to) {
      if (from == to) continue;
      two_passes& pass = all[from];
      pass.forward.add(1 + held[to], sizeof(index));                // how many rows, and slots of each expert
      pass.forward.add(slots[from][to], sizeof(index));             // which row each slot reads
      pass.forward.add(rows[from][to] * s.model, sizeof(float));    // x
      pass.forward.add(slots[to][from] * s.model, sizeof(float));   // what the experts made of it, to its home
      pass.backward.add(rows[from][to] * s.model, sizeof(float));   // dy
      pass.backward.add(slots[from][to], sizeof(float));            // the weight of each slot
      pass.backward.add(slots[to][from] * s.model, sizeof(float));  // the gradient of what the experts got
    }
  return all;
}

}  // namespace

setting measured_setting(const setting& whole, index ranks) {
  setting s = whole;
  s.model = s.experts;  // the logits are the tokens
  s.draws = ranks * s.tokens;
  return s;
}

std::vector<two_passes> measure_on_threads(const setting& s, index ranks) {
  const hg::matrix<float> logits = uniform_logits(s);
  std::vector<two_passes> all(static_cast<std::size_t>(ranks));
  hg::run_thread_ranks(ranks, [&](hg::thread_rank& self) {
    all[static_cast<std::size_t>(self.rank())] = measure_rank(s, logits, self);
  });
  return all;
}

void print_measured(const setting& s, const std::vector<two_passes>& measured, agreement& seen) {
  const auto ranks = static_cast<index>(measured.size());
  const std::vector<index> choice = choose(s, uniform_logits(s));
  const std::vector<two_passes> predicted = predict(s, choice, ranks);

  table rows({"rank", "forward: messages", "counted", "bytes", "counted", "backward: messages", "counted", "bytes",
              "counted"});
  const auto number = [](index n) { return text("%td", n); };
  two_passes sum;
  for (index r = 0; r < ranks; ++r) {
    std::vector<std::string> row{number(r)};
    const two_passes &paper = predicted[static_cast<std::size_t>(r)], &counted = measured[static_cast<std::size_t>(r)];
    const auto compare = [&](const char* what, index expected, index got) {
      row.push_back(number(expected));
      row.push_back(number(got));
      const auto bound = static_cast<double>(expected);
      seen.expect_between(text("%s of rank %td of %td", what, r, ranks), bound, bound, static_cast<double>(got));
    };
    compare("messages forward", paper.forward.messages, counted.forward.messages);
    compare("bytes forward", paper.forward.bytes, counted.forward.bytes);
    compare("messages backward", paper.backward.messages, counted.backward.messages);
    compare("bytes backward", paper.backward.bytes, counted.backward.bytes);
    rows.add(row);
    sum.forward.add(counted.forward);
    sum.backward.add(counted.backward);
  }
  rows.print(text("%td ranks, %td tokens each, width %td, float: what the routing says and what was counted", ranks,
                  s.tokens, s.model));

  // The closed form knows no routing: it holds within the error of a mean over these tokens.
  const traffic t = paper_traffic(s, ranks);
  const observed o = observe(s, choice, ranks);
  const double row_bytes = static_cast<double>(s.model) * sizeof(float), tokens = static_cast<double>(s.draws);
  const double counts = static_cast<double>((ranks - 1) * (ranks + s.experts)) * sizeof(index) / tokens;
  // Rows out and assignments elsewhere depend on each other: the error of their sum is at most that of both.
  const auto bytes = [&](double out, double returns, double integer, double other) {
    return out * row_bytes + returns * (row_bytes + integer) + other;
  };
  table forms({"pass", "bytes a token, closed form", "counted", "standard error, at most"});
  const auto compare = [&](const char* pass, double integer, double other, index counted) {
    const double expected = bytes(t.remote, t.remote_returns, integer, other);
    const estimate got{static_cast<double>(counted) / tokens, bytes(o.remote.error, o.remote_returns.error, integer, 0),
                       0};
    forms.add({pass, text("%.1f", expected), text("%.1f", got.mean), text("%.1f", got.error)});
    seen.expect(text("bytes %s of %td ranks", pass, ranks), expected, got);
  };
  compare("forward", sizeof(index), counts, sum.forward.bytes);
  compare("backward", sizeof(float), 0, sum.backward.bytes);
  forms.print(text("%td ranks: the closed form and what was counted", ranks));
}

}  // namespace scaling
