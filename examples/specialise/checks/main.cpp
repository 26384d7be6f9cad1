// SPDX-License-Identifier: BSD-3-Clause
// `headgate_specialise_check NAME` runs the check of that name.
#include "checks.hpp"

#include <cstdio>
#include <map>
#include <string>

int main(int count, char** arguments) {
  using namespace specialise;
  const std::map<std::string, void (*)()> checks{
      {"gradients", gradients}, {"causality", causality}, {"pools", pools},
      {"draws", draws},         {"domains", domains},     {"resumption", resumption},
      {"damage", damage},       {"failures", failures},   {"ranks", ranks}};
  const std::string name = count == 2 ? arguments[1] : "";
  if (!checks.contains(name)) {
    std::fprintf(stderr, "specialise check: '%s' is none of the checks\n", name.c_str());
    return 1;
  }
  try {
    checks.at(name)();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "specialise check %s: %s\n", name.c_str(), error.what());
    return 1;
  }
}
