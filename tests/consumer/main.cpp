// SPDX-License-Identifier: BSD-3-Clause
// What a user's program looks like to the build: one include, nothing else of ours.
#include <headgate/headgate.hpp>

#include <cstdio>

int main() {
  std::printf("headgate %d.%d.%d\n", headgate::version_major, headgate::version_minor, headgate::version_patch);
  return headgate::matrix<float>::Ones(2, 3).sum() == 6.0f ? 0 : 1;
}
