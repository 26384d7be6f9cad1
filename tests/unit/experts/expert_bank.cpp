// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/expert_bank.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/expert_checks.hpp"
#include "support/shuffled.hpp"

using namespace headgate_test;

namespace {

/// The linear expert as a user would write it: on one block, with Eigen. It remembers how its cache was used.
struct block_expert {
  using scalar = double;
  struct params {
    hg::matrix<double> weight;
  };
  struct cache {
    hg::index rows = -1;
  };
  static constexpr auto fields = std::tuple{hg::field{"weight", &params::weight}};
  hg::index model, outputs;

  params init(std::mt19937_64& g) const { return {hg::randn<double>(outputs, model, g)}; }
  void forward(const params& p, hg::in<double> x, hg::out<double> y, cache& c) const {
    c.rows = x.rows();
    y.noalias() = x * p.weight.transpose();
  }
  void backward(const params& p, hg::in<double> x, hg::in<double> dy, cache& c, hg::out<double> dx, params& dp) const {
    if (c.rows != x.rows()) throw std::logic_error("another expert's cache");
    dx.noalias() = dy * p.weight;
    dp.weight.noalias() += dy.transpose() * x;
  }
};

static_assert(hg::trainable_expert<block_expert> && !hg::grouped_expert<block_expert>);
static_assert(hg::grouped_expert<hg::linear_expert<double>>);

}  // namespace

TEST_CASE("an expert on blocks computes what a grouped one does", "[experts][expert_bank]") {
  bank blocks(block_expert{.model = 5, .outputs = 3});
  bank grouped(hg::linear_expert<double>{.model = 5, .outputs = 3});
  for (std::size_t e = 0; e < 3; ++e) grouped.params[e].weight = blocks.params[e].weight;
  CHECK((blocks.forward() - grouped.forward()).norm() < 1e-14);
  auto dp = blocks.zero_gradients();
  auto grouped_dp = grouped.zero_gradients();
  CHECK((blocks.backward(dp) - grouped.backward(grouped_dp)).norm() < 1e-14);
  for (std::size_t e = 0; e < 3; ++e) CHECK((dp[e].weight - grouped_dp[e].weight).norm() < 1e-13);
}

TEST_CASE("an expert on blocks has a cache of its own for each expert, whoever runs it", "[experts][expert_bank]") {
  bank b(block_expert{.model = 5, .outputs = 3});
  auto dp = b.zero_gradients();
  const auto y = b.forward();
  const auto dx = b.backward(dp);
  CHECK(b.cache.each.size() == 3);
  CHECK(b.cache.each[1].rows == -1);  // no row, no call
  const hg::thread_pool pool(3);
  CHECK(same_matrix(b.forward(pool), y));
  CHECK(same_matrix(b.forward(shuffled{}), y));
  auto again = b.zero_gradients();
  CHECK(same_matrix(b.backward(again, pool), dx));
  for (std::size_t e = 0; e < 3; ++e) CHECK(same_matrix(again[e].weight, dp[e].weight));
}

TEST_CASE("a bank of another size reuses a cache", "[experts][expert_bank]") {
  bank b(block_expert{.model = 5, .outputs = 3});
  const auto y = b.forward();
  b.params.pop_back();
  b.offsets = {0, 4, 9};
  const auto two = b.forward();
  CHECK(b.cache.each.size() == 2);
  CHECK(same_matrix(two.topRows(4), y.topRows(4)));
}

TEST_CASE("an exception of an expert reaches the caller of a sequential pass", "[experts][expert_bank]") {
  bank b(block_expert{.model = 5, .outputs = 3});
  auto dp = b.zero_gradients();
  b.forward();
  b.cache.each[2].rows = 77;
  CHECK_THROWS_AS(b.backward(dp), std::logic_error);
}

TEST_CASE("a batch of which no token goes anywhere calls no expert, also as the first", "[experts][expert_bank]") {
  const block_expert expert{.model = 5, .outputs = 3};
  std::vector<block_expert::params> params(2);
  const hg::index offsets[] = {0, 0, 0};  // and no list of rows: an empty one may be null
  const auto x = random_matrix<double>(4, 5, {1});
  hg::expert_bank_cache<block_expert> cache;
  hg::scratch<double> memory;
  hg::forward_experts<block_expert, double>(expert, params, hg::row_groups{2, offsets}, x, hg::view<double>(), cache,
                                            hg::pass<double>{hg::run_sequentially, memory});
  CHECK(cache.each[0].rows == -1);
}
