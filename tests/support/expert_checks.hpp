// SPDX-License-Identifier: BSD-3-Clause
// Checks that every expert must pass: gradients, and the same bits alone and among others.
#pragma once

#include "support/layer_checks.hpp"

#include <headgate/experts/expert_bank.hpp>
#include <headgate/parallel/sequential.hpp>

#include <span>
#include <utility>
#include <vector>

namespace headgate_test {

/// Some experts with disturbed parameters and a ragged batch for them; the second expert has no row.
template <class Expert>
struct bank {
  using T = typename Expert::scalar;

  bank(Expert policy, std::uint64_t seed = 1) : expert(std::move(policy)) {
    std::mt19937_64 generator(seed);
    for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
      params.push_back(expert.init(generator));
      hg::field_path path;
      disturb_all disturb{{100 * seed + e}};
      hg::for_each_field<Expert, hg::fields_of::storage>(path, disturb, params.back());
    }
    x = random_matrix<T>(6, hg::model_of(expert), {seed + 7});
    dy = random_matrix<T>(slots(), hg::outputs_of(expert), {seed + 8});
  }

  [[nodiscard]] hg::index slots() const { return offsets.back(); }
  [[nodiscard]] hg::row_groups groups() const {
    return {static_cast<hg::index>(offsets.size()) - 1, offsets.data(), rows.data()};
  }

  /// Output of every slot.
  template <class Executor = hg::sequential>
  hg::matrix<T> forward(const Executor& executor = {}) {
    hg::matrix<T> y(slots(), hg::outputs_of(expert));
    hg::forward_experts(expert, std::span<const typename Expert::params>(params), groups(), hg::in<T>(x),
                        hg::view_of(y), cache, hg::pass<T, Executor>{executor, memory, training, {5, 3}});
    return y;
  }
  /// Gradient of <dy, y> with respect to the rows that the slots read; adds that of the parameters to `dp`.
  template <class Executor = hg::sequential>
  hg::matrix<T> backward(std::vector<typename Expert::params>& dp, const Executor& executor = {}) {
    hg::matrix<T> dx(slots(), hg::model_of(expert));
    hg::matrix<T> upstream = dy;
    hg::backward_experts(expert, std::span<const typename Expert::params>(params), groups(), hg::in<T>(x),
                         hg::view_of(upstream), cache, hg::view_of(dx), std::span<typename Expert::params>(dp),
                         hg::pass<T, Executor>{executor, memory, training, {5, 3}});
    return dx;
  }
  [[nodiscard]] std::vector<typename Expert::params> zero_gradients() const {
    auto dp = params;
    for (auto& one : dp) {
      hg::field_path path;
      auto zero = [](std::string_view, auto& d) { d.setZero(); };
      hg::for_each_field<Expert, hg::fields_of::storage>(path, zero, one);
    }
    return dp;
  }

  Expert expert;
  std::vector<typename Expert::params> params;
  std::vector<hg::index> offsets{0, 4, 4, 9};
  std::vector<hg::index> rows{5, 0, 3, 1, 2, 3, 0, 4, 4};
  hg::matrix<T> x, dy;
  hg::expert_bank_cache<Expert> cache;
  hg::scratch<T> memory;
  bool training = true;
};

/// Gradients of input and parameters of several experts at once against central differences, in double.
template <class Expert>
void check_expert_gradients(const Expert& expert) {
  bank<Expert> b(expert);
  auto dp = b.zero_gradients();
  b.forward();
  const hg::matrix<double> dx_slots = b.backward(dp);
  hg::matrix<double> dx = hg::matrix<double>::Zero(b.x.rows(), b.x.cols());
  for (hg::index s = 0; s < b.slots(); ++s) dx.row(b.rows[static_cast<std::size_t>(s)]) += dx_slots.row(s);

  const auto loss = [&] { return b.forward().cwiseProduct(b.dy).sum(); };
  CHECK(hg::testing::gradient_check(loss, {{"x", b.x, dx}}, strict()));
  for (std::size_t e = 0; e < b.params.size(); ++e) {
    hg::field_path path;
    const auto guard = path.enter(static_cast<hg::index>(e));
    auto f = [&](std::string_view name, auto& w, const auto& dw) {
      CHECK(hg::testing::gradient_check(loss, {{name, w, dw}}, strict()));
      if (e == 1) CHECK(dw.isZero(0));  // the expert without a row
    };
    hg::for_each_field<Expert, hg::fields_of::training>(path, f, b.params[e], dp[e]);
  }
}

/// One expert alone on its rows gives the bits that it gives among others, forward and backward.
template <class Expert>
void check_block_equals_grouped(const Expert& expert) {
  using T = typename Expert::scalar;
  bank<Expert> b(expert);
  b.training = false;
  auto dp = b.zero_gradients();
  const hg::matrix<T> y = b.forward();
  const hg::matrix<T> dx = b.backward(dp);
  auto block_dp = b.zero_gradients();
  for (std::size_t e = 0; e < b.params.size(); ++e) {
    const hg::index first = b.offsets[e], count = b.offsets[e + 1] - first;
    hg::matrix<T> x(count, b.x.cols()), block_y(count, y.cols()), block_dx(count, dx.cols());
    for (hg::index i = 0; i < count; ++i) x.row(i) = b.x.row(b.rows[static_cast<std::size_t>(first + i)]);
    typename Expert::cache cache;
    expert.forward(b.params[e], x, block_y, cache);
    expert.backward(b.params[e], x, b.dy.middleRows(first, count), cache, block_dx, block_dp[e]);
    CHECK(same_matrix(block_y, y.middleRows(first, count)));
    CHECK(same_matrix(block_dx, dx.middleRows(first, count)));
    hg::field_path path;
    auto f = [](std::string_view name, const auto& grouped, const auto& block) {
      INFO(std::string(name));
      CHECK(same_matrix(grouped, block));
    };
    hg::for_each_field<Expert, hg::fields_of::storage>(path, f, dp[e], block_dp[e]);
  }
}

}  // namespace headgate_test
