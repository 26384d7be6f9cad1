// SPDX-License-Identifier: BSD-3-Clause
// A routing trace on disk; one that is accepted is written again and must come back with the same bits.
#include <headgate/io/routing_trace_file.hpp>

#include "fuzz/file_on_disk.hpp"
#include "fuzz/fuzz.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace hg = headgate;

namespace {

template <class T>
void parse(const headgate_fuzz::file_on_disk& input) {
  static const headgate_fuzz::file_on_disk output("routing_trace_again");
  headgate_fuzz::run(input.path().string(), [&] {
    const hg::routing_trace<T> trace = hg::load_routing_trace<T>(input.path());
    headgate_fuzz::accepted = true;
    hg::save_routing_trace(trace, output.path());
    const hg::routing_trace<T> back = hg::load_routing_trace<T>(output.path());
    headgate_fuzz::demand(back.size() == trace.size(), "a trace comes back with its passes");
    for (hg::index pass = 0; pass < trace.size(); ++pass) {
      headgate_fuzz::demand(back[pass].tokens() == trace[pass].tokens(), "a pass comes back with its tokens");
      for (hg::index token = 0; token < trace[pass].tokens(); ++token) {
        const auto ids = trace[pass].experts_of(token), ids_back = back[pass].experts_of(token);
        headgate_fuzz::demand(std::equal(ids.begin(), ids.end(), ids_back.begin(), ids_back.end()),
                              "a token comes back with its experts");
        for (const hg::index id : ids)
          headgate_fuzz::demand(id >= 0 && id < trace.experts(), "a token's experts are there");
        const auto weights = trace[pass].weights_of(token), weights_back = back[pass].weights_of(token);
        headgate_fuzz::demand(
            weights.size() == weights_back.size() &&
                (weights.empty() || std::memcmp(weights.data(), weights_back.data(), weights.size() * sizeof(T)) == 0),
            "a token comes back with the bits of its weights");
      }
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const headgate_fuzz::file_on_disk input("routing_trace");
  input.write(data, size);
  parse<float>(input);
  parse<double>(input);
  return 0;
}
