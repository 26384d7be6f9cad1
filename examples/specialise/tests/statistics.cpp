// SPDX-License-Identifier: BSD-3-Clause
#include "statistics.hpp"

#include <support/catch.hpp>

#include <array>
#include <cmath>
#include <utility>
#include <vector>

using namespace specialise;

TEST_CASE("the incomplete beta function has its closed forms", "[specialise][statistics]") {
  for (const double x : {0.0, 0.01, 0.2, 0.5, 0.77, 0.999, 1.0}) {
    CHECK(incomplete_beta(1, 1, x) == Approx(x).margin(1e-15));
    CHECK(incomplete_beta(3, 1, x) == Approx(x * x * x).margin(1e-15));
    CHECK(incomplete_beta(1, 4, x) == Approx(1 - std::pow(1 - x, 4)).margin(1e-14));
    CHECK(incomplete_beta(0.5, 0.5, x) == Approx(2 / 3.14159265358979323846 * std::asin(std::sqrt(x))).margin(1e-13));
    CHECK(incomplete_beta(2.5, 7, x) == Approx(1 - incomplete_beta(7, 2.5, 1 - x)).margin(1e-13));
  }
}

TEST_CASE("Student's quantiles are those of the tables", "[specialise][statistics]") {
  constexpr std::array<std::pair<double, double>, 9> table{{{1, 12.7062047362},
                                                            {2, 4.3026527297},
                                                            {3, 3.1824463053},
                                                            {4, 2.7764451052},
                                                            {5, 2.5705818356},
                                                            {9, 2.2621571628},
                                                            {30, 2.0422724563},
                                                            {120, 1.9799304051},
                                                            {1e6, 1.9599663573}}};
  for (const auto& [degrees, t] : table) {
    CHECK(student_t_95(degrees) == Approx(t).epsilon(1e-8));
    CHECK(two_sided_probability(t, degrees) == Approx(0.05).epsilon(1e-8));
    CHECK(two_sided_probability(-t, degrees) == Approx(0.05).epsilon(1e-8));
  }
  CHECK(two_sided_probability(0, 4) == 1);
  CHECK(two_sided_probability(1, 1) == Approx(0.5));  // Cauchy
}

TEST_CASE("an estimate is mean, deviation and Student's interval", "[specialise][statistics]") {
  const estimate e = estimate_of(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
  CHECK(e.count == 8);
  CHECK(e.mean == 5);
  CHECK(e.deviation == Approx(std::sqrt(32.0 / 7)));
  CHECK(e.half_width == Approx(2.3646242510 * std::sqrt(32.0 / 7) / std::sqrt(8.0)).epsilon(1e-9));
  CHECK(e.differs_from_zero());

  const estimate one = estimate_of(std::vector<double>{3});
  CHECK(one.mean == 3);
  CHECK_FALSE(one.has_interval());
  CHECK_FALSE(one.differs_from_zero());
  CHECK(std::isnan(one.half_width));
  CHECK_THROWS_WITH(estimate_of(std::vector<double>{}), "estimate_of: there are 0 values, at least 1 is needed");
}

TEST_CASE("pairing sees what the spread over seeds hides", "[specialise][statistics]") {
  const std::vector<double> of{1.1, 2.1, 3.1, 4.2};  // against 1, 2, 3 and 4
  const paired_difference d = paired_difference_of(std::vector<double>{0.1, 0.1, 0.1, 0.2});
  CHECK(d.difference.mean == Approx(0.125));
  CHECK(d.difference.deviation == Approx(0.05));
  CHECK(d.difference.half_width == Approx(3.1824463053 * 0.025));
  CHECK(d.probability == Approx(0.0153924).epsilon(1e-4));  // t = 5 with 3 degrees of freedom
  CHECK(verdict(d) == "higher");
  CHECK(verdict(paired_difference_of(std::vector<double>{-0.1, -0.1, -0.1, -0.2})) == "lower");
  CHECK_FALSE(estimate_of(of).half_width < 1);  // which the unpaired interval would be

  CHECK(verdict(paired_difference_of(std::vector<double>{-1, 1, 0})) == "no difference seen");
  CHECK(verdict(paired_difference_of(std::vector<double>{0, 0})) == "no difference seen");
  CHECK(verdict(paired_difference_of(std::vector<double>{-1})) == "one seed");
  CHECK(paired_difference_of(std::vector<double>{0.5, 0.5}).probability == 0);
}
