// SPDX-License-Identifier: BSD-3-Clause
// The count itself, without which zero allocations would mean nothing.
#include "allocation/counting_new.hpp"
#include "support/catch.hpp"

#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>

#include <vector>

using headgate_test::allocations_of;

namespace {

void* volatile seen;  // keeps the compiler from removing a pair of new and delete

struct alignas(64) line {
  char bytes[64];
};

}  // namespace

TEST_CASE("every way to ask for memory is counted", "[allocation]") {
  CHECK(allocations_of([] {}) == 0);
  CHECK(allocations_of([] { seen = std::vector<int>(3).data(); }) > 0);
  CHECK(allocations_of([] {
          line* const one = new line;
          seen = one;
          delete one;
        }) > 0);
  CHECK(allocations_of([] {
          line* const three = new line[3];
          seen = three;
          delete[] three;
        }) > 0);
  CHECK(allocations_of([] { seen = headgate::scratch<float>().resize(3, 3).data; }) > 0);
  if (headgate_test::counts_malloc) {
    CHECK(allocations_of([] { seen = headgate::matrix<float>(3, 3).data(); }) > 0);
    CHECK(allocations_of([] {
            void* const memory = std::malloc(100);
            seen = memory;
            std::free(memory);
          }) > 0);
  }
}
