// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/expert_exchange.hpp>

#include "support/layer_checks.hpp"
#include "support/on_threads.hpp"

#include <vector>

using namespace headgate_test;

namespace {

using list = std::vector<hg::index>;

/// A plan of assignments (token, expert).
struct batch {
  hg::routing<float> routing;
  hg::dispatch_plan plan;
  batch(hg::index tokens, hg::index experts, const std::vector<std::pair<hg::index, hg::index>>& assignments) {
    routing.reset(tokens, experts);
    for (const auto& [token, expert] : assignments) routing.assignments.push_back({token, expert, 1.0f});
    plan.make(routing, hg::capacity{});
  }
};

/// What came: the first column of the row that each slot of each expert reads.
std::vector<std::vector<float>> read_by(const hg::row_groups& g, hg::view<const float> rows) {
  std::vector<std::vector<float>> all;
  for (hg::index e = 0; e < g.count; ++e) {
    all.emplace_back();
    for (hg::index s = g.offsets[e]; s < g.offsets[e + 1]; ++s) all.back().push_back(rows(g.rows[s], 0));
  }
  return all;
}

using rows_read = std::vector<std::vector<float>>;

}  // namespace

TEST_CASE("slots come by expert, then by rank, then in the order of the batch, and a token once", "[expert_exchange]") {
  // Experts 0 and 2 on rank 1, expert 1 on rank 0. Rank 0 has tokens 0 and 1, rank 1 token 10.
  const hg::expert_placement placement(list{1, 0, 1}, 2);
  CHECK(on_threads(2, [&](hg::thread_rank& rank) {
          complaints all;
          const bool first = rank.rank() == 0;
          const batch b = first ? batch(2, 3, {{0, 2}, {0, 0}, {1, 0}, {1, 1}}) : batch(1, 3, {{0, 1}, {0, 2}});
          const hg::matrix<float> x = first ? hg::matrix<float>{{0, 5}, {1, 6}} : hg::matrix<float>{{10, 7}};
          hg::expert_exchange<float> exchange;
          hg::scratch<float> received, values;
          exchange.plan(rank, placement, b.plan);
          const auto rows = exchange.send_rows(hg::run_sequentially, rank, hg::view_of(x), received);
          all.expect(rows.rows == (first ? 2 : 3) && rows.cols == 2, "another number of rows came");
          all.expect(read_by(exchange.groups(), rows) == (first ? rows_read{{1, 10}} : rows_read{{0, 1}, {0, 10}}),
                     "slots read other rows");
          // Values in local order: rank 0 has slots (e0 t0), (e0 t1), (e1 t1), (e2 t0), rank 1 (e1 t10), (e2 t10).
          const float weights[4] = {1, 2, 3, 4}, others[2] = {5, 6};
          const float* const came = exchange.send_slot_values(rank, first ? weights : others, values);
          const std::vector<float> here(came, came + exchange.groups().slots());
          all.expect(here == (first ? std::vector<float>{3, 5} : std::vector<float>{1, 2, 4, 6}), "other values came");
          // And back: each slot gets the row that was made for it.
          hg::matrix<float> made(exchange.groups().slots(), 3), back(b.plan.slots(), 3);
          for (hg::index s = 0; s < made.rows(); ++s)
            made.row(s).setConstant(came[s] + 100 * rows(exchange.groups().rows[s], 0));
          exchange.return_rows(hg::run_sequentially, rank, hg::view_of(made), hg::view_of(back));
          for (hg::index s = 0; s < back.rows(); ++s) {
            const float token = x(b.plan.groups().rows[s], 0);
            all.expect(back(s, 2) == (first ? weights : others)[s] + 100 * token, "another row came back");
          }
          return all.text;
        }) == "");
}

TEST_CASE("experts that are not placed run on the rank of the token, behind its own", "[expert_exchange]") {
  const hg::expert_placement placement(list{1, 0}, 2);  // expert 2 has no parameters
  CHECK(on_threads(2, [&](hg::thread_rank& rank) {
          complaints all;
          const batch b(2, 3, {{0, 2}, {1, 0}});
          hg::matrix<float> x(2, 1);
          x << static_cast<float>(10 * rank.rank()), static_cast<float>(10 * rank.rank() + 1);
          hg::expert_exchange<float> exchange;
          hg::scratch<float> received;
          exchange.plan(rank, placement, b.plan);
          const auto rows = exchange.send_rows(hg::run_sequentially, rank, hg::view_of(x), received);
          all.expect(
              read_by(exchange.groups(), rows) == (rank.rank() == 0 ? rows_read{{}, {0}} : rows_read{{1, 11}, {10}}),
              "slots read other rows");
          return all.text;
        }) == "");
}

TEST_CASE("ranks without a token or without an expert exchange nothing", "[expert_exchange]") {
  const hg::expert_placement placement(list{2}, 3);
  CHECK(
      on_threads(3, [&](hg::thread_rank& rank) {
        complaints all;
        const batch b = rank.rank() == 1 ? batch(0, 1, {}) : batch(1, 1, {{0, 0}});
        const hg::matrix<float> x = hg::matrix<float>::Constant(b.routing.tokens, 2, float(rank.rank()));
        hg::expert_exchange<float> exchange;
        hg::scratch<float> received;
        exchange.plan(rank, placement, b.plan);
        const auto rows = exchange.send_rows(hg::run_sequentially, rank, hg::view_of(x), received);
        all.expect(exchange.groups().slots() == (rank.rank() == 2 ? 2 : 0), "another number of slots came");
        all.expect(rank.rank() != 2 || read_by(exchange.groups(), rows) == rows_read{{0, 2}}, "slots read other rows");
        return all.text;
      }) == "");
}

TEST_CASE("a rank alone sends itself what its plan says", "[expert_exchange]") {
  hg::single_rank alone;
  const batch b(3, 2, {{0, 1}, {0, 0}, {2, 1}});
  const hg::matrix<float> x{{4}, {5}, {6}};
  hg::expert_exchange<float> exchange;
  hg::scratch<float> received;
  exchange.plan(alone, {2, 1}, b.plan);
  const auto rows = exchange.send_rows(hg::run_sequentially, alone, hg::view_of(x), received);
  CHECK(rows.rows == 2);  // token 1 goes nowhere
  CHECK(read_by(exchange.groups(), rows) == rows_read{{4}, {4, 6}});
}
