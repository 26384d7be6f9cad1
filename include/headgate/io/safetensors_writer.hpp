// SPDX-License-Identifier: BSD-3-Clause
// Writing of safetensors files: any names, types and shapes.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/replacing_file.hpp>
#include <headgate/io/safetensors_header.hpp>

#include <nlohmann/json.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The text as JSON. Refuses what is not UTF-8; `what` says whose it is.
[[nodiscard]] inline std::string json_text(const std::string& path, std::string_view text,
                                           const char* what = "the tensor name") {
  using json = nlohmann::json;
  const std::string quoted = json(text).dump(-1, ' ', false, json::error_handler_t::ignore);
  if (json::parse(quoted, nullptr, false).get_ref<const std::string&>() != text)
    refuse_file(path, what, " '", text, "' is not UTF-8");
  return quoted;
}

/// A tensor that is to be written, without its values.
struct tensor_outline {
  std::string name;
  dtype type = dtype::f32;
  array<index> shape;  ///< empty for a scalar
};

/// Writes one safetensors file, header first. Then the bytes of all tensors come by `write`, one tensor after the other in
/// the order of `order()`, in pieces of any size; `commit` finishes. Wider elements come first and the header is padded
/// with spaces to 8 bytes, so all data are aligned.
///
/// The file is written beside `path` and takes its place when it is complete: whatever goes wrong (std::runtime_error),
/// a file that was there before is still there and whole.
class safetensors_writer {
 public:
  safetensors_writer(const std::filesystem::path& path, std::span<const tensor_outline> tensors,
                     const std::map<std::string, std::string>& metadata = {})
      : where_(path.string()), header_(header_of(tensors, metadata)), file_(path) {
    static_assert(std::endian::native == std::endian::little,
                  "headgate: io copies the bytes of numbers as they stand in memory and needs a little-endian machine");
    const std::uint64_t length = header_.size();
    file_.write(&length, sizeof length);
    file_.write(header_.data(), header_.size());
  }

  /// Positions in `tensors`, in the order in which their bytes must come.
  [[nodiscard]] const array<index>& order() const { return order_; }

  void write(const void* bytes, std::size_t count) {
    if (count > static_cast<std::size_t>(end_ - written_))
      refuse_file(where_, "gets ", static_cast<std::size_t>(written_) + count, " bytes of data, the tensors have ",
                  end_);
    file_.write(bytes, count);
    written_ += static_cast<index>(count);
  }

  void commit() {
    if (written_ != end_) refuse_file(where_, "got ", written_, " bytes of data, the tensors have ", end_);
    file_.commit();
  }

 private:
  [[nodiscard]] std::string header_of(std::span<const tensor_outline> tensors,
                                      const std::map<std::string, std::string>& metadata) {
    std::string header = "{";
    if (!metadata.empty()) {
      header += "\"__metadata__\":{";
      for (const auto& [key, value] : metadata)
        header += sentence(header.back() == '{' ? "" : ",", json_text(where_, key, "the metadata key"), ":",
                           json_text(where_, value, "the metadata text"));
      header += '}';
    }
    std::set<std::string_view> taken{"__metadata__"};
    for (const index width : {8, 4, 2, 1})
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        const tensor_outline& one = tensors[i];
        if (describe(one.type).bytes != width) continue;
        if (!taken.insert(one.name).second) refuse_file(where_, "the tensor name '", one.name, "' is taken");
        const index begin = end_, bytes = bytes_of(one.type, one.shape);
        if (bytes < 0 || bytes > (std::numeric_limits<index>::max)() - begin)
          refuse_file(where_, "tensor '", one.name, "' has shape ", shape_text(one.shape), ", which no file can hold");
        end_ += bytes;
        header += sentence(header.size() > 1 ? "," : "", json_text(where_, one.name), ":{\"dtype\":\"",
                           describe(one.type).name, "\",\"shape\":[");
        for (index d = 0; d < one.shape.size(); ++d) header += sentence(d == 0 ? "" : ",", one.shape[d]);
        header += sentence("],\"data_offsets\":[", begin, ",", end_, "]}");
        order_.push_back(static_cast<index>(i));
      }
    header += '}';
    header.resize((header.size() + 7) / 8 * 8, ' ');
    return header;
  }

  std::string where_;
  array<index> order_;
  index end_ = 0;      ///< of all data
  index written_ = 0;  ///< of them
  std::string header_;
  replacing_file file_;
};

/// Writes all tensors to a file. `values(i, put)` hands over the bytes of tensors[i] by put(pointer, count), in one piece or
/// in several; refused if they are more or fewer than type and shape say. It is called once for each, in the file's order.
template <class Values>
void write_safetensors(const std::filesystem::path& path, std::span<const tensor_outline> tensors, Values&& values,
                       const std::map<std::string, std::string>& metadata = {}) {
  safetensors_writer file(path, tensors, metadata);
  for (const index i : file.order()) {
    const tensor_outline& one = tensors[static_cast<std::size_t>(i)];
    const index expected = bytes_of(one.type, one.shape);
    index got = 0;
    values(i, [&](const void* bytes, std::size_t count) {
      got += static_cast<index>(count);
      if (got <= expected) file.write(bytes, count);
    });
    if (got != expected)
      refuse_file(path.string(), "tensor '", one.name, "' gets ", got, " bytes, ", describe(one.type).name,
                  " of shape ", shape_text(one.shape), " has ", expected);
  }
  file.commit();
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
