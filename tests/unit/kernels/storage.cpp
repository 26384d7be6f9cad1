// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/storage.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

#include <cstdint>
#include <vector>

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

using arch = xsimd::default_arch;

/// What `load` makes of a step, column by column.
template <class T, class Storage>
std::vector<T> loaded(const Storage* step) {
  using batch = xsimd::batch<T, arch>;
  batch low, high;
  k::panel_storage<arch, T, Storage>::load(step, low, high);
  std::vector<T> values(2 * batch::size);
  low.store_unaligned(values.data());
  high.store_unaligned(values.data() + batch::size);
  return values;
}

/// Each column has a place of its own within the step.
template <class T, class Storage>
bool has_a_place_for_each_column() {
  constexpr hg::index width = k::panel_width<arch, T>;
  std::vector<int> used(static_cast<std::size_t>(width), 0);
  for (hg::index j = 0; j < width; ++j) {
    const hg::index at = k::panel_storage<arch, T, Storage>::position(j);
    if (at < 0 || at >= width) return false;
    ++used[static_cast<std::size_t>(at)];
  }
  return std::count(used.begin(), used.end(), 1) == width;
}

}  // namespace

TEMPLATE_TEST_CASE("load widens every 16-bit pattern in every column to what the scalar conversion gives",
                   "[kernels][storage]", hg::bf16, hg::fp16) {
  using Storage = TestType;
  constexpr hg::index width = k::panel_width<arch, float>;
  int wrong = 0;
  std::vector<Storage> memory(static_cast<std::size_t>(width + 1));
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}})  // an odd step too
    for (std::uint32_t first = 0; first < 0x10000; ++first) {
      Storage* const step = memory.data() + offset;
      const auto pattern = [&](hg::index j) {
        Storage s;  // neighbours differ in every bit, so that a stray bit of one shows in the other
        s.bits = static_cast<std::uint16_t>(j % 2 ? ~first - static_cast<std::uint32_t>(j)
                                                  : first + static_cast<std::uint32_t>(j));
        return s;
      };
      for (hg::index j = 0; j < width; ++j) step[k::panel_storage<arch, float, Storage>::position(j)] = pattern(j);
      const std::vector<float> values = loaded<float>(static_cast<const Storage*>(step));
      for (hg::index j = 0; j < width; ++j) {
        const float expected = static_cast<float>(pattern(j)), value = values[static_cast<std::size_t>(j)];
        wrong += !same_bits(value, expected) || std::signbit(value) != std::signbit(expected);
      }
    }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("load leaves unconverted numbers as they are", "[kernels][storage]", float, double) {
  using T = TestType;
  constexpr hg::index width = k::panel_width<arch, T>;
  numbers next(1);
  std::vector<T> memory(static_cast<std::size_t>(width + 1));
  for (auto& v : memory) v = next.awkward<T>();
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}}) {
    const std::vector<T> values = loaded<T>(static_cast<const T*>(memory.data() + offset));
    for (hg::index j = 0; j < width; ++j) {
      const auto at = static_cast<std::size_t>(k::panel_storage<arch, T, T>::position(j));
      CHECK(same_bits(values[static_cast<std::size_t>(j)], memory[offset + at]));
    }
  }
}

TEST_CASE("every storage has a place in the step for each column", "[kernels][storage]") {
  CHECK(has_a_place_for_each_column<float, float>());
  CHECK(has_a_place_for_each_column<double, double>());
  CHECK(has_a_place_for_each_column<float, hg::bf16>());
  CHECK(has_a_place_for_each_column<float, hg::fp16>());
  CHECK(k::panel_width<arch, float> == 2 * width<float>);
}
