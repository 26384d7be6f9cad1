// SPDX-License-Identifier: BSD-3-Clause
// A whole safetensors file on disk: every tensor of one that is accepted can be found and its bytes be read.
#include <headgate/io/safetensors_file.hpp>

#include "fuzz/fuzz.hpp"
#include "support/own_path.hpp"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hg = headgate;

namespace {

/// A file that every input overwrites.
struct file_on_disk {
  std::filesystem::path path = headgate_test::own_path("headgate_fuzz.safetensors");
  ~file_on_disk() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const file_on_disk on_disk;
  std::ofstream(on_disk.path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  headgate_fuzz::run(on_disk.path.string(), [&] {
    hg::safetensors_file file(on_disk.path);
    std::size_t at = size;
    for (const hg::tensor_description& tensor : file.tensors())
      at -= static_cast<std::size_t>(tensor.end - tensor.begin);
    for (const hg::tensor_description& tensor : file.tensors()) {
      headgate_fuzz::demand(file.find(tensor.name) == &tensor, "a tensor is found by its name");
      const auto count = static_cast<std::size_t>(tensor.end - tensor.begin);
      std::vector<char> bytes(count);
      file.read_raw(tensor, bytes.data());
      headgate_fuzz::demand(count == 0 || std::memcmp(bytes.data(), data + at, count) == 0, "bytes are the file's");
      at += count;
      if (hg::widens_exactly<double>(tensor.type)) {
        std::vector<double> values(static_cast<std::size_t>(tensor.size()));
        file.read(tensor, values.data());
      }
    }
    headgate_fuzz::demand(at == size, "the data end with the file");
    headgate_fuzz::accepted = true;
  });
  return 0;
}
