// SPDX-License-Identifier: BSD-3-Clause
// The MoE block of one layer of a checkpoint, packed on the way in.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/io/checkpoint.hpp>
#include <headgate/io/moe_block.hpp>
#include <headgate/io/tensor_values.hpp>
#include <headgate/models/family.hpp>
#include <headgate/packed_layer.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

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
  const std::string prefix = require_prefix<Family>(from, shape, layer);

  // What each matrix is, in the order of experts; the gate's and the shared expert's are read at once.
  auto p = detail::empty_parameters<Family, T>(shape);
  const index count = p.experts.size();
  array<array<std::function<void()>>> of_expert(count);
  array<array<tensor_in_file>> tensors_of(count);
  Family::tensors(shape, p, [&](auto& matrix, const tensor_part& part) {
    const tensor_in_file tensor = find_tensor(from.tensors(), prefix, part);
    for (index e = 0; e < count; ++e) {
      const auto first = reinterpret_cast<std::uintptr_t>(&p.experts[e]);
      const auto here = reinterpret_cast<std::uintptr_t>(&matrix);
      if (here < first || here >= first + sizeof p.experts[e]) continue;
      of_expert[e].push_back([tensor, part, &matrix] { read_part(tensor, part, matrix); });
      tensors_of[e].push_back(tensor);
      return;
    }
    read_part(tensor, part, matrix);
  });

  auto policies = Family::template policies<T>(shape);
  const auto source = [&](index e) -> const auto& {
    if (e > 0) {
      p.experts[e - 1] = {};
      for (const tensor_in_file& done : tensors_of[e - 1])
        if (std::none_of(tensors_of[e].begin(), tensors_of[e].end(),
                         [&](const tensor_in_file& next) { return next.what == done.what; }))
          done.file->drop_pages(*done.what);
    }
    for (const auto& read : of_expert[e]) read();
    return p.experts[e];
  };
  return {policies.gate, policies.expert, policies.shared, p, policies.options, source};
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
