// SPDX-License-Identifier: BSD-3-Clause
// What every fuzzer of a parser demands. A target is one file, `<parser>.cpp`, that defines LLVMFuzzerTestOneInput; its
// seeds are corpus/<parser>/, its words <parser>.dict if it has any.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace headgate_fuzz {

/// Set by a target when the parser took the input. The replay of the seeds compares it with the seed's name.
inline bool accepted = false;

[[noreturn]] inline void broken(std::string_view promise, std::string_view found) {
  std::fprintf(stderr, "broken promise: %.*s: %.*s\n", static_cast<int>(promise.size()), promise.data(),
               static_cast<int>(found.size()), found.data());
  std::abort();
}

inline void demand(bool holds, std::string_view promise) {
  if (!holds) broken(promise, "it does not hold");
}

/// Runs a parser, of which nothing but a std::runtime_error may come out: one sentence that begins with the path.
template <class Parse>
void run(std::string_view path, Parse parse) {
  try {
    parse();
  } catch (const std::runtime_error& error) {
    const std::string_view text = error.what();
    if (!text.starts_with(path) || text.substr(path.size(), 2) != ": ") broken("an error begins with the path", text);
    if (text.size() > 1100 + path.size()) broken("an error is one sentence", text);
    for (const char letter : text)
      if (letter >= 0 && letter < ' ') broken("an error has no control characters", text);
  }
}

/// The input as a text. Its memory ends where it ends (libFuzzer and the replay see to that), so a sanitizer sees a step
/// beyond.
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace headgate_fuzz
