// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/combined_product.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

namespace {

// x (2 x 2) times w (1 x 2) transposed is (1 3)', times v (1 x 2) transposed (20 40)'; as worked out by hand.
struct worked_example {
  double x_memory[4] = {1, 2, 3, 4};
  double w_memory[2] = {1, 0};
  double v_memory[2] = {0, 10};
  hg::view<const double> x{x_memory, 2, 2};
  hg::view<const double> w{w_memory, 1, 2};
  hg::view<const double> v{v_memory, 1, 2};
};

}  // namespace

TEST_CASE("the plain combined_product adds weighted rows of products to the rows that they name",
          "[reference][combined_product]") {
  const worked_example e;
  guarded<double> y(4, 1, 1, 2);
  y.fill([] { return 77.0; });
  const hg::index x_rows[] = {1, 0, 1}, rows[] = {2, 0, 2};
  const double weights[] = {10, 100, 1000}, ones[] = {1, 1}, bias[] = {5};
  const ref::combined_term<double> terms[] = {{3, e.x, x_rows, e.w, nullptr, rows, weights},
                                              {2, e.x, nullptr, e.v, bias, nullptr, ones}};
  ref::combined_product<double>(terms, y.view());
  CHECK(y(0, 0) == 100 * 1 + 25);
  CHECK(y(1, 0) == 45);
  CHECK(y(2, 0) == 10 * 3 + 1000 * 3);
  CHECK(y(3, 0) == 0);  // of no term
  CHECK(y.guards_are_intact());
}

TEST_CASE("a plain term without weights is written, and the others are added to it", "[reference][combined_product]") {
  const worked_example e;
  guarded<double> y(2, 1);
  y.fill([] { return 77.0; });
  const hg::index second[] = {1};
  const double weight[] = {2};
  const ref::combined_term<double> terms[] = {{2, e.x, nullptr, e.v, nullptr, nullptr, nullptr},
                                              {1, e.x, nullptr, e.w, nullptr, second, weight}};
  ref::combined_product<double>(terms, y.view());
  CHECK(y(0, 0) == 20);
  CHECK(y(1, 0) == 40 + 2 * 1);
  ref::combined_product<double>({}, y.view());
  CHECK((y(0, 0) == 0 && y(1, 0) == 0));
}
