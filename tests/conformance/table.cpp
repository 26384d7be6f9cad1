// SPDX-License-Identifier: BSD-3-Clause
// Every published family with a fixture: its block, loaded from its own checkpoint, against its own code. Prints the table
// that stands in README.md.
#include "support/catch.hpp"
#include "support/conformance.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

using namespace headgate_test;

TEST_CASE("blocks of published models compute what the models' own code computes", "[conformance]") {
  auto& cases = conformance_cases();
  std::sort(cases.begin(), cases.end(), [](const auto& a, const auto& b) { return a.folder < b.folder; });

  std::size_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(fixture_folder(""))) folders += entry.is_directory();
  CHECK(folders == 14);
#ifdef HEADGATE_EVERY_FAMILY
  CHECK(cases.size() == folders);
#else
  CHECK(cases.size() == 5);  // of the families that tests/CMakeLists.txt keeps, those with a fixture
#endif

  std::printf("| Family | Fixture | Output | dx | d(router) | d(experts) |\n| --- | --- | --- | --- | --- | --- |\n");
  for (const auto& one : cases) {
    INFO(one.folder);
    const conformance_result r = one.run();
    std::printf("| %s | `%s` | %.1e | %.1e | %.1e | %.1e |\n", r.family.c_str(), r.folder.c_str(), r.output,
                r.input_gradient, r.router_gradient, r.expert_gradient);
    CHECK(r.output <= 2e-6);
    CHECK(r.input_gradient <= 2e-5);
    CHECK(r.router_gradient <= 2e-5);
    CHECK(r.expert_gradient <= 2e-5);
    CHECK(r.expert_gradient > 0);  // something was compared
  }
}
