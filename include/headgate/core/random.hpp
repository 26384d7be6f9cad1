// SPDX-License-Identifier: BSD-3-Clause
// Random numbers that are the same bits on every platform and in every order of evaluation.
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>

#include <array>
#include <cmath>  // frexp, fma, sqrt: exactly rounded, hence the same everywhere; log and cos are not
#include <cstdint>
#include <random>  // mt19937_64, which the standard fixes bit for bit; its distributions it does not

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// The ten-round Philox block cipher: 128 random bits for each (counter, key).
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return c;
}

constexpr std::uint64_t philox_bits(std::uint64_t seed, std::uint64_t high, std::uint64_t low) {
  const auto top = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const auto bottom = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto block = philox4x32({bottom(low), top(low), bottom(high), top(high)}, {bottom(seed), top(seed)});
  return std::uint64_t{block[1]} << 32 | block[0];
}

/// The odd multiples of 2^-53: inside (0, 1), symmetric about 1/2, and u and 1 - u are both exact.
constexpr double open_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11 | 1) * 0x1p-53; }

/// c[0] + c[1] x + c[2] x^2 + ... Horner in explicit fma, because compilers differ in where they contract a * b + c.
template <std::size_t N>
double polynomial(const double (&c)[N], double x) {
  double sum = c[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) sum = std::fma(sum, x, c[i]);
  return sum;
}

/// log(x) for finite x > 0 to 1 ulp: x = 2^e (1 + f), then the series of fdlibm's e_log.c in s = f / (2 + f).
inline double portable_log(double x) {
  constexpr double series[] = {6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                               2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                               1.479819860511658591e-01};
  constexpr double log2_high = 6.93147180369123816490e-01;  // its product with e is exact
  constexpr double log2_low = 1.90821492927058770002e-10;
  int e = 0;
  const double m = std::frexp(x, &e);  // in [1/2, 1)
  const bool low = m < 0.70710678118654752;
  const double f = (low ? 2 * m : m) - 1, exponent = low ? e - 1 : e;
  const double s = f / (2 + f), z = s * s, half = 0.5 * f;
  const double rest = std::fma(s, std::fma(z, polynomial(series, z), half * f), exponent * log2_low);
  return std::fma(exponent, log2_high, f - std::fma(half, f, -rest));
}

// clang-format off
/// Numerators and denominators of AS 241, lowest power first: |u - 1/2| <= 0.425, and the tails up to and beyond e^-25.
inline constexpr double quantile_middle[2][8] = {
  {3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
   45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727},
  {1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
   21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610}};
inline constexpr double quantile_tail[2][8] = {
  {1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
   1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
  {1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
   1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9}};
inline constexpr double quantile_end[2][8] = {
  {6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
   2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
  {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
   7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}};
// clang-format on

/// The z with P(normal < z) = u for 0 < u < 1, to 6e-16 (1 + |z|): Wichura 1988, algorithm AS 241 (PPND16).
inline double normal_quantile(double u) {
  const auto ratio = [](const double(&c)[2][8], double r) { return polynomial(c[0], r) / polynomial(c[1], r); };
  const double q = u - 0.5;
  if (std::abs(q) <= 0.425) return q * ratio(quantile_middle, std::fma(-q, q, 0.180625));
  const double distance = std::sqrt(-portable_log(q < 0 ? u : 1 - u));
  const double z = distance <= 5 ? ratio(quantile_tail, distance - 1.6) : ratio(quantile_end, distance - 5);
  return q < 0 ? -z : z;
}

}  // namespace detail

/// Where the random numbers of one training step come from. The caller owns it and advances it with `next`. A number
/// depends on (seed, step, row, column) and on nothing else: no order, thread or batch changes it.
///
/// Numbers at the same place of the same stream are dependent (normal, uniform and gumbel are one number in three
/// shapes); users who need their own take a `channel` each.
struct random_stream {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  ///< below 2^64 - 1

  /// The stream of the following step.
  [[nodiscard]] constexpr random_stream next() const { return {seed, step + 1}; }
  /// An independent stream of the same step: the noise of a gate, the dropout of expert `id`. Channels nest.
  [[nodiscard]] constexpr random_stream channel(std::uint64_t id) const {
    return {detail::philox_bits(seed, ~std::uint64_t{0}, id), step};  // the step that no stream of numbers uses
  }
};

/// Uniform on the open interval (0, 1). Rows and columns lie in [0, 2^32).
[[nodiscard]] constexpr double uniform(const random_stream& stream, index row, index column) {
  const auto place = static_cast<std::uint64_t>(row) << 32 | static_cast<std::uint64_t>(column);
  return detail::open_unit(detail::philox_bits(stream.seed, stream.step, place));
}

namespace detail {
/// floor(u below) of a number of open_unit, at most below - 1: the largest u is 1 - 2^-53, and of below - below 2^-53 the
/// nearest double is less than below, as for 2^k <= below <= 2^53 what is taken off is at least half of the step 2^(k - 52)
/// between doubles there, and more than half unless below is 2^k, where doubles are twice as dense underneath.
constexpr index index_below(double u, index below) { return static_cast<index>(u * static_cast<double>(below)); }
}  // namespace detail

/// One of 0, 1 ... below - 1, each with probability 1 / below to 2^-52, for `below` from 1 to 2^53.
[[nodiscard]] constexpr index uniform_index(const random_stream& stream, index row, index column, index below) {
  return detail::index_below(uniform(stream, row, column), below);
}

/// Standard normal, |value| < 8.3.
[[nodiscard]] inline double normal(const random_stream& stream, index row, index column) {
  return detail::normal_quantile(uniform(stream, row, column));
}

/// Standard Gumbel, -log(-log u).
[[nodiscard]] inline double gumbel(const random_stream& stream, index row, index column) {
  return -detail::portable_log(-detail::portable_log(uniform(stream, row, column)));
}

/// (rows x cols) of normal numbers with standard deviation `scale`, drawn row by row, one call of the generator each.
template <class T>
[[nodiscard]] matrix<T> randn(index rows, index cols, std::mt19937_64& generator, T scale = T{1}) {
  matrix<T> m(rows, cols);
  for (index i = 0; i < m.size(); ++i)
    m.data()[i] = static_cast<T>(detail::normal_quantile(detail::open_unit(generator())) * static_cast<double>(scale));
  return m;
}

/// (rows x cols) of uniform numbers in [-bound, bound], drawn likewise.
template <class T>
[[nodiscard]] matrix<T> random_uniform(index rows, index cols, std::mt19937_64& generator, T bound) {
  matrix<T> m(rows, cols);
  for (index i = 0; i < m.size(); ++i)
    m.data()[i] = static_cast<T>((2 * detail::open_unit(generator()) - 1) * static_cast<double>(bound));
  return m;
}

namespace detail {
using headgate::randn;  // its older name in users' experts
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
