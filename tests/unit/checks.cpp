// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/checks.hpp>

#include "support/catch.hpp"

#include <limits>

namespace hg = headgate;
using headgate_test::contains;

TEST_CASE("check_input accepts finite rows of the right width, none included", "[checks]") {
  const hg::matrix<float> x = hg::matrix<float>::Random(3, 4);
  CHECK_NOTHROW(hg::check_input<float>(x, 4, "f"));
  CHECK_NOTHROW(hg::check_input<float>(hg::matrix<float>(0, 4), 4, "f"));
}

TEST_CASE("check_input names both widths, and the place of what is not finite", "[checks]") {
  hg::matrix<float> x = hg::matrix<float>::Random(3, 4);
  CHECK_THROWS_WITH(hg::check_input<float>(x, 5, "f"), "f: x has 4 columns, the layer was built for model = 5");
  x(2, 1) = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(hg::check_input<float>(x, 4, "f"), contains("x holds inf at row 2, column 1"));
}

TEST_CASE("check_batch tells an empty tape, another x and another dy apart", "[checks]") {
  const hg::matrix<float> x(3, 4);
  const hg::matrix<float> dy(3, 2);
  CHECK_NOTHROW(hg::check_batch<float>(x, dy, 3, 4, 2, "f"));
  CHECK_THROWS_WITH(hg::check_batch<float>(x, dy, -1, 4, 2, "f"), contains("the tape holds no forward pass"));
  CHECK_THROWS_WITH(hg::check_batch<float>(x, dy, 5, 4, 2, "f"), "f: x is 3 x 4, the tape was recorded with 5 x 4");
  CHECK_THROWS_WITH(hg::check_batch<float>(x, dy, 3, 4, 1, "f"), "f: dy is 3 x 2, it must be 3 x 1");
}

TEST_CASE("check_gradient names the parameter and both shapes", "[checks]") {
  const hg::matrix<float> w(2, 3);
  CHECK_NOTHROW(hg::check_gradient("up", w, hg::matrix<float>(2, 3), "f"));
  CHECK_THROWS_WITH(hg::check_gradient("up", w, hg::matrix<float>(3, 2), "f"),
                    contains("the gradient of up is 3 x 2, the parameter is 2 x 3"));
}

TEST_CASE("a shape key depends on shapes and their order, not on values", "[checks]") {
  const auto key = [](const auto&... w) {
    hg::shape_key k;
    (k("", w), ...);
    return k;
  };
  const hg::matrix<float> a = hg::matrix<float>::Random(2, 3);
  const hg::matrix<float> b = hg::matrix<float>::Zero(2, 3);
  const hg::matrix<float> c(3, 2);
  CHECK(key(a, c) == key(b, c));
  CHECK_FALSE(key(a) == key(c));
  CHECK_FALSE(key(a, c) == key(c, a));
  CHECK_FALSE(key(a) == key(a, hg::matrix<float>(0, 0)));
}
