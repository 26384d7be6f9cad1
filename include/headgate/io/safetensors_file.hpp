// SPDX-License-Identifier: BSD-3-Clause
// Reading of safetensors files: 8 bytes of header length, a JSON header, the tensors' bytes without holes.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/mapped_file.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_header.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
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

/// A safetensors file, mapped into memory. The constructor reads and checks the whole header (`parse_safetensors_header`);
/// every fault is a std::runtime_error of one sentence with the file, the tensor, what was expected and what was found.
/// Nothing is allocated on the word of the file before it has been compared with the file's real size.
class safetensors_file {
 public:
  explicit safetensors_file(const std::filesystem::path& path) : file_(path) {
    const index file_bytes = file_.size();
    if (file_bytes < 8) refuse_file(file_.path(), "has ", file_bytes, " bytes, a safetensors file has at least 8");

    std::uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; --i) header_bytes = (header_bytes << 8) | std::to_integer<std::uint64_t>(file_.data()[i]);
    if (header_bytes > most_header_bytes)
      refuse_file(file_.path(), "the header's length is ", header_bytes, ", at most ", most_header_bytes,
                  " are allowed");
    if (header_bytes > static_cast<std::uint64_t>(file_bytes - 8))
      refuse_file(file_.path(), "the header's length is ", header_bytes, ", the file has ", file_bytes - 8,
                  " bytes after it");

    const std::string_view text(reinterpret_cast<const char*>(file_.data()) + 8,
                                static_cast<std::size_t>(header_bytes));
    data_ = 8 + static_cast<index>(header_bytes);
    header_ = parse_safetensors_header(file_.path(), text, file_bytes - data_);

    by_name_.resize(header_.tensors.size());
    std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
    std::sort(by_name_.begin(), by_name_.end(),
              [this](std::size_t a, std::size_t b) { return header_.tensors[a].name < header_.tensors[b].name; });
  }

  [[nodiscard]] const std::string& path() const { return file_.path(); }
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

  /// The tensor's bytes where the file is mapped: they may be written, which changes neither the file nor what another
  /// `safetensors_file` sees. Their address suits the tensor's type only where the file's writer saw to it.
  [[nodiscard]] std::span<std::byte> bytes(const tensor_description& tensor) const {
    if (tensor.begin < 0 || tensor.end < tensor.begin || tensor.end > file_.size() - data_)  // not one of ours
      refuse_file(path(), "cannot be read at byte ", data_ + tensor.begin, " (", tensor.end - tensor.begin,
                  " bytes wanted)");
    return file_.bytes().subspan(static_cast<std::size_t>(data_ + tensor.begin),
                                 static_cast<std::size_t>(tensor.end - tensor.begin));
  }
  /// The tensor's first element where the file is mapped, for `weights::borrow`; null if the tensor is of another type than
  /// T or does not lie where a T may lie, and has to be read.
  template <class T>
  [[nodiscard]] T* elements(const tensor_description& tensor) const {
    std::byte* const first = bytes(tensor).data();
    const bool aligned = reinterpret_cast<std::uintptr_t>(first) % alignof(T) == 0;
    return tensor.type == dtype_of<T> && aligned ? reinterpret_cast<T*>(first) : nullptr;
  }
  /// Keeps the bytes alive without this object.
  [[nodiscard]] std::shared_ptr<const void> keeper() const { return file_.keeper(); }
  /// Gives back the memory of a tensor that has been converted, see `mapped_file::drop_pages`.
  void drop_pages(const tensor_description& tensor) const {
    file_.drop_pages(data_ + tensor.begin, data_ + tensor.end);
  }

  /// Copies the tensor's bytes, end - begin of them, as they stand.
  void read_raw(const tensor_description& tensor, void* to) const {
    const std::span<const std::byte> from = bytes(tensor);
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }

  /// Reads the tensor's `size()` elements as T. F16, BF16 and F32 are widened, which is exact; a type that would have to be
  /// rounded or converted is refused.
  template <class T>
  void read(const tensor_description& tensor, T* values) const {
    if (tensor.type == dtype_of<T>) return read_raw(tensor, values);
    if (!widens_exactly<T>(tensor.type))
      refuse_file(path(), "tensor '", tensor.name, "' is ", describe(tensor.type).name, ", expected ",
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
  void read_widened(const tensor_description& tensor, T* values, Widen widen) const {
    const std::byte* const from = bytes(tensor).data();
    const index count = tensor.size();
    for (index i = 0; i < count; ++i) {
      Stored stored;
      std::memcpy(&stored, from + i * static_cast<index>(sizeof stored), sizeof stored);  // wherever it lies
      values[i] = static_cast<T>(widen(stored));
    }
  }

  mapped_file file_;
  index data_ = 0;  ///< where the tensors' bytes begin
  safetensors_header header_;
  std::vector<std::size_t> by_name_;  ///< positions in header_.tensors; large checkpoints have 10^5 of them
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
