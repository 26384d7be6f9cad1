// SPDX-License-Identifier: BSD-3-Clause
// A .npy file from memory; what is accepted is written again and must come back with the same bits.
#include <headgate/io/npy.hpp>

#include "fuzz/fuzz.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace hg = headgate;

namespace {

template <class T>
void parse(std::string_view bytes, hg::narrowing rounding) {
  headgate_fuzz::run("f", [&] {
    const hg::matrix<T> m = hg::parse_npy<T>("f", bytes, rounding);
    const std::size_t count = static_cast<std::size_t>(m.size()) * sizeof(T);
    std::string written = hg::npy_header_text(hg::dtype_of<T>, m.rows(), m.cols());
    if (count > 0) written.append(reinterpret_cast<const char*>(m.data()), count);
    const hg::matrix<T> back = hg::parse_npy<T>("f", written);
    headgate_fuzz::demand(back.rows() == m.rows() && back.cols() == m.cols(), "a matrix comes back with its shape");
    headgate_fuzz::demand(count == 0 || std::memcmp(back.data(), m.data(), count) == 0, "every bit comes back");
    headgate_fuzz::accepted = true;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = headgate_fuzz::text_of(data, size);
  parse<float>(bytes, hg::narrowing::refused);
  parse<float>(bytes, hg::narrowing::rounded);
  parse<double>(bytes, hg::narrowing::refused);
  return 0;
}
