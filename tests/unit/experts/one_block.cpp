// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/experts/one_block.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

TEST_CASE("a grouped expert runs on one block of rows, and on none", "[experts][one_block]") {
  const hg::linear_expert<double> expert{.model = 5, .outputs = 3};
  std::mt19937_64 generator(1);
  const auto p = expert.init(generator);
  for (const hg::index rows : {0, 1, 17}) {
    const auto x = random_matrix<double>(rows, 5, {2}), dy = random_matrix<double>(rows, 3, {3});
    hg::matrix<double> y(rows, 3), dx(rows, 5);
    hg::linear_expert<double>::cache cache;
    hg::linear_expert<double>::params dp{random_matrix<double>(3, 5, {4}), {}};
    const hg::matrix<double> before = dp.weight;
    hg::forward_block(expert, p, hg::in<double>(x), hg::out<double>(y), cache);
    hg::backward_block(expert, p, hg::in<double>(x), hg::in<double>(dy), cache, hg::out<double>(dx), dp);
    CHECK((y - x * p.weight.transpose()).norm() < 1e-13);
    CHECK((dx - dy * p.weight).norm() < 1e-13);
    CHECK((dp.weight - before - dy.transpose() * x).norm() < 1e-13);  // added
  }
}
