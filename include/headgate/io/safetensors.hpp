// SPDX-License-Identifier: BSD-3-Clause
// Saving and loading of modules in the safetensors format (github.com/huggingface/safetensors).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/replacing_file.hpp>
#include <headgate/io/safetensors_file.hpp>
#include <headgate/io/safetensors_header.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The name as a JSON text. Refuses what is not UTF-8.
[[nodiscard]] inline std::string json_text(const std::string& path, std::string_view name) {
  using json = nlohmann::json;
  const std::string text = json(name).dump(-1, ' ', false, json::error_handler_t::ignore);
  if (json::parse(text, nullptr, false).get_ref<const std::string&>() != name)
    refuse_file(path, "the tensor name '", name, "' is not UTF-8");
  return text;
}

/// Writes all tensors that `module.for_each_tensor(f)` visits as f(name, matrix): F32 for float, F64 for double, shape
/// [rows, columns]. Wider elements come first and the header is padded with spaces to 8 bytes, so all data are aligned.
///
/// The file is written beside `path` and takes its place when it is complete: whatever goes wrong (std::runtime_error),
/// a file that was there before is still there and whole.
template <class Module>
void save(const Module& module, const std::filesystem::path& path) {
  const std::string where = path.string();
  std::string header = "{";
  std::set<std::string> taken{"__metadata__"};
  index end = 0;
  const auto describe_tensors = [&](index width) {
    module.for_each_tensor([&](std::string_view name, const auto& m) {
      using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
      if (sizeof(scalar) != static_cast<std::size_t>(width)) return;
      if (!taken.emplace(name).second) refuse_file(where, "the tensor name '", name, "' is taken");
      const index begin = end;
      end += m.size() * width;
      header += sentence(header.size() > 1 ? "," : "", json_text(where, name), ":{\"dtype\":\"",
                         describe(dtype_of<scalar>).name, "\",\"shape\":[", m.rows(), ",", m.cols(),
                         "],\"data_offsets\":[", begin, ",", end, "]}");
    });
  };
  for (const index width : {8, 4}) describe_tensors(width);
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');

  replacing_file file(path);
  const std::uint64_t length = header.size();
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (const index width : {8, 4})
    module.for_each_tensor([&](std::string_view, const auto& m) {
      using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
      if (sizeof(scalar) == static_cast<std::size_t>(width))
        file.write(m.data(), static_cast<std::size_t>(m.size()) * sizeof(scalar));
    });
  file.commit();
}

/// Reads all tensors that `module.for_each_tensor(f)` visits as f(name, matrix) from the file.
///
/// The file must hold exactly these tensors, of exactly these shapes; elements are of the matrix's own type or of a
/// narrower float (F16 and BF16 into float, F32 too into double), which widens exactly. All names, types and shapes are
/// checked first, and all data are read into temporaries before the module is touched: a load that throws
/// (std::runtime_error) has changed nothing.
template <class Module>
void load(Module& module, const std::filesystem::path& path) {
  safetensors_file file(path);
  std::vector<const tensor_description*> wanted;
  module.for_each_tensor([&](std::string_view name, const auto& m) {
    using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
    const tensor_description* const tensor = file.find(name);
    if (tensor == nullptr)
      refuse_file(file.path(), "has no tensor '", name, "', expected one of shape [", m.rows(), ", ", m.cols(), "]");
    if (tensor->shape.size() != 2 || tensor->shape[0] != m.rows() || tensor->shape[1] != m.cols())
      refuse_file(file.path(), "tensor '", name, "' has shape ", shape_text(tensor->shape), ", expected [", m.rows(),
                  ", ", m.cols(), "]");
    if (!widens_exactly<scalar>(tensor->type))
      refuse_file(file.path(), "tensor '", name, "' is ", describe(tensor->type).name, ", expected ",
                  describe(dtype_of<scalar>).name, " or a narrower float");
    wanted.push_back(tensor);
  });
  const std::set<const tensor_description*> known(wanted.begin(), wanted.end());
  for (const tensor_description& tensor : file.tensors())
    if (!known.contains(&tensor))
      refuse_file(file.path(), "has a tensor '", tensor.name, "' of shape ", shape_text(tensor.shape),
                  ", which the module does not have");

  std::vector<std::variant<matrix<float>, matrix<double>>> values;
  values.reserve(wanted.size());
  module.for_each_tensor([&](std::string_view, const auto& m) {
    using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
    auto& value = values.emplace_back(std::in_place_type<matrix<scalar>>, m.rows(), m.cols());
    file.read(*wanted[values.size() - 1], std::get<matrix<scalar>>(value).data());
  });

  std::size_t next = 0;
  module.for_each_tensor([&](std::string_view, auto& m) {
    using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
    m = std::get<matrix<scalar>>(values[next++]);  // of the same size, so this cannot fail
  });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
