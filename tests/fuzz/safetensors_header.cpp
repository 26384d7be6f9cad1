// SPDX-License-Identifier: BSD-3-Clause
// The header of a safetensors file from memory: two bytes that say how long the data are, then the JSON text.
#include <headgate/io/safetensors_header.hpp>

#include "fuzz/fuzz.hpp"

#include <cstdint>
#include <set>
#include <string>

namespace hg = headgate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const hg::index data_bytes = data[0] | data[1] << 8;
  headgate_fuzz::run("f", [&] {
    const hg::safetensors_header header =
        hg::parse_safetensors_header("f", headgate_fuzz::text_of(data + 2, size - 2), data_bytes);
    hg::index end = 0;
    std::set<std::string> names;
    for (const hg::tensor_description& tensor : header.tensors) {
      headgate_fuzz::demand(tensor.begin == end && tensor.end >= tensor.begin, "ranges follow one another");
      hg::index count = 1;
      for (const hg::index extent : tensor.shape) count *= extent;
      headgate_fuzz::demand(tensor.size() == count, "a range is as long as the shape says");
      headgate_fuzz::demand(names.insert(tensor.name).second, "names are unique");
      end = tensor.end;
    }
    headgate_fuzz::demand(end == data_bytes, "ranges cover the data");
    headgate_fuzz::accepted = true;
  });
  return 0;
}
