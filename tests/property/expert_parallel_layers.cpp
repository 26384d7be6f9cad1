// SPDX-License-Identifier: BSD-3-Clause
// Promise 3 over ranks, for layers of other kinds: ragged gates, weights on the input, experts without parameters, experts that
// run one by one, gates that look at the batch.
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/gates/named.hpp>

#include "support/on_threads.hpp"

#include <random>
#include <tuple>

using namespace headgate_test;

namespace {

/// y = w_0 x + w_1, element by element: an expert that is called for one block at a time.
struct one_by_one {
  using scalar = float;
  struct params {
    hg::matrix<float> w;
  };
  struct cache {
    hg::matrix<float> x;
  };
  static constexpr auto fields = std::tuple{hg::field{"w", &params::w}};
  hg::index model;

  params init(std::mt19937_64& g) const { return {hg::randn<float>(2, model, g, 0.3f)}; }
  void forward(const params& p, hg::in<float> x, hg::out<float> y, cache& c) const {
    c.x = x;
    for (hg::index t = 0; t < x.rows(); ++t) y.row(t) = x.row(t).cwiseProduct(p.w.row(0)) + p.w.row(1);
  }
  void backward(const params& p, hg::in<float>, hg::in<float> dy, cache& c, hg::out<float> dx, params& dp) const {
    for (hg::index t = 0; t < dy.rows(); ++t) {
      dx.row(t) = dy.row(t).cwiseProduct(p.w.row(0));
      dp.w.row(0) += dy.row(t).cwiseProduct(c.x.row(t));
      dp.w.row(1) += dy.row(t);
    }
  }
};
static_assert(hg::trainable_expert<one_by_one> && !hg::grouped_expert<one_by_one>);

const hg::linear_expert<float> linear{.model = 9, .outputs = 7};

/// A rank's tokens get what the whole layer gives them as a batch of their own, which is not, somewhere, what it gives them
/// as a part of all ranks' batch.
template <class Layer>
void check_own_batch(const Layer& whole) {
  constexpr hg::index each = 7;
  hg::matrix<float> of_all;
  typename Layer::tape alone;
  const auto x = random_matrix<float>(3 * each, 9, {5});
  whole.forward(x, of_all, alone);
  bool depends_on_batch = false;
  CHECK(on_threads(3, [&](hg::thread_rank& rank) {
          complaints all;
          const auto part = part_of(whole, {6, 3}, rank.rank());
          typename std::remove_cvref_t<decltype(part)>::tape tape;
          typename Layer::tape own;
          const hg::matrix<float> mine = x.middleRows(rank.rank() * each, each);
          const auto dy = random_matrix<float>(each, 7, {6, static_cast<std::uint64_t>(rank.rank())});
          hg::matrix<float> y, dx, expected_y, expected_dx;
          auto grads = part.zero_gradients();
          auto whole_grads = whole.zero_gradients();
          part.forward(rank, mine, y, tape);
          part.backward(rank, mine, dy, tape, dx, grads);
          whole.forward(mine, expected_y, own);
          whole.backward(mine, dy, own, expected_dx, whole_grads);
          all.expect(same_matrix(y, expected_y), "y is another");
          all.expect(same_matrix(dx, expected_dx), "dx is another");
          if (rank.rank() == 0) depends_on_batch = !same_matrix(y, of_all.topRows(each));
          return all.text;
        }) == "");
  CHECK(depends_on_batch);
}

}  // namespace

TEST_CASE("experts of a ragged gate on ranks give the bits of one rank", "[expert_parallel][bits]") {
  check_placements_on_threads(hg::layer{hg::top_p_gate<float>{.head = {.model = 9, .experts = 6}}, linear, 1});
  check_placements_on_threads(hg::layer{hg::adamole_gate<float>{.head = {.model = 9, .experts = 6}}, linear, 2});
}

TEST_CASE("weights on the inputs of experts on ranks give the bits of one rank", "[expert_parallel][bits]") {
  check_placements_on_threads(hg::layer{hg::topk_gate<float>{.head = {.model = 9, .experts = 6}, .select = {.k = 3}},
                                        hg::swiglu_expert<float>{.model = 9, .hidden = 11}, 3,
                                        hg::layer_options{.weight_on = hg::weight_on::input}});
}

TEST_CASE("experts without parameters run where the token is", "[expert_parallel][bits]") {
  check_placements_on_threads(hg::layer{hg::topk_gate<float>{.head = {.model = 9, .experts = 7}, .select = {.k = 4}},
                                        hg::with_free_experts{hg::linear_expert<float>{.model = 9, .outputs = 9}, 2, 1},
                                        3});
}

TEST_CASE("experts that run one by one give the bits of one rank", "[expert_parallel][bits]") {
  check_placements_on_threads(hg::layer{hg::topk_gate<float>{.head = {.model = 9, .experts = 6}, .select = {.k = 2}},
                                        one_by_one{.model = 9}, 3});
}

TEST_CASE("gates that look at the batch look at the rank's own", "[expert_parallel][bits]") {
  check_own_batch(hg::layer{hg::expert_choice_gate<float>{.head = {.model = 9, .experts = 6}}, linear, 3});
  hg::sinkhorn_gate<float> gate{};
  gate.gate.head = {.model = 9, .experts = 6};
  gate.gate.select.k = 1;
  check_own_batch(hg::layer{gate, linear, 3});
}
