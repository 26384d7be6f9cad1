// SPDX-License-Identifier: BSD-3-Clause
// The MoE block of one layer of a checkpoint, packed on the way in.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/weights.hpp>
#include <headgate/io/checkpoint.hpp>
#include <headgate/io/moe_block.hpp>
#include <headgate/io/tensor_values.hpp>
#include <headgate/models/family.hpp>
#include <headgate/packed_layer.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The `packed_layer` of a family's block, its weights stored as Storage: bf16 for a checkpoint in bf16 loses nothing.
///
///   auto block = hg::load_packed_moe_block<hg::mixtral, hg::bf16>("Mixtral-8x7B-v0.1", /*layer=*/0);
///
/// Computes what `packed_layer<..., Storage>{load_moe_block<Family>(folder, layer)}` computes, without ever holding more
/// than one expert unpacked: tensors are read where they are mapped, and their pages given back once an expert is packed.
/// Where all experts share one tensor, it stays mapped until the last of them.
template <loadable_family Family, class Storage = float, class T = float>
[[nodiscard]] packed_layer<family_layer<Family, T>, Storage> load_packed_moe_block(const std::filesystem::path& folder,
                                                                                   index layer) {
  const model_folder from(folder);
  check_family<Family>(from);
  const auto shape = Family::read(from.config(), layer);
  check_shape_of<Family, T>(from, shape);
  const std::string prefix = require_prefix<Family>(from, shape, layer);

  // What is to be read for each expert; the gate's and the shared expert's matrices are read at once.
  struct reading {
    tensor_in_file tensor;
    tensor_part part;
    std::variant<matrix<T>*, weights<T>*> to;
  };
  auto p = detail::empty_parameters<Family, T>(shape);
  const index count = p.experts.size();
  array<array<reading>> of_expert(count);
  Family::tensors(shape, p, [&](auto& matrix, const tensor_part& part) {
    const tensor_in_file tensor = find_tensor(from.tensors(), prefix, part);
    const auto here = reinterpret_cast<std::uintptr_t>(&matrix);
    const auto first = reinterpret_cast<std::uintptr_t>(p.experts.data());
    const std::uintptr_t expert = (here - first) / sizeof p.experts[0];  // huge for what lies before the experts
    if (here >= first && expert < static_cast<std::uintptr_t>(count))
      of_expert[static_cast<index>(expert)].push_back({tensor, part, &matrix});
    else
      read_part(tensor, part, matrix);
  });

  auto policies = Family::template policies<T>(shape);
  const auto source = [&](index e) -> const auto& {
    if (e > 0) {
      p.experts[e - 1] = {};
      for (const reading& done : of_expert[e - 1]) {
        const auto is_needed = [&](const reading& next) { return next.tensor.what == done.tensor.what; };
        if (std::none_of(of_expert[e].begin(), of_expert[e].end(), is_needed))
          done.tensor.file->drop_pages(*done.tensor.what);
      }
    }
    for (const reading& one : of_expert[e])
      std::visit([&](auto* matrix) { read_part(one.tensor, one.part, *matrix); }, one.to);
    return p.experts[e];
  };
  return {policies.gate, policies.expert, policies.shared, p, policies.options, source};
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
