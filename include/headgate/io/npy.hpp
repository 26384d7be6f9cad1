// SPDX-License-Identifier: BSD-3-Clause
// Matrices from and to .npy files, NumPy's format of one array.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/npy_header.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/replacing_file.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace headgate {
inline namespace HEADGATE_ABI {

static_assert(std::endian::native == std::endian::little,
              "headgate: io copies the bytes of numbers as they stand in the file and needs a little-endian machine");

/// What to do with elements that have more digits than the matrix.
enum class narrowing { refused, rounded };

/// Takes the elements of a .npy file, piece by piece in the file's order, into a matrix (rows x columns of the header).
template <class T>
class npy_elements {
 public:
  npy_elements(const npy_header& header, matrix<T>& m) : header_(header), m_(m) {
    m.resize(header.rows(), header.cols());
    if (!header.fortran) return;
    position_ = array<index>(header.shape.size());
    step_ = position_;
    index step = 1;
    for (index i = header.shape.size() - 1; i >= 0; --i) {
      step_[i] = step;
      step *= header.shape[i];
    }
  }

  void take(const char* bytes, index count) {
    if (header_.type == dtype::f16)
      take_as<std::uint16_t>(bytes, count, widen_f16);
    else if (header_.type == dtype::f32)
      take_as<float>(bytes, count, [](float value) { return value; });
    else
      take_as<double>(bytes, count, [](double value) { return value; });
  }

 private:
  template <class Stored, class Convert>
  void take_as(const char* bytes, index count, Convert convert) {
    for (index i = 0; i < count; ++i, advance()) {
      Stored stored;
      std::memcpy(&stored, bytes + i * static_cast<index>(sizeof stored), sizeof stored);
      m_.data()[place_] = static_cast<T>(convert(stored));
    }
  }

  void advance() {
    if (!header_.fortran) {
      ++place_;
      return;
    }
    for (index i = 0; i < position_.size(); ++i) {  // the first dimension varies fastest
      place_ += step_[i];
      if (++position_[i] < header_.shape[i]) return;
      place_ -= position_[i] * step_[i];
      position_[i] = 0;
    }
  }

  const npy_header& header_;
  matrix<T>& m_;
  index place_ = 0;        ///< of the next element in the matrix
  array<index> position_;  ///< the same by dimensions; Fortran order only, as
  array<index> step_;      ///< elements of the matrix from one index to the next
};

/// Refuses elements that would have to be rounded, unless the caller wants that.
template <class T>
void check_npy_type(const std::string& path, const npy_header& header, narrowing rounding) {
  if (rounding == narrowing::refused && describe(header.type).bytes > describe(dtype_of<T>).bytes)
    refuse_file(path, "has elements of type ", npy_name(header.type), ", expected ", npy_name(dtype_of<T>),
                " or narrower (or narrowing::rounded)");
}

/// The matrix of a .npy file whose bytes are in memory; `path` is for errors.
template <class T>
[[nodiscard]] matrix<T> parse_npy(const std::string& path, std::string_view bytes,
                                  narrowing rounding = narrowing::refused) {
  const npy_header header = parse_npy_header(path, bytes, static_cast<index>(bytes.size()));
  check_npy_type<T>(path, header, rounding);
  matrix<T> m;
  npy_elements<T>(header, m).take(bytes.data() + header.data, header.rows() * header.cols());
  return m;
}

/// Reads a matrix from a .npy file of little-endian floats in either order. A vector is one row; of an array of more than
/// two dimensions the last one becomes the columns and the others are folded, so that [batch, position, model] becomes
/// tokens x model. Narrower floats are widened, which is exact. Every fault is a std::runtime_error of one sentence that
/// begins with the path; nothing is allocated before the header has been compared with the file's real size.
template <class T>
[[nodiscard]] matrix<T> read_npy(const std::filesystem::path& path, narrowing rounding = narrowing::refused) {
  const std::string where = path.string();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) refuse_file(where, "is not a file that can be read");
  const auto file_bytes = static_cast<index>(std::filesystem::file_size(path, error));
  std::ifstream stream(path, std::ios::binary);
  if (error || !stream) refuse_file(where, "cannot be opened for reading");
  const auto read = [&](index position, index count, std::string& block) {
    block.resize(static_cast<std::size_t>(count));
    stream.seekg(position);
    stream.read(block.data(), count);
    if (!stream) refuse_file(where, "cannot be read at byte ", position, " (", count, " bytes wanted)");
  };

  std::string block;
  read(0, (std::min)(file_bytes, npy_most_header), block);
  const npy_header header = parse_npy_header(where, block, file_bytes);
  check_npy_type<T>(where, header, rounding);
  matrix<T> m;
  npy_elements<T> elements(header, m);
  constexpr index most = 65'536;
  const index width = describe(header.type).bytes;
  for (index position = header.data; position < file_bytes;) {
    const index count = (std::min)(most, file_bytes - position);
    read(position, count, block);
    elements.take(block.data(), count / width);
    position += count;
  }
  return m;
}

/// What stands before the elements of a rows x columns matrix: version 1.0, padded so that they begin at a multiple of 64.
[[nodiscard]] inline std::string npy_header_text(dtype type, index rows, index cols) {
  std::string dictionary =
      sentence("{'descr': '", npy_name(type), "', 'fortran_order': False, 'shape': (", rows, ", ", cols, "), }");
  const std::size_t length = (10 + dictionary.size() + 1 + 63) / 64 * 64 - 10;
  dictionary.resize(length - 1, ' ');
  std::string text = "\x93NUMPY\x01";
  text += '\0';
  text += static_cast<char>(length & 0xff);
  text += static_cast<char>(length >> 8);
  return text + dictionary + "\n";
}

/// Writes a matrix of floats or doubles. The file takes its place when it is complete (`replacing_file`).
template <class M>
void write_npy(const std::filesystem::path& path, const M& m) {
  using T = typename M::Scalar;
  const in<T> values = row_major<T>(m);
  replacing_file file(path);
  const std::string header = npy_header_text(dtype_of<T>, values.rows(), values.cols());
  file.write(header.data(), header.size());
  for (index row = 0; row < values.rows(); ++row)
    file.write(values.data() + row * values.outerStride(), static_cast<std::size_t>(values.cols()) * sizeof(T));
  file.commit();
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
