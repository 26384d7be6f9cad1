// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/cross_entropy.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

namespace {

hg::matrix<double> two_rows() {
  hg::matrix<double> z(2, 3);
  z << 1, 2, 3, .5, -1, .25;
  return z;
}

}  // namespace

TEST_CASE("cross_entropy has the golden value and is a mean over rows", "[losses][cross_entropy]") {
  const std::vector<hg::index> labels = {0, 2};
  CHECK(hg::cross_entropy<double>(two_rows(), labels).value == Approx(1.6758590754231475).epsilon(1e-13));
  CHECK(hg::cross_entropy<double>(hg::matrix<double>::Zero(4, 8).eval(), std::vector<hg::index>(4, 5)).value ==
        Approx(std::log(8.0)).epsilon(1e-14));
}

TEST_CASE("the gradient of cross_entropy agrees with differences and sums to zero", "[losses][cross_entropy]") {
  auto z = two_rows();
  const std::vector<hg::index> labels = {0, 2};
  const auto dz = hg::cross_entropy<double>(z, labels).gradient;
  for (hg::index r = 0; r < 2; ++r) CHECK(dz.row(r).sum() == Approx(0).margin(1e-15));
  for (hg::index i = 0; i < z.size(); ++i) {
    const double there = z.data()[i], step = 1e-5;
    z.data()[i] = there + step;
    const double above = hg::cross_entropy<double>(z, labels).value;
    z.data()[i] = there - step;
    const double below = hg::cross_entropy<double>(z, labels).value;
    z.data()[i] = there;
    CHECK(dz.data()[i] == Approx((above - below) / (2 * step)).epsilon(1e-6));
  }
}

TEST_CASE("large logits do not overflow cross_entropy", "[losses][cross_entropy]") {
  hg::matrix<float> z(2, 2);
  z << 1000, -1000, 1000, -1000;
  const auto [loss, dz] = hg::cross_entropy<float>(z, std::vector<hg::index>{0, 1});
  CHECK(loss == 1000);  // (0 + 2000) / 2
  hg::matrix<float> expected(2, 2);
  expected << 0, 0, .5f, -.5f;
  CHECK(dz == expected);
}

TEST_CASE("cross_entropy does not depend on a constant added to a row", "[losses][cross_entropy]") {
  const std::vector<hg::index> labels = {0, 2};
  hg::matrix<double> shifted = two_rows();
  shifted.array() += 300;
  CHECK(hg::cross_entropy<double>(shifted, labels).value ==
        Approx(hg::cross_entropy<double>(two_rows(), labels).value).epsilon(1e-12));
}

TEST_CASE("cross_entropy keeps the memory of its gradient, which may be the logits", "[losses][cross_entropy]") {
  auto z = two_rows();
  const std::vector<hg::index> labels = {0, 2};
  hg::matrix<double> dz(2, 3);
  const double* memory = dz.data();
  const double loss = hg::cross_entropy<double>(z, labels, dz);
  CHECK(dz.data() == memory);
  CHECK(hg::cross_entropy<double>(z, labels, z) == loss);
  CHECK(z == dz);
}

TEST_CASE("cross_entropy reads blocks whose rows are far apart", "[losses][cross_entropy]") {
  hg::matrix<double> wide = hg::matrix<double>::Constant(2, 7, 50.0);
  wide.middleCols(2, 3) = two_rows();
  CHECK(hg::cross_entropy<double>(wide.middleCols(2, 3), std::vector<hg::index>{0, 2}).value ==
        Approx(1.6758590754231475).epsilon(1e-13));
}

TEST_CASE("cross_entropy of no row is zero", "[losses][cross_entropy]") {
  const auto [loss, dz] = hg::cross_entropy<float>(hg::matrix<float>(0, 5), std::vector<hg::index>{});
  CHECK(loss == 0);
  CHECK(dz.rows() == 0);
  CHECK(dz.cols() == 5);
}

TEST_CASE("cross_entropy refuses labels out of range and too few labels with both numbers", "[losses][cross_entropy]") {
  const auto z = two_rows();
  hg::matrix<double> dz = hg::matrix<double>::Constant(1, 1, 9.0);
  CHECK_THROWS_WITH(hg::cross_entropy<double>(z, std::vector<hg::index>{0, 3}, dz),
                    contains("a label is 3, there are 3 classes"));
  CHECK_THROWS_WITH(hg::cross_entropy<double>(z, std::vector<hg::index>{-1, 0}, dz),
                    contains("a label is -1, there are 3 classes"));
  CHECK_THROWS_WITH(hg::cross_entropy<double>(z, std::vector<hg::index>{0}, dz),
                    contains("there are 1 labels for 2 rows of logits"));
  CHECK(dz(0, 0) == 9);
}

TEST_CASE("cross_entropy refuses a gradient that overlaps the logits without being them", "[losses][cross_entropy]") {
  hg::matrix<double> wide = hg::matrix<double>::Ones(2, 5);
  const std::vector<hg::index> labels = {0, 2};
  CHECK_THROWS_WITH(hg::cross_entropy<double>(wide.leftCols(3), labels, wide), contains("logits and dz share memory"));
  CHECK(wide == hg::matrix<double>::Ones(2, 5));
}
