// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/testing/check_expert.hpp>

#include <headgate/experts/linear.hpp>

#include "support/catch.hpp"

namespace hg = headgate;
using headgate_test::contains;
using hg::testing::check_expert;

namespace {

/// What a wrong expert does.
enum class fault {
  none,
  init_differs,
  skips_an_element,
  adds_to_y,
  looks_at_neighbours,
  writes_outside_y,
  writes_outside_dx,
  keeps_the_first_batch,
  counts_calls,
  gives_nan,
  adds_to_dx,
  overwrites_dp,
  forgets_a_factor
};

/// y = x * w, elementwise, and what can go wrong with it.
template <fault Fault>
struct scaling_expert {
  using scalar = double;
  struct params {
    hg::matrix<double> w;
  };
  struct cache {
    double first = 0;
    int calls = 0;
  };
  static constexpr auto fields = std::tuple{hg::field{"w", &params::w}};
  hg::index model;

  params init(std::mt19937_64& generator) const {
    static int calls = 0;
    params p{hg::randn<double>(1, model, generator)};
    if (Fault == fault::init_differs) p.w(0, 0) += ++calls;
    return p;
  }
  void forward(const params& p, hg::in<double> x, hg::out<double> y, cache& c) const {
    ++c.calls;
    if (Fault == fault::writes_outside_y && y.size() > 0) y.data()[y.cols()] = 1;  // between two rows of a block
    if (c.first == 0 && x.size() > 0) c.first = x(0, 0);
    for (hg::index t = 0; t < x.rows(); ++t)
      for (hg::index i = 0; i < x.cols(); ++i) {
        if (Fault == fault::skips_an_element && i == 1) continue;
        if (Fault == fault::adds_to_y)
          y(t, i) += x(t, i) * p.w(0, i);
        else
          y(t, i) = x(t, i) * p.w(0, i);
        if (Fault == fault::looks_at_neighbours) y(t, i) += 1e-15 * x(0, i);
        if (Fault == fault::keeps_the_first_batch) y(t, i) += c.first;
        if (Fault == fault::counts_calls) y(t, i) += c.calls;
        if (Fault == fault::gives_nan) y(t, i) = std::numeric_limits<double>::quiet_NaN();
      }
  }
  void backward(const params& p, hg::in<double> x, hg::in<double> dy, cache&, hg::out<double> dx, params& dp) const {
    if (Fault == fault::writes_outside_dx) dx.data()[dx.cols()] = 1;
    if (Fault != fault::adds_to_dx) dx.setZero();
    if (Fault == fault::overwrites_dp) dp.w.setZero();
    for (hg::index t = 0; t < x.rows(); ++t)
      for (hg::index i = 0; i < x.cols(); ++i) {
        dx(t, i) += dy(t, i) * p.w(0, i) * (Fault == fault::forgets_a_factor ? 1.00001 : 1.0);
        dp.w(0, i) += dy(t, i) * x(t, i);
      }
  }
};

template <fault Fault>
std::string complaint() {
  return check_expert(scaling_expert<Fault>{5}).text();
}

/// The expert of docs/writing-an-expert.md, made of Eigen products.
struct relu2_expert {
  using scalar = double;
  struct params {
    hg::matrix<double> up, down;
  };
  struct cache {
    hg::matrix<double> pre;
  };
  static constexpr auto fields = std::tuple{hg::field{"up", &params::up}, hg::field{"down", &params::down}};
  hg::index model, hidden;

  params init(std::mt19937_64& g) const {
    return {hg::randn<double>(hidden, model, g, 0.3), hg::randn<double>(model, hidden, g, 0.3)};
  }
  void forward(const params& p, hg::in<double> x, hg::out<double> y, cache& c) const {
    c.pre.noalias() = x * p.up.transpose();
    y.noalias() = c.pre.cwiseMax(0.0).cwiseAbs2() * p.down.transpose();
  }
};

}  // namespace

TEST_CASE("check_expert finds nothing wrong with a correct expert", "[testing][check_expert]") {
  CHECK(check_expert(scaling_expert<fault::none>{5}));
  CHECK(check_expert(hg::linear_expert<double>{.model = 5, .outputs = 3}));
  CHECK(check_expert(hg::linear_expert<float>{.model = 5, .outputs = 3}));
}

TEST_CASE("check_expert takes an expert without a backward, and one made of Eigen products with a tolerance",
          "[testing][check_expert]") {
  CHECK(check_expert(relu2_expert{6, 4}, {.row_tolerance = 1e-12}));
}

TEST_CASE("check_expert sees parameters that the seed does not decide", "[testing][check_expert]") {
  CHECK_THAT(complaint<fault::init_differs>(), contains("init gives other parameters"));
}

TEST_CASE("check_expert sees a forward that does not write all of y or adds to it", "[testing][check_expert]") {
  CHECK_THAT(complaint<fault::skips_an_element>(), contains("forward does not overwrite y"));
  CHECK_THAT(complaint<fault::adds_to_y>(), contains("forward does not overwrite y"));
  CHECK_THAT(complaint<fault::gives_nan>(), contains("not finite"));
}

TEST_CASE("check_expert sees what is written beside the rows of a block", "[testing][check_expert]") {
  CHECK_THAT(complaint<fault::writes_outside_y>(), contains("forward writes outside y"));
  CHECK_THAT(complaint<fault::writes_outside_dx>(), contains("backward writes outside dx"));
}

TEST_CASE("check_expert sees a row that depends on its batch or on a cache's past", "[testing][check_expert]") {
  CHECK_THAT(complaint<fault::looks_at_neighbours>(), contains("row 1 alone is not what it is in a batch of 7"));
  CHECK(check_expert(scaling_expert<fault::looks_at_neighbours>{5}, {.row_tolerance = 1e-12}));
  CHECK_THAT(complaint<fault::keeps_the_first_batch>(), contains("row 1 alone is not what it is in a batch of 7"));
  CHECK_THAT(complaint<fault::counts_calls>(), contains("row 0 is not the same with a cache that held another batch"));
}

TEST_CASE("check_expert sees a backward that adds to dx, overwrites dp or is wrong", "[testing][check_expert]") {
  CHECK_THAT(complaint<fault::adds_to_dx>(), contains("backward does not overwrite dx"));
  CHECK_THAT(complaint<fault::overwrites_dp>(), contains("backward does not add to dp"));
  CHECK_THAT(complaint<fault::forgets_a_factor>(), contains("gradient of x at"));
}
