// SPDX-License-Identifier: BSD-3-Clause
// The index of a checkpoint in several files, from memory.
#include <headgate/io/checkpoint_index.hpp>

#include "fuzz/fuzz.hpp"

#include <cstdint>
#include <set>
#include <string>

namespace hg = headgate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  headgate_fuzz::run("f", [&] {
    const hg::checkpoint_index found = hg::parse_checkpoint_index("f", headgate_fuzz::text_of(data, size));
    std::set<std::string> names, files;
    std::set<std::size_t> used;
    for (const std::string& file : found.files) {
      headgate_fuzz::demand(files.insert(file).second, "files are unique");
      headgate_fuzz::demand(!file.empty() && file != "." && file != ".." && file.find_first_of("/\\") == file.npos,
                            "no file is outside the folder");
    }
    for (const auto& tensor : found.tensors) {
      headgate_fuzz::demand(names.insert(tensor.name).second, "names are unique");
      headgate_fuzz::demand(*names.rbegin() == tensor.name, "names are sorted");
      headgate_fuzz::demand(tensor.file < found.files.size(), "a tensor is in one of the files");
      used.insert(tensor.file);
    }
    headgate_fuzz::demand(used.size() == files.size(), "every file has a tensor");
    headgate_fuzz::accepted = true;
  });
  return 0;
}
