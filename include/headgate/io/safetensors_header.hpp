// SPDX-License-Identifier: BSD-3-Clause
// The JSON header of a safetensors file: parsed as hostile input, so that what is left can be trusted.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One tensor of a file. Its bytes are [begin, end) of the data that follows the header.
struct tensor_description {
  std::string name;
  dtype type = dtype::f32;
  array<index> shape;
  index begin = 0;
  index end = 0;

  /// Number of elements; 1 for a scalar, whose shape is empty.
  [[nodiscard]] index size() const { return (end - begin) / describe(type).bytes; }
};

/// What the header says: tensors in the order of their data, and free texts.
struct safetensors_header {
  std::vector<tensor_description> tensors;
  std::map<std::string, std::string> metadata;
};

/// "[2, 3]"
[[nodiscard]] inline std::string shape_text(const array<index>& shape) {
  std::string text = "[";
  for (index i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

/// Bytes of a tensor; -1 if no file can hold them.
[[nodiscard]] inline index bytes_of(dtype type, const array<index>& shape) {
  constexpr index most = (std::numeric_limits<index>::max)();
  index bytes = describe(type).bytes;
  for (const index size : shape) {
    if (size < 0 || (size != 0 && bytes > most / size)) return -1;
    bytes *= size;
  }
  return bytes;
}

/// Reads `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"key": "text"}}` as the
/// events come, so that nothing but the tensors is ever held in memory and nesting ends where the format says.
class safetensors_header_reader {
 public:
  safetensors_header_reader(const std::string& path, safetensors_header& header) : path_(path), header_(header) {}

  bool start_object(std::size_t) {
    if (place_ == place::outside)
      place_ = place::file;
    else if (place_ == place::file_value)
      place_ = key_ == "__metadata__" ? place::metadata : place::tensor;
    else
      unexpected("an object");
    return true;
  }

  bool key(std::string& text) {
    key_ = std::move(text);
    if (place_ == place::file) {
      if (!names_.insert(key_).second) refuse_file(path_, "the header names '", key_, "' twice");
      if (key_ != "__metadata__") header_.tensors.push_back({key_, dtype::f32, {}, 0, 0});
      std::fill(std::begin(has_), std::end(has_), false);
      place_ = place::file_value;
    } else if (place_ == place::tensor) {
      const auto known = std::find(std::begin(keys), std::end(keys), key_);
      if (known == std::end(keys)) refuse_tensor("has the key '", key_, "', known are dtype, shape and data_offsets");
      bool& has = has_[known - std::begin(keys)];
      if (has) refuse_tensor("has the key '", key_, "' twice");
      has = true;
    }
    return true;
  }

  bool end_object() {
    if (place_ == place::tensor) {
      for (int i = 0; i < 3; ++i)
        if (!has_[i]) refuse_tensor("has no ", keys[i]);
      if (offsets_ != 2) refuse_tensor("has ", offsets_, " data_offsets, expected 2");
    }
    place_ = place_ == place::file ? place::outside : place::file;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != place::tensor || key_ == "dtype") unexpected("an array");
    place_ = key_ == "shape" ? place::shape : place::offsets;
    if (place_ == place::offsets) offsets_ = 0;
    return true;
  }

  bool end_array() {
    place_ = place::tensor;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (place_ != place::shape && place_ != place::offsets) unexpected("the number ", value);
    if (value > static_cast<std::uint64_t>((std::numeric_limits<index>::max)()))
      refuse_tensor("has the number ", value, " in ", key_, ", more than any file holds");
    tensor_description& tensor = header_.tensors.back();
    const index number = static_cast<index>(value);
    if (place_ == place::shape) {
      if (tensor.shape.size() == most_dimensions) refuse_tensor("has more than ", most_dimensions, " dimensions");
      tensor.shape.push_back(number);
    } else if (++offsets_ <= 2) {
      (offsets_ == 1 ? tensor.begin : tensor.end) = number;
    }
    return true;
  }

  bool string(std::string& text) {
    if (place_ == place::metadata) {
      if (!header_.metadata.emplace(key_, text).second)
        refuse_file(path_, "__metadata__ has the key '", key_, "' twice");
    } else if (place_ == place::tensor && key_ == "dtype") {
      const auto type = dtype_named(text);
      if (!type) refuse_tensor("has the unknown dtype '", text, "'");
      header_.tensors.back().type = *type;
    } else {
      unexpected("a text");
    }
    return true;
  }

  bool number_integer(std::int64_t value) { return unexpected("the number ", value); }
  bool number_float(double, const std::string& text) { return unexpected("the number ", text); }
  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool binary(nlohmann::json::binary_t&) { return unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    const std::string_view text = error.what();  // "[json.exception.parse_error.101] what is wrong"
    refuse_file(path_, "the header is not JSON at its byte ", position, ": ", text.substr(text.find(' ') + 1));
  }

 private:
  enum class place { outside, file, file_value, metadata, tensor, shape, offsets };
  static constexpr std::string_view keys[] = {"dtype", "shape", "data_offsets"};
  static constexpr index most_dimensions = 64;

  template <class... Parts>
  [[noreturn]] bool unexpected(const Parts&... what) const {
    if (place_ == place::outside) refuse_file(path_, "the header is ", what..., ", expected an object");
    if (place_ == place::metadata)
      refuse_file(path_, "__metadata__ has ", what..., " at '", key_, "', expected a text");
    if (place_ == place::file_value)
      refuse_file(path_, "the header has ", what..., " at '", key_, "', expected an object");
    refuse_tensor("has ", what..., " in ", key_, ", expected ", key_ == "dtype" ? "a text" : "an array of sizes");
  }

  template <class... Parts>
  [[noreturn]] void refuse_tensor(const Parts&... parts) const {
    refuse_file(path_, "tensor '", header_.tensors.back().name, "' ", parts...);
  }

  const std::string& path_;
  safetensors_header& header_;
  place place_ = place::outside;
  std::string key_;              ///< the last one, on any level
  std::set<std::string> names_;  ///< on the level of the file
  bool has_[3] = {};             ///< which of `keys` the present tensor has had
  int offsets_ = 0;
};

/// Parses the header `text` of a file whose data has `data_bytes` bytes, and checks everything that the format promises:
/// each range is as long as dtype and shape say, and the ranges cover the data without hole or overlap.
[[nodiscard]] inline safetensors_header parse_safetensors_header(const std::string& path, std::string_view text,
                                                                 index data_bytes) {
  safetensors_header header;
  if (text.empty() || text.front() != '{') refuse_file(path, "the header does not begin with '{'");
  if (const auto zero = text.find('\0'); zero != text.npos)  // the parser would take it for the end and ignore the rest
    refuse_file(path, "the header is not JSON at its byte ", zero + 1, ": a zero");
  safetensors_header_reader reader(path, header);
  nlohmann::json::sax_parse(text, &reader);

  for (const tensor_description& tensor : header.tensors) {
    const index bytes = bytes_of(tensor.type, tensor.shape);
    if (bytes < 0)
      refuse_file(path, "tensor '", tensor.name, "' has shape ", shape_text(tensor.shape),
                  ", more than any file holds");
    if (tensor.begin > tensor.end || tensor.end > data_bytes)
      refuse_file(path, "tensor '", tensor.name, "' has data_offsets [", tensor.begin, ", ", tensor.end,
                  "], the data has ", data_bytes, " bytes");
    if (tensor.end - tensor.begin != bytes)
      refuse_file(path, "tensor '", tensor.name, "' has ", tensor.end - tensor.begin, " bytes, ",
                  describe(tensor.type).name, " of shape ", shape_text(tensor.shape), " has ", bytes);
  }

  std::sort(header.tensors.begin(), header.tensors.end(), [](const tensor_description& a, const tensor_description& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  index covered = 0;
  for (const tensor_description& tensor : header.tensors) {
    if (tensor.begin != covered)
      refuse_file(path, "tensor '", tensor.name, "' begins at byte ", tensor.begin, " of the data, ",
                  tensor.begin < covered ? "inside" : "behind a hole after", " the tensor that ends at ", covered);
    covered = tensor.end;
  }
  if (covered != data_bytes)
    refuse_file(path, "the tensors end at byte ", covered, " of ", data_bytes, " bytes of data");
  return header;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
