// SPDX-License-Identifier: BSD-3-Clause
// The digits: reading, splitting, and the small distortions that keep a network from learning 1437 images by heart.
#pragma once

#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>

#include <filesystem>
#include <vector>

namespace demo {

namespace hg = headgate;
using hg::index;

inline constexpr index side = 8;              // an image is side x side pixels
inline constexpr index pixels = side * side;  // and one token of so many features
inline constexpr index classes = 10;

struct digits {
  hg::matrix<float> images;   // (count x pixels), 0 to 16 as in the file
  std::vector<index> labels;  // (count), 0 to 9

  [[nodiscard]] index count() const { return images.rows(); }
};

/// Reads lines of 64 pixels and a label. Throws std::runtime_error with the file and the line.
[[nodiscard]] digits read_digits(const std::filesystem::path& path);

struct digits_split {
  digits training;
  digits held_out;
};

/// Sorts by label, within a label in an order drawn from the seed, and holds out every fifth: all labels have their
/// share of both parts to within one image.
[[nodiscard]] digits_split split_digits(const digits& all, std::uint64_t seed);

/// Centres each pixel and scales all by one number, both taken from the training part alone.
struct standardiser {
  hg::matrix<float> mean;  // (1 x pixels)
  float scale = 1.0F;

  explicit standardiser(const hg::matrix<float>& training_images);
  void apply(hg::matrix<float>& images) const;
};

/// How far a training image may be from the original: at most `shift` pixels, `warp` of its size (stretch, shear and
/// rotation), and normal noise of standard deviation `noise` after standardising. New in each epoch.
struct distortion {
  double shift = 0.5;
  double warp = 0.1;
  double noise = 0.3;
};

/// The images `which` of the set, distorted and standardised. What happens to an image depends on the stream and its
/// number alone, so every model sees the same.
void make_batch(const digits& set, const std::vector<index>& which, const distortion& by, const standardiser& standard,
                const hg::random_stream& stream, hg::matrix<float>& images, std::vector<index>& labels);

/// The numbers 0 ... count - 1 in an order drawn from the stream.
[[nodiscard]] std::vector<index> shuffled(index count, const hg::random_stream& stream);

}  // namespace demo
