// SPDX-License-Identifier: BSD-3-Clause
// Whether an expert keeps the promises of `expert_policy` and `trainable_expert` that a compiler cannot see.
#pragma once

#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/testing/gradcheck.hpp>
#include <headgate/testing/report.hpp>

#include <cstring>
#include <span>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace testing {

struct expert_options {
  index rows = 7;
  random_stream random{1};
  /// 0: a row alone has the bits that it has in a batch, which a layer's own promise needs. Products of Eigen sum in an
  /// order that depends on the number of rows; an expert made of them needs 1e-12 or so, and so does its layer.
  double row_tolerance = 0;
  gradient_options gradients{};
};

namespace detail {

/// With tolerance 0 the same bits.
template <class T>
bool same(T a, T b, double tolerance) {
  if (tolerance == 0) return std::memcmp(&a, &b, sizeof a) == 0;
  return std::abs(static_cast<double>(a) - static_cast<double>(b)) <=
         tolerance * (std::max)(1.0, std::abs(static_cast<double>(b)));
}
template <class A, class B>
bool same_rows(const A& a, const B& b, double tolerance) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (index r = 0; r < a.rows(); ++r)
    for (index c = 0; c < a.cols(); ++c)
      if (!same(a(r, c), b(r, c), tolerance)) return false;
  return true;
}

/// A block inside a larger matrix, so that a row does not end where the next begins and that writing outside shows.
template <class T>
struct framed {
  static constexpr index border = 2;
  T frame;
  matrix<T> all;

  framed(index rows, index cols, T around)
      : frame(around), all(matrix<T>::Constant(rows + 2 * border, cols + 2 * border, around)) {}
  [[nodiscard]] auto block() { return all.block(border, border, all.rows() - 2 * border, all.cols() - 2 * border); }
  [[nodiscard]] bool is_intact() {
    matrix<T> copy = all;
    copy.block(border, border, all.rows() - 2 * border, all.cols() - 2 * border).setConstant(frame);
    return same_rows(copy, matrix<T>::Constant(all.rows(), all.cols(), frame).eval(), 0);
  }
};

/// All trained parameters in one column.
template <class Policy>
matrix<typename Policy::scalar> flattened(typename Policy::params& p) {
  using T = typename Policy::scalar;
  matrix<T> column(0, 1);
  field_path path;
  const auto append = [&](std::string_view, const auto& w) {  // of the policy's scalar type, or wider
    const index before = column.rows();
    column.conservativeResize(before + w.size(), 1);
    for (index i = 0; i < w.size(); ++i) column(before + i, 0) = static_cast<T>(w.data()[i]);
  };
  for_each_field<Policy, fields_of::training>(path, append, p);
  return column;
}

template <class Policy>
void set_parameters(typename Policy::params& p, typename Policy::scalar value) {
  field_path path;
  const auto set = [&](std::string_view, auto& w) {  // of the policy's scalar type, or wider
    w.setConstant(static_cast<typename std::remove_cvref_t<decltype(w)>::Scalar>(value));
  };
  for_each_field<Policy, fields_of::storage>(path, set, p);
}

}  // namespace detail

/// Forward: writes every element of y and nothing else, finite, the same bits each time, each row on its own, whatever
/// the cache held before; takes an empty batch and a single row. A grouped expert computes the same in groups. Backward
/// (of a trainable expert): overwrites dx and nothing beside it, adds to dp, and in double agrees with differences.
template <class Expert>
[[nodiscard]] report check_expert(const Expert& expert, const expert_options& options = {}) {
  static_assert(expert_policy<Expert>,
                "check_expert: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)");
  using T = typename Expert::scalar;
  report result;
  const index rows = options.rows, model = model_of(expert), outputs = outputs_of(expert);
  std::mt19937_64 generator(options.random.seed), again(options.random.seed);
  typename Expert::params p = expert.init(generator), other = expert.init(again);
  result.require(detail::same_rows(detail::flattened<Expert>(p), detail::flattened<Expert>(other), 0),
                 "init gives other parameters from the same generator");
  disturb<Expert>(p, options.random.channel(2));

  matrix<T> x = random_matrix<T>(rows, model, options.random.channel(3));
  const auto run = [&](const auto& input, typename Expert::cache& cache, T before) {
    detail::framed<T> from(input.rows(), model, std::numeric_limits<T>::quiet_NaN()),
        to(input.rows(), outputs, T(-7.5e30));
    from.block() = input;
    to.block().setConstant(before);
    expert.forward(p, from.block(), to.block(), cache);
    result.require(to.is_intact(), "forward writes outside y");
    return matrix<T>(to.block());
  };
  typename Expert::cache cache, fresh;
  const matrix<T> y = run(x, cache, T{0});
  result.require(y.allFinite(), "forward gives values that are not finite");
  result.require(detail::same_rows(run(x, fresh, T{1e3}), y, 0),
                 "forward does not overwrite y, or gives other bits each time");
  for (index r = 0; r < rows; ++r) {
    typename Expert::cache alone;
    result.require(detail::same_rows(run(x.row(r), alone, T{0}), y.row(r), options.row_tolerance), "row ", r,
                   " alone is not what it is in a batch of ", rows);
    result.require(detail::same_rows(run(x.row(r), cache, T{0}), y.row(r), options.row_tolerance), "row ", r,
                   " is not the same with a cache that held another batch");
  }
  run(x.topRows(0), cache, T{0});
  result.require(detail::same_rows(run(x, cache, T{0}), y, 0), "forward after an empty batch gives other bits");

  if constexpr (grouped_expert<Expert>) {  // three experts, the second without rows
    const typename Expert::params all[3] = {p, other, other};
    const index offsets[4] = {0, rows / 2, rows / 2, rows};
    typename Expert::cache together;
    scratch<T> memory;
    matrix<T> grouped(rows, outputs), single(rows - rows / 2, outputs);
    expert.forward(std::span<const typename Expert::params>(all), row_groups{3, offsets}, x, grouped, together,
                   pass<T>{run_sequentially, memory});
    expert.forward(other, x.bottomRows(rows - rows / 2), single, fresh);
    result.require(detail::same_rows(grouped.topRows(rows / 2), y.topRows(rows / 2), options.row_tolerance) &&
                       detail::same_rows(grouped.bottomRows(rows - rows / 2), single, options.row_tolerance),
                   "the grouped forward differs from the forward of each expert");
  }

  if constexpr (trainable_expert<Expert>) {
    const matrix<T> dy = random_matrix<T>(rows, outputs, options.random.channel(4));
    const auto pull_back = [&](typename Expert::params& dp, T before) {
      detail::framed<T> to(rows, model, T(-7.5e30));
      to.block().setConstant(before);
      run(x, cache, T{0});
      expert.backward(p, x, dy, cache, to.block(), dp);
      result.require(to.is_intact(), "backward writes outside dx");
      return matrix<T>(to.block());
    };
    typename Expert::params dp = p, dq = p;
    detail::set_parameters<Expert>(dp, T{0});
    detail::set_parameters<Expert>(dq, T{1});
    matrix<T> dx = pull_back(dp, T{0});
    result.require(detail::same_rows(pull_back(dq, T{1e3}), dx, 0),
                   "backward does not overwrite dx, or gives other bits each time");
    const matrix<T> d = detail::flattened<Expert>(dp);
    const matrix<T> expected = d.array() + T{1};
    result.require(detail::same_rows(detail::flattened<Expert>(dq), expected, sizeof(T) == 8 ? 1e-9 : 1e-3),
                   "backward does not add to dp");
    if constexpr (std::is_same_v<T, double>) {
      const auto loss = [&] {
        matrix<double> out(rows, outputs);
        expert.forward(p, x, out, cache);
        return (out.array() * dy.array()).sum();
      };
      gradient_report gradients = gradient_check(loss, {{"x", x, dx}}, options.gradients);
      field_path path;
      const auto compare = [&](std::string_view name, auto& w, const auto& dw) {
        gradients.include(gradient_check(loss, {{name, w, dw}}, options.gradients));
      };
      for_each_field<Expert, fields_of::training>(path, compare, p, dp);
      result.require(static_cast<bool>(gradients), gradients.text());
    }
  }
  return result;
}

}  // namespace testing
}  // namespace HEADGATE_ABI
}  // namespace headgate
