// SPDX-License-Identifier: BSD-3-Clause
// Runs a fuzzer's function once on every file of its corpus, without libFuzzer: for any compiler and its sanitizers. Files
// whose names begin with "bad_" or "empty" must be refused, all others accepted.
//   <program> <folder>
#include "fuzz/fuzz.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

int main(int count, char** arguments) {
  int files = 0;
  if (count == 2)
    for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
      std::printf("%s\n", entry.path().string().c_str());  // the last line names the culprit, should this one crash
      std::fflush(stdout);
      const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
      headgate_fuzz::accepted = false;
      LLVMFuzzerTestOneInput(exact.data(), exact.size());
      const std::string name = entry.path().filename().string();
      const bool bad = name.starts_with("bad_") || name.starts_with("empty");
      headgate_fuzz::demand(headgate_fuzz::accepted != bad, "a seed is accepted or refused as its name says");
      ++files;
    }
  std::printf("%d files\n", files);
  return files > 0 ? 0 : 1;
}
