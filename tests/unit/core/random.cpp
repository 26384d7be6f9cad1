// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/random.hpp>

#include "support/catch.hpp"

#include <bit>
#include <cmath>
#include <set>
#include <vector>

namespace hg = headgate;

namespace {

/// FNV-1a over the bits of doubles: many recorded values in one number.
struct fingerprint {
  std::uint64_t value = 0xcbf29ce484222325;
  void add(double x) {
    value ^= std::bit_cast<std::uint64_t>(x);
    value *= 0x100000001b3;
  }
};

/// Chi-square of where a hundred thousand draws fall. A function, because g++ runs a lambda with constant arguments while it
/// compiles: that took half a minute.
template <class Place>
double chi_square(Place place) {
  constexpr int cells = 100, draws = 100000;
  double count[cells] = {};
  for (int i = 0; i < draws; ++i) ++count[static_cast<int>(place(i) * cells)];
  double sum = 0;
  for (const double n : count) sum += (n - draws / cells) * (n - draws / cells) / (draws / cells);
  return sum;
}

}  // namespace

TEST_CASE("Philox gives the known answers of Random123", "[core][random]") {
  using block = std::array<std::uint32_t, 4>;
  CHECK(hg::detail::philox4x32({0, 0, 0, 0}, {0, 0}) == block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t ones = 0xffffffff;
  CHECK(hg::detail::philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
        block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(hg::detail::philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

// The uniforms are those of a Philox written separately in Python; the others agree with 40 digits of theirs to 2 ulp.
TEST_CASE("the numbers of a stream are these bits on every platform", "[core][random]") {
  struct recorded {
    hg::random_stream stream;
    hg::index row, column;
    double uniform, normal, gumbel;
  };
  const recorded values[] = {
      {{42, 0}, 0, 0, 0x1.dfd524ee73abep-2, -0x1.42dc65ce0ff8p-4, 0x1.1baccb941f9e2p-2},
      {{42, 0}, 0, 1, 0x1.4ee9b3f7f36cap-2, -0x1.caca1d20ed483p-2, -0x1.c76999acfd28ep-4},
      {{42, 0}, 1, 0, 0x1.f6fd77a10b82ep-2, -0x1.69616c113e1c5p-6, 0x1.5d6936ba06636p-2},
      {{42, 1}, 0, 0, 0x1.028f48981499cp-3, -0x1.24f0c571f777ap+0, -0x1.74611a9228d45p-1},
      {{43, 0}, 0, 0, 0x1.23be0ddc7deeap-2, -0x1.22fc7267281cdp-1, -0x1.d2274bd8737b5p-3},
      {{0x0123456789abcdef, 7}, 123456, 789, 0x1.4564e9a310a63p-1, 0x1.62de2ac04cc7bp-2, 0x1.951bfd66c677ap-1},
  };
  for (const auto& v : values) {
    CHECK(hg::uniform(v.stream, v.row, v.column) == v.uniform);
    CHECK(hg::normal(v.stream, v.row, v.column) == v.normal);
    CHECK(hg::gumbel(v.stream, v.row, v.column) == v.gumbel);
  }
  CHECK(hg::uniform(hg::random_stream{42, 5}.channel(3), 1, 2) == 0x1.41e3cd6c7ddb7p-1);

  fingerprint all;
  for (hg::index row = 0; row < 100000; ++row) {
    all.add(hg::normal({9, 1}, row, 1));
    all.add(hg::gumbel({9, 1}, row, 2));
  }
  CHECK(all.value == 0x52add7d810805d10);
}

TEST_CASE("filled matrices are these bits on every platform", "[core][random]") {
  std::mt19937_64 generator(2024);
  const hg::matrix<double> m = hg::randn<double>(2, 3, generator, 0.5);
  const double normals[] = {0x1.2531ccbe9e756p-3,  0x1.a55274d1b18eep-2,  -0x1.4083343aa4ba5p-2,
                            -0x1.b65a11a586a9ep-3, -0x1.401cc140e4c1ap+0, -0x1.145306e0cc00dp-1};
  for (hg::index i = 0; i < 6; ++i) CHECK(m(i / 3, i % 3) == normals[i]);
  const hg::matrix<float> u = hg::random_uniform<float>(1, 4, generator, 2);
  const double uniforms[] = {0x1.beecf2p+0, 0x1.11b1bp-2, -0x1.10ee7ep+0, 0x1.186a74p-3};
  for (hg::index i = 0; i < 4; ++i) CHECK(static_cast<double>(u(0, i)) == uniforms[i]);

  fingerprint all;
  const hg::matrix<float> large = hg::randn<float>(1000, 100, generator);
  for (hg::index i = 0; i < large.size(); ++i) all.add(static_cast<double>(large.data()[i]));
  CHECK(all.value == 0x69f23ff7ff3e37a5);
}

TEST_CASE("a number depends on seed, step, row, column and channel, and on nothing else", "[core][random]") {
  const hg::random_stream stream{7, 3};
  const double there = hg::uniform(stream, 5, 9);
  for (hg::index row = 20; row-- > 0;)
    for (hg::index column = 20; column-- > 0;) static_cast<void>(hg::uniform(stream, row, column));
  CHECK(hg::uniform(stream, 5, 9) == there);

  std::set<double> different;
  for (std::uint64_t seed = 0; seed < 3; ++seed)
    for (std::uint64_t step = 0; step < 3; ++step)
      for (hg::index row = 0; row < 3; ++row)
        for (hg::index column = 0; column < 3; ++column) {
          const hg::random_stream s{seed, step};
          different.insert(hg::uniform(s, row, column));
          for (std::uint64_t id = 0; id < 3; ++id) {
            different.insert(hg::uniform(s.channel(id), row, column));
            different.insert(hg::uniform(s.channel(id).channel(id), row, column));
          }
        }
  CHECK(different.size() == 81 * 7);
}

TEST_CASE("next advances the step, of a channel too", "[core][random]") {
  STATIC_REQUIRE(hg::random_stream{4, 8}.next().seed == 4);
  STATIC_REQUIRE(hg::random_stream{4, 8}.next().step == 9);
  const hg::random_stream stream{4, 8};
  CHECK(stream.next().channel(2).seed == stream.channel(2).next().seed);
  CHECK(stream.next().channel(2).step == stream.channel(2).next().step);
}

TEST_CASE("uniform numbers are uniform in every direction", "[core][random]") {
  // 99 degrees of freedom: the middle 99.99 % of chi-square lie between 53 and 161.
  const double sums[] = {
      chi_square([](int i) {
        return hg::uniform({1, 0}, i, 0);
      }),
      chi_square([](int i) {
        return hg::uniform({1, 0}, 0, i);
      }),
      chi_square([](int i) {
        return hg::uniform({1, static_cast<std::uint64_t>(i)}, 0, 0);
      }),
      chi_square([](int i) {
        return hg::uniform({static_cast<std::uint64_t>(i), 0}, 0, 0);
      }),
      chi_square([](int i) {
        return hg::uniform(hg::random_stream{1, 0}.channel(static_cast<std::uint64_t>(i)), 0, 0);
      }),
  };
  for (const double sum : sums) {
    CHECK(sum > 53);
    CHECK(sum < 161);
  }
}

TEST_CASE("uniform numbers exclude 0 and 1", "[core][random]") {
  STATIC_REQUIRE(hg::detail::open_unit(0) == 0x1p-53);
  STATIC_REQUIRE(hg::detail::open_unit(~std::uint64_t{0}) == 1 - 0x1p-53);
}

TEST_CASE("uniform_index gives every number below the bound and none at it", "[core][random]") {
  const hg::random_stream stream{31, 4};
  for (const hg::index below : {1, 2, 3, 7, 10}) {
    std::vector<int> seen(static_cast<std::size_t>(below));
    constexpr int draws = 20000;
    for (hg::index i = 0; i < draws; ++i) {
      const hg::index number = hg::uniform_index(stream, below, i, below);
      REQUIRE(number >= 0);
      REQUIRE(number < below);
      REQUIRE(number == static_cast<hg::index>(std::floor(hg::uniform(stream, below, i) * static_cast<double>(below))));
      ++seen[static_cast<std::size_t>(number)];
    }
    const double expected = draws / static_cast<double>(below);
    for (const int count : seen) CHECK(std::abs(count - expected) < 5 * std::sqrt(expected) + 1e-9);
  }
  // The largest and the smallest number that there is, with bounds around every power of two and in between.
  constexpr double largest = hg::detail::open_unit(~std::uint64_t{0}), smallest = hg::detail::open_unit(0);
  constexpr hg::index last = hg::index{1} << 53;
  for (int power = 0; power <= 53; ++power)
    for (const hg::index off : {-3, -2, -1, 0, 1, 2, 3})
      for (const hg::index scale : {4, 5, 6, 7}) {
        const hg::index below = (hg::index{1} << power) / 4 * scale + off;
        if (below < 1 || below > last) continue;
        CHECK(hg::detail::index_below(largest, below) == below - 1);
        if (below < last) CHECK(hg::detail::index_below(smallest, below) == 0);
      }
}

TEST_CASE("normal and Gumbel numbers have their moments", "[core][random]") {
  const int draws = 200000;
  double normal[4] = {}, gumbel[2] = {};
  for (int i = 0; i < draws; ++i) {
    const double z = hg::normal({11, 2}, i, 4), g = hg::gumbel({11, 2}, i, 5);
    normal[0] += z;
    normal[1] += z * z;
    normal[2] += z * z * z;
    normal[3] += z * z * z * z;
    gumbel[0] += g;
    gumbel[1] += g * g;
  }
  for (double& moment : normal) moment /= draws;
  for (double& moment : gumbel) moment /= draws;
  // each within four standard errors
  const double error = 4 / std::sqrt(static_cast<double>(draws));
  CHECK(std::abs(normal[0]) < error);
  CHECK(std::abs(normal[1] - 1) < error * std::sqrt(2.0));
  CHECK(std::abs(normal[2]) < error * std::sqrt(15.0));
  CHECK(std::abs(normal[3] - 3) < error * std::sqrt(96.0));
  const double variance = 3.14159265358979323846 * 3.14159265358979323846 / 6;
  CHECK(std::abs(gumbel[0] - 0.57721566490153286) < error * std::sqrt(variance));
  CHECK(std::abs(gumbel[1] - gumbel[0] * gumbel[0] - variance) < error * std::sqrt(4.4) * variance);
}

TEST_CASE("portable_log is within 1 ulp of the logarithm", "[core][random]") {
  const auto check = [](double x) {
    const double found = hg::detail::portable_log(x);
    const long double exact = std::log(static_cast<long double>(x));
    const double ulp = std::nextafter(std::abs(found), INFINITY) - std::abs(found);
    if (!(std::abs(static_cast<double>(static_cast<long double>(found) - exact)) <= ulp))
      FAIL_CHECK("log(" << x << ")");
  };
  for (int i = 0; i < 50000; ++i) {
    const double u = hg::uniform({3, 0}, i, 0);
    for (const double x : {u, 1 + u, 50 * u, u * 0x1p-52, 1 - u * 0x1p-20, 1 + u * 0x1p-20}) check(x);
  }
  for (const double x : {0x1p-53, 1 - 0x1p-53, 0x1p-1022, 0x1p-1074, 1.7e308, 0.70710678118654752, 0.70710678118654757})
    check(x);
  CHECK(hg::detail::portable_log(1.0) == 0.0);
}

TEST_CASE("normal_quantile inverts the distribution function", "[core][random]") {
  const auto check = [](double u) {
    const double z = hg::detail::normal_quantile(u);
    const long double wide = static_cast<long double>(z);
    const long double probability = std::erfc(-wide / std::sqrt(2.0L)) / 2;
    const long double density = std::exp(-wide * wide / 2) / std::sqrt(2 * 3.14159265358979323846264338328L);
    const double error = std::abs(static_cast<double>((probability - static_cast<long double>(u)) / density));
    if (!(error <= 6e-16 * (1 + std::abs(z)))) FAIL_CHECK("u = " << u << ", error " << error);
  };
  for (int i = 0; i < 20000; ++i) {
    const double u = hg::uniform({3, 1}, i, 0);
    for (const double x : {u, u * 0x1p-10, u * 0x1p-30, u * 0x1p-53}) check(x);
    CHECK(hg::detail::normal_quantile(1 - u) == -hg::detail::normal_quantile(u));
  }
  for (const double u : {0x1p-53, 0.075, 0.925, 0.5 + 0x1p-53, std::exp(-25.0)}) check(u);
  CHECK(hg::detail::normal_quantile(0.5) == 0.0);
  CHECK(hg::detail::normal_quantile(1 - 0x1p-53) < 8.3);
}

TEST_CASE("detail::randn is randn, under the name by which policies written against detail find it", "[core][random]") {
  std::mt19937_64 one(5), other(5);
  CHECK(hg::detail::randn<float>(3, 4, one, 0.1F) == hg::randn<float>(3, 4, other, 0.1F));
}

TEST_CASE("randn and random_uniform have the asked scale and one draw an element", "[core][random]") {
  std::mt19937_64 generator(1), counter(1);
  const hg::matrix<double> m = hg::randn<double>(100, 100, generator, 3.0);
  CHECK(m.squaredNorm() / 1e4 == Approx(9).epsilon(0.05));
  const hg::matrix<double> u = hg::random_uniform<double>(100, 100, generator, 0.25);
  CHECK(u.maxCoeff() <= 0.25);
  CHECK(u.maxCoeff() > 0.249);
  CHECK(u.minCoeff() >= -0.25);
  CHECK(u.minCoeff() < -0.249);
  counter.discard(20000);
  CHECK(generator == counter);
  CHECK(hg::randn<float>(0, 5, generator).size() == 0);
}
