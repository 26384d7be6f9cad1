// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints in memory, to be written back with something changed.
#pragma once

#include <headgate/core/error.hpp>
#include <headgate/io/checkpoint.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/safetensors_writer.hpp>

#include "support/own_path.hpp"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace headgate_test {
namespace hg = headgate;

struct stored_tensor {
  hg::dtype type = hg::dtype::f32;
  hg::array<hg::index> shape;
  std::vector<std::byte> bytes;

  [[nodiscard]] bool operator==(const stored_tensor& other) const {
    return type == other.type && std::equal(shape.begin(), shape.end(), other.shape.begin(), other.shape.end()) &&
           bytes == other.bytes;
  }
};
using stored_tensors = std::map<std::string, stored_tensor>;

/// The tensors of a folder or file whose names begin with the prefix.
[[nodiscard]] inline stored_tensors tensors_of(const std::filesystem::path& path, const std::string& prefix = "") {
  stored_tensors all;
  hg::checkpoint(path).for_each_with_prefix(prefix, [&](const std::string& name, const hg::tensor_in_file& tensor) {
    const auto bytes = tensor.file->bytes(*tensor.what);
    all[name] = {tensor.what->type, tensor.what->shape, {bytes.begin(), bytes.end()}};
  });
  return all;
}

inline void write_tensors(const std::filesystem::path& file, const stored_tensors& tensors) {
  std::vector<hg::tensor_outline> outlines;
  for (const auto& [name, tensor] : tensors) outlines.push_back({name, tensor.type, tensor.shape});
  hg::write_safetensors(file, outlines, [&](hg::index i, const auto& put) {
    const auto& bytes = tensors.at(outlines[static_cast<std::size_t>(i)].name).bytes;
    put(bytes.data(), bytes.size());
  });
}

[[nodiscard]] inline std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A folder of the test, gone at its end.
struct own_folder {
  std::filesystem::path path;

  explicit own_folder(const std::string& name) : path(own_path("headgate_" + name)) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  own_folder(const own_folder&) = delete;
  own_folder& operator=(const own_folder&) = delete;
  ~own_folder() { std::filesystem::remove_all(path); }

  void put(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
  }
};

}  // namespace headgate_test
