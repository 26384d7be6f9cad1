// SPDX-License-Identifier: BSD-3-Clause
#include "data.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>

namespace demo {

namespace {

constexpr int brightest = 16;

/// One line as pixels and a label; false unless it is 65 numbers in range between commas.
bool parse(const std::string& line, std::vector<float>& pixel_values, std::vector<index>& labels) {
  const char* at = line.data();
  const char* const end = at + line.size() - (line.ends_with('\r') ? 1 : 0);
  for (index i = 0; i <= pixels; ++i) {
    int value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value < 0 || value > (i < pixels ? brightest : classes - 1)) return false;
    if (i < pixels ? next == end || *next != ',' : next != end) return false;
    if (i < pixels)
      pixel_values.push_back(static_cast<float>(value));
    else
      labels.push_back(value);
    at = next + 1;
  }
  return true;
}

/// The image at (row, column) between pixels: bilinear, and dark outside.
double sample(const float* image, double row, double column) {
  const double top = std::floor(row), left = std::floor(column);
  const auto pixel = [image](double r, double c) {
    const bool inside = r >= 0 && r < side && c >= 0 && c < side;
    return inside ? static_cast<double>(image[static_cast<index>(r) * side + static_cast<index>(c)]) : 0.0;
  };
  const double down = row - top, right = column - left;
  return (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + 1)) +
         down * ((1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1));
}

}  // namespace

digits read_digits(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open the data file " + path.string() + " (give another with --data)");
  std::vector<float> values;
  digits set;
  index number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (!parse(line, values, set.labels))
      throw std::runtime_error(path.string() + ": line " + std::to_string(number) +
                               " is not 64 pixels from 0 to 16 and a label from 0 to 9");
  }
  if (set.labels.size() < 10 * static_cast<std::size_t>(classes))
    throw std::runtime_error(path.string() + " holds " + std::to_string(set.labels.size()) +
                             " digits, at least 100 are needed");
  set.images = Eigen::Map<const hg::matrix<float>>(values.data(), number, pixels);
  return set;
}

digits_split split_digits(const digits& all, std::uint64_t seed) {
  std::vector<index> order = shuffled(all.count(), {seed, 0});
  const auto label = [&](index i) { return all.labels[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](index a, index b) { return label(a) < label(b); });

  digits_split split;
  const index held_out = (all.count() + 4) / 5;
  split.held_out.images.resize(held_out, pixels);
  split.training.images.resize(all.count() - held_out, pixels);
  for (std::size_t i = 0; i < order.size(); ++i) {
    digits& part = i % 5 == 0 ? split.held_out : split.training;
    part.images.row(static_cast<index>(part.labels.size())) = all.images.row(order[i]);
    part.labels.push_back(label(order[i]));
  }
  return split;
}

standardiser::standardiser(const hg::matrix<float>& training_images) : mean(training_images.colwise().mean()) {
  double squares = 0;
  for (index i = 0; i < training_images.rows(); ++i)
    squares += static_cast<double>((training_images.row(i) - mean).squaredNorm());
  scale = static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(training_images.size())));
}

void standardiser::apply(hg::matrix<float>& images) const {
  for (index i = 0; i < images.rows(); ++i) images.row(i) = (images.row(i) - mean) * scale;
}

void make_batch(const digits& set, const std::vector<index>& which, const distortion& by, const standardiser& standard,
                const hg::random_stream& stream, hg::matrix<float>& images, std::vector<index>& labels) {
  constexpr double centre = 0.5 * (side - 1);
  const auto count = static_cast<index>(which.size());
  images.resize(count, pixels);
  labels.resize(which.size());
  for (index b = 0; b < count; ++b) {
    const index image = which[static_cast<std::size_t>(b)];
    labels[static_cast<std::size_t>(b)] = set.labels[static_cast<std::size_t>(image)];
    const auto draw = [&](index column) { return 2 * hg::uniform(stream, image, column) - 1; };
    const double down = 1 + by.warp * draw(0), down_right = by.warp * draw(1), shift_down = by.shift * draw(2);
    const double right = 1 + by.warp * draw(3), right_down = by.warp * draw(4), shift_right = by.shift * draw(5);
    for (index r = 0; r < side; ++r)
      for (index c = 0; c < side; ++c) {
        const double y = static_cast<double>(r) - centre, x = static_cast<double>(c) - centre;
        images(b, r * side + c) =
            static_cast<float>(sample(set.images.row(image).data(), centre + down * y + down_right * x + shift_down,
                                      centre + right * x + right_down * y + shift_right));
      }
  }
  standard.apply(images);
  if (by.noise == 0) return;
  for (index b = 0; b < count; ++b)
    for (index i = 0; i < pixels; ++i)
      images(b, i) += static_cast<float>(by.noise * hg::normal(stream, which[static_cast<std::size_t>(b)], 6 + i));
}

std::vector<index> shuffled(index count, const hg::random_stream& stream) {
  std::vector<double> key(static_cast<std::size_t>(count));
  for (index i = 0; i < count; ++i) key[static_cast<std::size_t>(i)] = hg::uniform(stream, i, 0);
  std::vector<index> order(key.size());
  std::iota(order.begin(), order.end(), index{0});
  std::stable_sort(order.begin(), order.end(), [&](index a, index b) {
    return key[static_cast<std::size_t>(a)] < key[static_cast<std::size_t>(b)];
  });
  return order;
}

}  // namespace demo
