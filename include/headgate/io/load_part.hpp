// SPDX-License-Identifier: BSD-3-Clause
// Loading of a module that is a part of what files hold, or whose parts lie in several files.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors.hpp>
#include <headgate/io/safetensors_file.hpp>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <string_view>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Reads all tensors that `module.for_each_tensor(f)` visits as f(name, matrix) from whichever of the files has them. The files
/// may hold other tensors too, whose bytes are not read:
///
///   load_part(rank_layer, {whole})                   a rank's experts, gate and shared expert from a whole layer's file
///   load_part(whole_layer, {rank_0, rank_1, ...})    a whole layer from what its ranks have saved
///   load_part(rank_layer, {rank_0, rank_1, ...})     a rank of another placement from the same files
///
/// A tensor that several files have (a gate that every rank has saved) must have the same bytes in all. So files of different
/// steps are refused, if they share a tensor that has changed in between: not where the gate is frozen or has no parameters.
/// Otherwise as `load`: a call that throws (std::runtime_error) has changed nothing.
template <class Module>
void load_part(Module& module, const std::vector<std::filesystem::path>& paths) {
  std::deque<safetensors_file> files;
  for (const std::filesystem::path& path : paths) files.emplace_back(path);
  if (files.empty()) refuse("load_part: there are no files");
  std::vector<detail::placed_tensor> wanted;
  module.for_each_tensor([&](std::string_view name, const auto& m) {
    detail::placed_tensor first;
    for (const safetensors_file& file : files) {
      const tensor_description* const tensor = file.find(name);
      if (tensor == nullptr) continue;
      detail::check_tensor(file, name, tensor, m);
      if (first.what == nullptr)
        first = {&file, tensor};
      else if (tensor->type != first.what->type ||
               !std::ranges::equal(file.bytes(*tensor), first.file->bytes(*first.what)))
        refuse_file(file.path(), "tensor '", name, "' is not the one of ", first.file->path());
    }
    if (first.what == nullptr && files.size() > 1)
      refuse_file(files.front().path(), "has no tensor '", name, "', nor has any of the ", files.size() - 1,
                  " files after it");
    if (first.what == nullptr) detail::check_tensor(files.front(), name, nullptr, m);
    wanted.push_back(first);
  });
  detail::read_tensors(module, wanted);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
