// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

std::vector<double> frequencies(const std::vector<hg::index>& counts, const std::vector<hg::index>& devices = {}) {
  std::vector<double> f(counts.size(), -1);
  return hg::detail::relative_frequencies<double>(counts, devices, f.data()) ? f : std::vector<double>{};
}

}  // namespace

TEST_CASE("relative frequencies have the mean one, and are exactly one where the counts are equal",
          "[losses][balance]") {
  CHECK(frequencies({2, 1, 1, 0}) == std::vector<double>{2, 1, 1, 0});
  CHECK(frequencies({7, 7, 7}) == std::vector<double>{1, 1, 1});
  CHECK(frequencies({0, 5, 0}) == std::vector<double>{0, 3, 0});
  CHECK(frequencies({0, 0, 0}).empty());
}

TEST_CASE("experts of one device share the mean of their frequencies", "[losses][balance]") {
  CHECK(frequencies({2, 1, 1, 0}, {0, 0, 1, 1}) == std::vector<double>{1.5, 1.5, 0.5, 0.5});
  CHECK(frequencies({2, 1, 1, 0}, {7, -3, 7, -3}) == std::vector<double>{1.5, 0.5, 1.5, 0.5});  // any ids, in any order
  CHECK(frequencies({2, 1, 1, 0}, {0, 1, 1, 1}) == std::vector<double>{2, 2.0 / 3, 2.0 / 3, 2.0 / 3});
  const std::vector<hg::index> odd = {3, 1, 4, 1, 5, 9, 2};
  CHECK(frequencies(odd, {0, 1, 2, 3, 4, 5, 6}) == frequencies(odd));
  CHECK(frequencies(odd, {4, 4, 4, 4, 4, 4, 4}) == std::vector<double>(7, 1.0));
}

TEST_CASE("a balance is the mean over the sequences that have a token, each with its own frequencies",
          "[losses][balance]") {
  const auto r = record_of({{.5, .5}, {.2, .8}, {.9, .1}});
  const std::vector<hg::index> offsets = {0, 2, 2, 3};  // the second sequence has no token
  routing_gradient<double> d;
  d.reset(r);
  const hg::token_mask all("", {}, 3);
  const double value =
      hg::detail::mean_balance(0.5, all, hg::token_sequences("", 0, offsets, 3), r, d, [](hg::index s, double* f) {
        f[0] = s == 0 ? 2 : 10;
        f[1] = 0;
        return true;
      });
  CHECK(value == Approx((2 * .35 + 10 * .9) / 2).epsilon(1e-15));
  CHECK(d.scores(0, 0) == Approx(0.5 * 2 / 4).epsilon(1e-15));
  CHECK(d.scores(2, 0) == Approx(0.5 * 10 / 2).epsilon(1e-15));
  CHECK(d.scores(1, 1) == 0);
}

TEST_CASE("relative frequencies of float are rounded once where counts are beyond its whole numbers",
          "[losses][balance]") {
  std::vector<hg::index> counts(256);
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = 65537 + 977 * static_cast<hg::index>(i);
  double total = 0;
  for (const hg::index count : counts) total += static_cast<double>(count);
  std::vector<float> f(counts.size());
  REQUIRE(hg::detail::relative_frequencies<float>(counts, {}, f.data()));
  for (std::size_t i = 0; i < f.size(); ++i) {
    const double exact = 256 * static_cast<double>(counts[i]) / total;
    CHECK(f[i] == static_cast<float>(exact));
  }
  std::fill(counts.begin(), counts.end(), 16777217);  // no number of float
  REQUIRE(hg::detail::relative_frequencies<float>(counts, {}, f.data()));
  CHECK(f == std::vector<float>(counts.size(), 1.0F));
}
