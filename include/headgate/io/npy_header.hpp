// SPDX-License-Identifier: BSD-3-Clause
// The header of a .npy file (NumPy's format, versions 1 to 3): parsed as hostile input.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What the header says.
struct npy_header {
  dtype type = dtype::f32;  ///< F16, F32 or F64
  bool fortran = false;     ///< the first dimension varies fastest, instead of the last
  array<index> shape;
  index data = 0;  ///< where the elements begin in the file

  /// Rows of the matrix: all dimensions but the last, folded. One if there are fewer than two.
  [[nodiscard]] index rows() const {
    index product = 1;
    for (index i = 0; i + 1 < shape.size(); ++i) product *= shape[i];
    return product;
  }
  [[nodiscard]] index cols() const { return shape.empty() ? 1 : shape.back(); }
};

/// How the format names the three floats, little-endian.
[[nodiscard]] constexpr std::string_view npy_name(dtype type) {
  return type == dtype::f16 ? "<f2" : type == dtype::f32 ? "<f4" : "<f8";
}

/// "(2, 3)", and "(2,)" for one dimension
[[nodiscard]] inline std::string npy_shape_text(const array<index>& shape) {
  std::string text = "(";
  for (index i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`: of Python's literals just those that a header
/// of floats has, with keys in any order and white space anywhere.
class npy_dictionary_parser {
 public:
  npy_dictionary_parser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  void parse(npy_header& header) {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = text("a key");
      const auto known = std::find(std::begin(keys), std::end(keys), key);
      if (known == std::end(keys))
        refuse_file(path_, "the header has the key '", key, "', known are descr, fortran_order and shape");
      bool& has = has_[known - std::begin(keys)];
      if (has) refuse_file(path_, "the header has the key '", key, "' twice");
      has = true;
      expect(':');
      if (key == "descr")
        header.type = type();
      else if (key == "fortran_order")
        header.fortran = boolean();
      else
        header.shape = shape();
      if (!accept(',') && next() != '}') unexpected("',' or '}'");
    }
    if (next() != '\0') unexpected("the end");
    for (int i = 0; i < 3; ++i)
      if (!has_[i]) refuse_file(path_, "the header has no ", keys[i]);
  }

 private:
  static constexpr std::string_view keys[] = {"descr", "fortran_order", "shape"};
  static constexpr index most_dimensions = 64;

  /// The next letter that is no white space, and a zero at the end.
  char next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
    if (at_ == text_.size()) return '\0';
    if (text_[at_] == '\0') refuse_file(path_, "the header has a zero at its byte ", at_ + 1);
    return text_[at_];
  }
  bool accept(char letter) {
    if (next() != letter) return false;
    ++at_;
    return true;
  }
  void expect(char letter) {
    if (!accept(letter)) unexpected(sentence("'", letter, "'"));
  }
  [[noreturn]] void unexpected(std::string_view expected) {
    const char found = next();
    const std::string what = found == '\0' ? "ends" : sentence("has '", found, "'");
    refuse_file(path_, "the header ", what, " at its byte ", at_ + 1, ", expected ", expected);
  }

  std::string_view text(std::string_view what) {
    const char quote = next();
    if (quote != '\'' && quote != '"') unexpected(what);
    const std::size_t begin = at_ + 1;
    const std::size_t end = text_.find(quote, begin);
    if (end == text_.npos) refuse_file(path_, "the header's text at its byte ", begin, " has no end");
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }

  dtype type() {
    if (next() == '[') refuse_file(path_, "the header's descr is a list of fields, expected '<f2', '<f4' or '<f8'");
    const std::string_view name = text("a type in quotes");
    for (const dtype one : {dtype::f16, dtype::f32, dtype::f64})
      if (npy_name(one) == name) return one;
    refuse_file(path_, "the header's descr is '", name, "', expected '<f2', '<f4' or '<f8'");
  }

  bool boolean() {
    next();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    unexpected("True or False");
  }

  array<index> shape() {
    array<index> sizes;
    bool comma = true;
    expect('(');
    while (!accept(')')) {
      if (!comma) unexpected("',' or ')'");
      if (sizes.size() == most_dimensions)
        refuse_file(path_, "the header's shape has more than ", most_dimensions, " dimensions");
      sizes.push_back(size());
      comma = accept(',');
    }
    if (sizes.size() == 1 && !comma) refuse_file(path_, "the header's shape is a number in brackets, expected a tuple");
    return sizes;
  }

  index size() {
    constexpr index most = (std::numeric_limits<index>::max)();
    const auto is_digit = [this] { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; };
    next();
    if (!is_digit()) unexpected("a size");
    index value = 0;
    for (; is_digit(); ++at_) {
      const index digit = text_[at_] - '0';
      if (value > (most - digit) / 10) refuse_file(path_, "the header's shape has a size of more than ", most);
      value = 10 * value + digit;
    }
    return value;
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t at_ = 0;
  bool has_[3] = {};  ///< which of `keys` there were
};

/// Longest beginning of a file that `parse_npy_header` needs to see.
inline constexpr index npy_most_header = 12 + 65'536;

/// Parses the beginning of a .npy file of `file_bytes` bytes, and checks that the elements fill the rest of it exactly.
/// `start` is the whole file or its first `npy_most_header` bytes.
[[nodiscard]] inline npy_header parse_npy_header(const std::string& path, std::string_view start, index file_bytes) {
  constexpr std::string_view magic = "\x93NUMPY";
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(start[i])); };
  if (start.substr(0, magic.size()) != magic) refuse_file(path, "does not begin as a .npy file");
  if (start.size() < 10) refuse_file(path, "has ", file_bytes, " bytes, a .npy file has at least 10");
  const std::uint32_t version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0)
    refuse_file(path, "is of format version ", version, ".", byte(7), ", known are 1.0, 2.0 and 3.0");

  npy_header header;
  const index begin = version == 1 ? 10 : 12;
  if (file_bytes < begin) refuse_file(path, "has ", file_bytes, " bytes, the header begins at byte ", begin);
  const index length =
      static_cast<index>(byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24));
  if (length > npy_most_header - begin)
    refuse_file(path, "the header's length is ", length, ", at most ", npy_most_header - begin, " are read");
  if (length > file_bytes - begin)
    refuse_file(path, "the header's length is ", length, ", the file has ", file_bytes - begin, " bytes after it");
  header.data = begin + length;
  npy_dictionary_parser(path, start.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(length)))
      .parse(header);

  index bytes = describe(header.type).bytes;
  index sizes = bytes;  // the product without zeros, lest the rows of an array without columns overflow
  for (const index size : header.shape) {
    bytes *= size == 0 ? 0 : 1;
    if (size != 0 && sizes > (std::numeric_limits<index>::max)() / size)
      refuse_file(path, "the header's shape is ", npy_shape_text(header.shape), ", more than any file holds");
    sizes *= size == 0 ? 1 : size;
  }
  if (bytes != 0) bytes = sizes;
  if (bytes != file_bytes - header.data)
    refuse_file(path, npy_name(header.type), " of shape ", npy_shape_text(header.shape), " has ", bytes,
                " bytes, the file has ", file_bytes - header.data, " after its header");
  return header;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
