// SPDX-License-Identifier: BSD-3-Clause
// Layers of published families against the plain-loop transcriptions of their blocks.
#pragma once

#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/models/family.hpp>
#include <headgate/models/tensor_part.hpp>
#include <headgate/testing/gradcheck.hpp>

#include "support/catch.hpp"
#include "support/numerical_gradients.hpp"
#include "support/published_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

namespace headgate_test {
namespace hg = headgate;

/// A family's parameters, or their gradients, as the file would hold them. Elements that are no part of a matrix of ours
/// are zero.
template <class Family, class Parameters>
[[nodiscard]] published::tensors tensors_on_disk(const typename Family::shape& shape, Parameters& p) {
  published::tensors all;
  Family::tensors(shape, p, [&](const auto& matrix, const hg::tensor_part& part) {
    published::tensor& tensor = all[part.name];
    if (tensor.shape.empty()) {
      for (const hg::index extent : part.shape) tensor.shape.push_back(static_cast<std::size_t>(extent));
      tensor.values.assign(static_cast<std::size_t>(part.tensor_size()), 0.0);
    }
    REQUIRE(matrix.rows() == part.rows);
    REQUIRE(matrix.cols() == part.cols);
    for (hg::index r = 0; r < part.rows; ++r)
      for (hg::index c = 0; c < part.cols; ++c)
        tensor.values.at(static_cast<std::size_t>(part.position(r, c))) = static_cast<double>(matrix(r, c));
  });
  return all;
}

[[nodiscard]] inline published::rows plain_rows(const hg::matrix<double>& m) {
  published::rows all;
  for (hg::index r = 0; r < m.rows(); ++r) {
    published::row one;
    for (hg::index c = 0; c < m.cols(); ++c) one.push_back(m(r, c));
    all.push_back(one);
  }
  return all;
}

/// Moves every matrix of a layer, trained or not, to random values of a size at which experts differ: logits of unit size
/// and more, biases that change the choice.
template <class Layer>
void scatter(Layer& layer, const hg::random_stream& stream) {
  std::uint64_t id = 0;
  layer.for_each_tensor([&](std::string_view name, auto& w) {
    const bool selects = name.find("selection_bias") != name.npos;
    const bool is_vector = name.find("bias") != name.npos;
    const double size = selects ? 0.2 : is_vector ? 0.5 : 1.5 / std::sqrt(static_cast<double>(w.cols()));
    w = size * hg::testing::random_matrix<double>(w.rows(), w.cols(), stream.channel(id++));
    if (selects) w.array() -= 0.5;  // so that some scores are negative, which a mask of 0 would get wrong
  });
}

/// Numbers of which many are equal, and so are the logits made of them, without rounding: 0, 1/2 and 1.
[[nodiscard]] inline hg::matrix<double> coarse_matrix(hg::index rows, hg::index cols, const hg::random_stream& stream) {
  hg::matrix<double> m = hg::testing::random_matrix<double>(rows, cols, stream);
  for (hg::index r = 0; r < rows; ++r)
    for (hg::index c = 0; c < cols; ++c) m(r, c) = std::min(std::floor(2 * std::abs(m(r, c))), 2.0) / 2;
  return m;
}

/// For `scatter`ed layers: gates (their biases too) of coarse numbers.
template <class Layer>
void make_gate_coarse(Layer& layer, const hg::random_stream& stream) {
  std::uint64_t id = 0;
  layer.for_each_tensor([&](std::string_view name, auto& w) {
    if (name.starts_with("gate.")) w = coarse_matrix(w.rows(), w.cols(), stream.channel(id++));
  });
}

[[nodiscard]] inline std::string described(const published::choices& chosen) {
  std::ostringstream text;
  for (const published::choice& c : chosen) text << " expert " << c.expert << " with " << c.weight;
  return text.str();
}

/// Our output for x against the transcription's, to 1e-11 of the largest element.
template <class Family, class Layer>
void compare_outputs(const typename Family::shape& shape, Layer& layer, published::block_function block,
                     const published::options& options, const hg::matrix<double>& x) {
  published::routing taken;
  const published::rows theirs = block(tensors_on_disk<Family>(shape, layer.params()), options, plain_rows(x), &taken);
  hg::matrix<double> ours;
  typename Layer::workspace memory;
  layer.forward(x, ours, memory);

  REQUIRE(static_cast<std::size_t>(ours.rows()) == theirs.size());
  double scale = 0;
  for (const published::row& y : theirs)
    for (const double value : y) scale = std::max(scale, std::abs(value));
  for (hg::index t = 0; t < x.rows(); ++t) {
    const published::row& y = theirs[static_cast<std::size_t>(t)];
    REQUIRE(static_cast<std::size_t>(ours.cols()) == y.size());
    double error = 0;
    for (hg::index c = 0; c < ours.cols(); ++c)
      error = std::max(error, std::abs(ours(t, c) - y[static_cast<std::size_t>(c)]));
    INFO("token " << t << " by the book:" << described(taken[static_cast<std::size_t>(t)]));
    CHECK(error <= 1e-11 * scale);  // false for NaN
  }
}

/// Our gradients in evaluation for a random dy, against differences of the transcription: dx and every tensor, to 1e-6 of
/// its largest element.
template <class Family, class Layer>
void compare_gradients(const typename Family::shape& shape, Layer& layer, published::block_function block,
                       const published::options& options, const hg::matrix<double>& x,
                       const hg::random_stream& stream) {
  const hg::matrix<double> dy = hg::testing::random_matrix<double>(x.rows(), layer.outputs(), stream);
  typename Layer::tape tape;
  tape.training = false;
  hg::matrix<double> y, dx;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, dy, tape, dx, grads);

  const auto y_of = [&](const published::tensors& t, const published::rows& rows) {
    return block(t, options, rows, nullptr);
  };
  const published::gradients theirs = published::numerical_gradients(
      y_of, tensors_on_disk<Family>(shape, layer.params()), plain_rows(x), plain_rows(dy));

  const auto check_near = [](const std::vector<double>& ours, const std::vector<double>& numerical) {
    REQUIRE(ours.size() == numerical.size());
    double scale = 1e-3, worst = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      scale = std::max(scale, std::abs(numerical[i]));
      worst = std::max(worst, std::abs(ours[i] - numerical[i]));
      if (std::isnan(ours[i])) worst = published::infinity;
    }
    CHECK(worst < 1e-6 * scale);
  };
  for (hg::index t = 0; t < x.rows(); ++t) {
    INFO("dx of token " << t);
    check_near(plain_rows(dx)[static_cast<std::size_t>(t)], theirs.x[static_cast<std::size_t>(t)]);
  }
  const published::tensors ours = tensors_on_disk<Family>(shape, grads);
  REQUIRE(ours.size() == theirs.parameters.size());
  for (const auto& [name, numerical] : theirs.parameters) {
    INFO("gradient of " << name);
    check_near(ours.at(name).values, numerical.values);
  }
}

/// A family's layer of this shape against the transcription of its block: outputs for random tokens, one token, rows of
/// zeros and logits of which many are equal; and gradients.
///
///   compare_with_oracle<hg::mixtral>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::mixtral, {.k = 2}, 1);
///
/// Keep shapes small: the gradients evaluate the block eight times for every parameter.
template <class Family>
void compare_with_oracle(const typename Family::shape& shape, published::block_function block,
                         const published::options& options, std::uint64_t seed, bool with_gradients = true) {
  INFO(std::string(Family::name) << ", seed " << seed);
  const hg::random_stream stream{seed};
  auto layer = hg::make_moe_layer<Family, double>(shape, seed);
  scatter(layer, stream.channel(1));
  const hg::index model = layer.model();
  hg::matrix<double> x = hg::testing::random_matrix<double>(12, model, stream.channel(2));
  compare_outputs<Family>(shape, layer, block, options, x);
  compare_outputs<Family>(shape, layer, block, options, x.topRows(1));
  if (with_gradients) compare_gradients<Family>(shape, layer, block, options, x, stream.channel(3));

  x.row(0).setZero();
  x.row(7).setZero();
  compare_outputs<Family>(shape, layer, block, options, x);

  make_gate_coarse(layer, stream.channel(4));
  compare_outputs<Family>(shape, layer, block, options, coarse_matrix(40, model, stream.channel(5)));
}

}  // namespace headgate_test
