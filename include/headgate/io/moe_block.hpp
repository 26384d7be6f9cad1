// SPDX-License-Identifier: BSD-3-Clause
// The MoE block of one layer of a checkpoint.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/io/checkpoint.hpp>
#include <headgate/io/model_config_file.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_writer.hpp>
#include <headgate/io/tensor_values.hpp>
#include <headgate/models/family.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A folder with a published model: its config.json and its tensors, mapped.
///
/// One object serves all layers of the model; what is loaded from it keeps the mapping alive. Files of many are opened as they
/// are needed, also by `moe_block::save`, so one thread at a time may load or save.
class model_folder {
 public:
  explicit model_folder(const std::filesystem::path& folder)
      : config_(read_model_config(folder / "config.json")), tensors_(std::make_shared<checkpoint>(folder)) {}

  [[nodiscard]] const model_config& config() const { return config_; }
  [[nodiscard]] const checkpoint& tensors() const { return *tensors_; }
  [[nodiscard]] std::shared_ptr<const checkpoint> share_tensors() const { return tensors_; }
  [[nodiscard]] std::string model_type() const { return config_.text("model_type"); }

 private:
  model_config config_;
  std::shared_ptr<const checkpoint> tensors_;
};

/// True if config.json calls the model what this family answers to.
template <loadable_family Family>
[[nodiscard]] bool answers_to(std::string_view model_type) {
  return std::find(Family::model_types.begin(), Family::model_types.end(), model_type) != Family::model_types.end();
}

namespace detail {

/// Parameters of the right number of experts, without values.
template <loadable_family Family, class T>
[[nodiscard]] auto empty_parameters(const typename Family::shape& shape) {
  typename family_layer<Family, T>::parameters p;
  const auto policies = Family::template policies<T>(shape);
  p.experts.resize(parameterised_of(policies.expert, experts_of(policies.gate)));
  return p;
}

/// The prefix of the layer's block: the first candidate under which the checkpoint has the block's first tensor.
template <loadable_family Family>
[[nodiscard]] std::optional<std::string> find_prefix(const model_folder& from, const typename Family::shape& shape,
                                                     index layer) {
  std::string first;
  auto p = empty_parameters<Family, float>(shape);
  Family::tensors(shape, p, [&](const auto&, const tensor_part& part) {
    if (first.empty()) first = part.name;
  });
  for (std::string prefix : Family::prefixes(layer))
    if (from.tensors().find(prefix + first)) return prefix;
  return std::nullopt;
}

/// The matrices of a layer, by the names of the tensors that they are parts of.
template <class T>
using tensor_parts = std::map<std::string, std::vector<std::pair<tensor_part, view<const T>>>>;

template <loadable_family Family, class T>
[[nodiscard]] tensor_parts<T> parts_of(const family_layer<Family, T>& from, const typename Family::shape& shape,
                                       const std::string& prefix) {
  tensor_parts<T> parts;
  Family::tensors(shape, from.params(), [&](const auto& matrix, const tensor_part& part) {
    parts[prefix + part.name].push_back({part, view_of(matrix)});
  });
  return parts;
}

/// Writes tensors to a file: those that have parts from these, all else is what bytes_before(i, bytes) makes of them.
template <class T, class Bytes>
void write_tensors(const std::filesystem::path& path, const std::vector<tensor_outline>& outlines,
                   const tensor_parts<T>& parts, const Bytes& bytes_before) {
  std::vector<std::byte> bytes;
  write_safetensors(path, outlines, [&](index i, const auto& put) {
    const tensor_outline& tensor = outlines[static_cast<std::size_t>(i)];
    bytes_before(i, bytes);
    if (const auto found = parts.find(tensor.name); found != parts.end())
      for (const auto& [part, matrix] : found->second)
        write_part<T>(path.string(), tensor.name, tensor.type, part, matrix, bytes.data());
    put(bytes.data(), bytes.size());
  });
}

}  // namespace detail

/// Writes a layer of a family, however it was made, to a safetensors file, under the names that the family has for this
/// layer of a model, in the layer's own number format.
template <loadable_family Family, class Layer>
void save_moe_layer(const Layer& from, const typename Family::shape& shape, const std::filesystem::path& path,
                    index layer = 0) {
  using T = typename Layer::scalar;
  static_assert(std::is_base_of_v<family_layer<Family, T>, Layer>,
                "save_moe_layer: the layer is not one of this family (headgate::family_layer)");
  const auto parts = detail::parts_of<Family, T>(from, shape, Family::prefixes(layer)[0]);
  std::vector<tensor_outline> outlines;
  for (const auto& [name, of_tensor] : parts) outlines.push_back({name, dtype_of<T>, of_tensor[0].first.shape});
  detail::write_tensors<T>(path, outlines, parts, [&](index i, std::vector<std::byte>& bytes) {
    const tensor_outline& tensor = outlines[static_cast<std::size_t>(i)];
    bytes.assign(static_cast<std::size_t>(bytes_of(tensor.type, tensor.shape)), std::byte{0});
  });
}

/// Refuses a model of another family.
template <loadable_family Family>
void check_family(const model_folder& from) {
  if (const std::string type = from.model_type(); !answers_to<Family>(type))
    refuse_file(from.config().source(), "model_type is '", type, "', ", Family::name, " is '", Family::model_types[0],
                "'");
}

/// Refuses a config.json of whose numbers no layer can be made.
template <loadable_family Family, class T>
void check_shape_of(const model_folder& from, const typename Family::shape& shape) {
  HEADGATE_TRY {
    const auto p = Family::template policies<T>(shape);
    check_policies(p.gate, p.expert, p.shared, p.options);
  }
  HEADGATE_CATCH(std::invalid_argument, error) { refuse_file(from.config().source(), error.what()); }
}

/// What the names of the tensors of this layer's block begin with. Refuses a layer without such a block.
template <loadable_family Family>
[[nodiscard]] std::string require_prefix(const model_folder& from, const typename Family::shape& shape, index layer) {
  if (auto prefix = detail::find_prefix<Family>(from, shape, layer)) return *prefix;
  refuse_file(from.tensors().path(), "layer ", layer, " has no MoE block: no tensor of a ", Family::name,
              " block begins with '", Family::prefixes(layer)[0], "'");
}

/// Refuses a block with a bias that the family does not have: the model is another than it says. Other unknown tensors are
/// carried along (`moe_block::save`).
inline void refuse_unused_biases(const checkpoint& from, const std::string& prefix, const std::set<std::string>& used) {
  from.for_each_with_prefix(prefix, [&](const std::string& name, const tensor_in_file& tensor) {
    if (name.ends_with("bias") && !used.contains(name))
      refuse_file(tensor.file->path(), "has a tensor '", name, "', which this family does not compute with");
  });
}

/// True if this layer of the model has an MoE block; some models begin with dense layers.
template <loadable_family Family>
[[nodiscard]] bool has_moe_block(const model_folder& from, index layer) {
  return detail::find_prefix<Family>(from, Family::read(from.config(), layer), layer).has_value();
}

/// A `layer` whose parameters came from a checkpoint, and which can be saved as it came: the same names, shapes and number
/// formats. 32-bit weights that lie in the file as the layer wants them are not copied but mapped; training changes the
/// memory, never the file.
template <loadable_family Family, class T = float>
class moe_block : public family_layer<Family, T> {
 public:
  using family = Family;
  using shape_type = typename Family::shape;
  using layer_type = family_layer<Family, T>;

  /// Reads the block of layer `number`.
  moe_block(const model_folder& from, index number) : moe_block(from, number, shape_of(from, number)) {}

  [[nodiscard]] const shape_type& shape() const { return shape_; }
  /// What the names of the block's tensors begin with: "model.layers.0.mlp."
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

  /// Writes the block's tensors to a safetensors file of its own. What was not changed has the bits that it had in the
  /// checkpoint; changed values are rounded to the checkpoint's number format. Tensors under the block's prefix that the
  /// layer does not use are copied. Holds one tensor at a time in memory, a stack of experts as a whole.
  void save(const std::filesystem::path& path) const {
    std::vector<tensor_outline> outlines;
    std::vector<tensor_in_file> sources;
    source_->for_each_with_prefix(prefix_, [&](const std::string& name, const tensor_in_file& tensor) {
      outlines.push_back({name, tensor.what->type, tensor.what->shape});
      sources.push_back(tensor);
    });
    detail::write_tensors<T>(path, outlines, detail::parts_of<Family, T>(*this, shape_, prefix_),
                             [&](index i, std::vector<std::byte>& bytes) {
                               const tensor_in_file& tensor = sources[static_cast<std::size_t>(i)];
                               const auto stored = tensor.file->bytes(*tensor.what);
                               bytes.assign(stored.begin(), stored.end());
                             });
  }

 private:
  static shape_type shape_of(const model_folder& from, index number) {
    check_family<Family>(from);
    const shape_type shape = Family::read(from.config(), number);
    check_shape_of<Family, T>(from, shape);
    return shape;
  }
  moe_block(const model_folder& from, index number, const shape_type& shape)
      : moe_block(from, shape, require_prefix<Family>(from, shape, number), Family::template policies<T>(shape)) {}

  template <class Policies>
  moe_block(const model_folder& from, const shape_type& shape, std::string prefix, Policies policies)
      : layer_type(policies.gate, policies.expert, policies.shared, read(from, shape, prefix), policies.options),
        shape_(shape),
        prefix_(std::move(prefix)),
        source_(from.share_tensors()) {}

  static typename layer_type::parameters read(const model_folder& from, const shape_type& shape,
                                              const std::string& prefix) {
    auto p = detail::empty_parameters<Family, T>(shape);
    // A tensor of many matrices that were converted (a stack of experts) would stay in memory beside its copy: read_part
    // gives back only what is one matrix.
    const auto leave = [](const tensor_in_file& tensor) {
      if (tensor && describe(tensor.what->type).bytes == 2) tensor.file->drop_pages(*tensor.what);
    };
    tensor_in_file last;
    std::set<std::string> used;
    Family::tensors(shape, p, [&](auto& matrix, const tensor_part& part) {
      used.insert(prefix + part.name);
      const tensor_in_file tensor = find_tensor(from.tensors(), prefix, part);
      if (tensor.what != last.what) leave(std::exchange(last, tensor));
      read_part(tensor, part, matrix);
    });
    leave(last);
    refuse_unused_biases(from.tensors(), prefix, used);
    return p;
  }

  shape_type shape_;
  std::string prefix_;
  std::shared_ptr<const checkpoint> source_;
};

/// The MoE block of one layer of a model in a folder with config.json and safetensors files.
///
///   auto block = hg::load_moe_block<hg::mixtral>("Mixtral-8x7B-v0.1", /*layer=*/0);
///   hg::matrix<float> y = block(x);
///
/// Every fault of the files is a std::runtime_error of one sentence.
template <loadable_family Family, class T = float>
[[nodiscard]] moe_block<Family, T> load_moe_block(const model_folder& from, index layer) {
  return moe_block<Family, T>(from, layer);
}
template <loadable_family Family, class T = float>
[[nodiscard]] moe_block<Family, T> load_moe_block(const std::filesystem::path& folder, index layer) {
  return moe_block<Family, T>(model_folder(folder), layer);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
