// SPDX-License-Identifier: BSD-3-Clause
// A whole safetensors file on disk: every tensor of one that is accepted can be found and its bytes be read.
#include <headgate/io/safetensors_file.hpp>

#include "fuzz/file_on_disk.hpp"
#include "fuzz/fuzz.hpp"

#include <cstdint>
#include <cstring>
#include <vector>

namespace hg = headgate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const headgate_fuzz::file_on_disk on_disk("safetensors");
  on_disk.write(data, size);
  headgate_fuzz::run(on_disk.path().string(), [&] {
    hg::safetensors_file file(on_disk.path());
    const auto bytes_of = [](const hg::tensor_description& tensor) {
      return static_cast<std::size_t>(tensor.end - tensor.begin);
    };
    std::size_t at = size;  // of the next tensor's bytes in the input: the data end with it
    for (const hg::tensor_description& tensor : file.tensors()) at -= bytes_of(tensor);
    for (const hg::tensor_description& tensor : file.tensors()) {
      headgate_fuzz::demand(file.find(tensor.name) == &tensor, "a tensor is found by its name");
      std::vector<char> bytes(bytes_of(tensor));
      file.read_raw(tensor, bytes.data());
      headgate_fuzz::demand(bytes.empty() || std::memcmp(bytes.data(), data + at, bytes.size()) == 0,
                            "a tensor's bytes are the file's");
      at += bytes.size();
      if (hg::widens_exactly<double>(tensor.type)) {
        std::vector<double> values(static_cast<std::size_t>(tensor.size()));
        file.read(tensor, values.data());
      }
    }
    headgate_fuzz::accepted = true;
  });
  return 0;
}
