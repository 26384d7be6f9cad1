// SPDX-License-Identifier: BSD-3-Clause
// Saving and loading of modules in the safetensors format (github.com/huggingface/safetensors).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_file.hpp>
#include <headgate/io/safetensors_header.hpp>
#include <headgate/io/safetensors_writer.hpp>

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

/// Writes all tensors that `module.for_each_tensor(f)` visits as f(name, matrix): F32 for float, F64 for double, shape
/// [rows, columns], aligned, in one piece or not at all (`safetensors_writer`).
template <class Module>
void save(const Module& module, const std::filesystem::path& path) {
  std::vector<tensor_outline> tensors;
  module.for_each_tensor([&](std::string_view name, const auto& m) {
    using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
    tensor_outline& one = tensors.emplace_back();
    one.name = name;
    one.type = dtype_of<scalar>;
    one.shape = array<index>(2, m.rows());
    one.shape[1] = m.cols();
  });
  safetensors_writer file(path, tensors);
  for (const std::size_t width : {sizeof(double), sizeof(float)})  // the writer's order
    module.for_each_tensor([&](std::string_view, const auto& m) {
      using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
      if (sizeof(scalar) == width) file.write(m.data(), static_cast<std::size_t>(m.size()) * sizeof(scalar));
    });
  file.commit();
}

namespace detail {

/// A tensor of one of several files.
struct placed_tensor {
  const safetensors_file* file = nullptr;
  const tensor_description* what = nullptr;
};

/// Refuses a tensor that a matrix of this name cannot take.
template <class M>
void check_tensor(const safetensors_file& file, std::string_view name, const tensor_description* tensor, const M& m) {
  using scalar = typename M::Scalar;
  if (tensor == nullptr)
    refuse_file(file.path(), "has no tensor '", name, "', expected one of shape [", m.rows(), ", ", m.cols(), "]");
  if (tensor->shape.size() != 2 || tensor->shape[0] != m.rows() || tensor->shape[1] != m.cols())
    refuse_file(file.path(), "tensor '", name, "' has shape ", shape_text(tensor->shape), ", expected [", m.rows(),
                ", ", m.cols(), "]");
  if (!widens_exactly<scalar>(tensor->type))
    refuse_file(file.path(), "tensor '", name, "' is ", describe(tensor->type).name, ", expected ",
                describe(dtype_of<scalar>).name, " or a narrower float");
}

/// Reads the tensors that the module visits, in its order, all of them before it touches the module.
template <class Module>
void read_tensors(Module& module, const std::vector<placed_tensor>& from) {
  std::vector<std::variant<matrix<float>, matrix<double>>> values;
  values.reserve(from.size());
  module.for_each_tensor([&](std::string_view, const auto& m) {
    using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
    auto& value = values.emplace_back(std::in_place_type<matrix<scalar>>, m.rows(), m.cols());
    const placed_tensor& tensor = from[values.size() - 1];
    tensor.file->read(*tensor.what, std::get<matrix<scalar>>(value).data());
  });
  std::size_t next = 0;
  module.for_each_tensor([&](std::string_view, auto& m) {
    using scalar = typename std::remove_cvref_t<decltype(m)>::Scalar;
    m = std::get<matrix<scalar>>(values[next++]);  // of the same size, so this cannot fail
  });
}

}  // namespace detail

/// Reads all tensors that `module.for_each_tensor(f)` visits as f(name, matrix) from the file.
///
/// The file must hold exactly these tensors (`load_part` takes more), of exactly these shapes; elements are of the matrix's
/// own type or of a narrower float (F16 and BF16 into float, F32 too into double), which widens exactly. All names, types and
/// shapes are checked first, and all data are read into temporaries before the module is touched: a load that throws
/// (std::runtime_error) has changed nothing.
template <class Module>
void load(Module& module, const std::filesystem::path& path) {
  const safetensors_file file(path);
  std::vector<detail::placed_tensor> wanted;
  std::set<const tensor_description*> known;
  module.for_each_tensor([&](std::string_view name, const auto& m) {
    const tensor_description* const tensor = file.find(name);
    detail::check_tensor(file, name, tensor, m);
    wanted.push_back({&file, tensor});
    known.insert(tensor);
  });
  for (const tensor_description& tensor : file.tensors())
    if (!known.contains(&tensor))
      refuse_file(file.path(), "has a tensor '", tensor.name, "' of shape ", shape_text(tensor.shape),
                  ", which the module does not have");
  detail::read_tensors(module, wanted);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
