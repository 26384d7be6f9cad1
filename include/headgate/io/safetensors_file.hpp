// SPDX-License-Identifier: BSD-3-Clause
// Reading of safetensors files: 8 bytes of header length, a JSON header, the tensors' bytes without holes.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_header.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

static_assert(std::endian::native == std::endian::little,
              "headgate: io copies the bytes of numbers as they stand in the file and needs a little-endian machine");

/// True if every value of a file's type is a T: the same type, or a narrower float.
template <class T>
[[nodiscard]] constexpr bool widens_exactly(dtype type) {
  return type == dtype_of<T> || type == dtype::f32 || type == dtype::f16 || type == dtype::bf16;
}

/// A safetensors file, open for reading. The constructor reads and checks the whole header (`parse_safetensors_header`);
/// every fault is a std::runtime_error of one sentence with the file, the tensor, what was expected and what was found.
/// Nothing is allocated on the word of the file before it has been compared with the file's real size.
class safetensors_file {
 public:
  explicit safetensors_file(const std::filesystem::path& path) : path_(path.string()) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) refuse_file(path_, "is not a file that can be read");
    const auto file_bytes = std::filesystem::file_size(path, error);
    stream_.open(path, std::ios::binary);
    if (error || !stream_) refuse_file(path_, "cannot be opened for reading");
    if (file_bytes < 8) refuse_file(path_, "has ", file_bytes, " bytes, a safetensors file has at least 8");

    unsigned char length[8];
    read_bytes(0, length, 8);
    std::uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; --i) header_bytes = (header_bytes << 8) | length[i];
    if (header_bytes > most_header_bytes)
      refuse_file(path_, "the header's length is ", header_bytes, ", at most ", most_header_bytes, " are allowed");
    if (header_bytes > file_bytes - 8)
      refuse_file(path_, "the header's length is ", header_bytes, ", the file has ", file_bytes - 8, " bytes after it");

    std::string text(static_cast<std::size_t>(header_bytes), '\0');
    read_bytes(8, text.data(), static_cast<index>(header_bytes));
    data_ = 8 + static_cast<index>(header_bytes);
    header_ = parse_safetensors_header(path_, text, static_cast<index>(file_bytes) - data_);

    by_name_.resize(header_.tensors.size());
    std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
    std::sort(by_name_.begin(), by_name_.end(),
              [this](std::size_t a, std::size_t b) { return header_.tensors[a].name < header_.tensors[b].name; });
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  /// All tensors, in the order of their bytes.
  [[nodiscard]] const std::vector<tensor_description>& tensors() const { return header_.tensors; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  /// The tensor of this name, or nullptr.
  [[nodiscard]] const tensor_description* find(std::string_view name) const {
    const auto found =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [this](std::size_t a, std::string_view b) { return header_.tensors[a].name < b; });
    if (found == by_name_.end() || header_.tensors[*found].name != name) return nullptr;
    return &header_.tensors[*found];
  }

  /// Copies the tensor's bytes, end - begin of them, as they stand.
  void read_raw(const tensor_description& tensor, void* bytes) {
    read_bytes(data_ + tensor.begin, bytes, tensor.end - tensor.begin);
  }

  /// Reads the tensor's `size()` elements as T. F16, BF16 and F32 are widened, which is exact; a type that would have to be
  /// rounded or converted is refused.
  template <class T>
  void read(const tensor_description& tensor, T* values) {
    if (tensor.type == dtype_of<T>) return read_raw(tensor, values);
    if (!widens_exactly<T>(tensor.type))
      refuse_file(path_, "tensor '", tensor.name, "' is ", describe(tensor.type).name, ", expected ",
                  describe(dtype_of<T>).name, " or a narrower float");
    if (tensor.type == dtype::f32)
      read_widened<float>(tensor, values, [](float value) { return value; });
    else if (tensor.type == dtype::f16)
      read_widened<std::uint16_t>(tensor, values, widen_f16);
    else
      read_widened<std::uint16_t>(tensor, values, widen_bf16);
  }

 private:
  static constexpr std::uint64_t most_header_bytes = 100'000'000;  // the limit of the reference implementation

  template <class Stored, class T, class Widen>
  void read_widened(const tensor_description& tensor, T* values, Widen widen) {
    constexpr index block = 4096;
    Stored stored[block];
    for (index done = 0; done < tensor.size(); done += block) {
      const index count = (std::min)(block, tensor.size() - done);
      constexpr index size = static_cast<index>(sizeof(Stored));
      read_bytes(data_ + tensor.begin + done * size, stored, count * size);
      for (index i = 0; i < count; ++i) values[done + i] = static_cast<T>(widen(stored[i]));
    }
  }

  void read_bytes(index position, void* bytes, index count) {
    stream_.seekg(position);
    stream_.read(static_cast<char*>(bytes), count);
    if (!stream_) refuse_file(path_, "cannot be read at byte ", position, " (", count, " bytes wanted)");
  }

  std::string path_;
  std::ifstream stream_;
  index data_ = 0;  ///< where the tensors' bytes begin
  safetensors_header header_;
  std::vector<std::size_t> by_name_;  ///< positions in header_.tensors; large checkpoints have 10^5 of them
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
