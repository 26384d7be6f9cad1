// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/combine.hpp>
#include <headgate/reference/combine.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

const std::vector<hg::index> offsets{0, 2, 2, 5, 6};  // the second token has no slot
const std::vector<hg::index> slots{3, 0, 5, 1, 4, 2};
constexpr hg::index tokens = 4, slot_count = 6;

template <class T>
void combine(guarded<T>& rows, const T* weights, hg::view<T> y, hg::index first, hg::index last, bool accumulate) {
  k::combine_rows<xsimd::default_arch, T>(rows.view(), offsets.data(), slots.data(), weights, y, first, last,
                                          accumulate);
}

}  // namespace

TEMPLATE_TEST_CASE("combine_rows is exact on whole numbers for every width", "[kernels][combine]", float, double) {
  using T = TestType;
  numbers next(1);
  const auto whole = [&] { return static_cast<T>(next.below(40) - 20); };
  for (hg::index cols = 0; cols <= longest_row<T>; ++cols) {
    guarded<T> rows(slot_count, cols, 1, 2), y(tokens, cols, 3, 1), expected(tokens, cols), weights(1, slot_count);
    rows.fill(whole), y.fill(whole), weights.fill(whole);
    for (const T* w : {static_cast<const T*>(nullptr), static_cast<const T*>(weights.row())})
      for (const bool accumulate : {false, true}) {
        for (hg::index t = 0; t < tokens; ++t)
          for (hg::index c = 0; c < cols; ++c) {
            T sum = accumulate ? y(t, c) : T{0};
            for (auto i = static_cast<std::size_t>(offsets[static_cast<std::size_t>(t)]);
                 i < static_cast<std::size_t>(offsets[static_cast<std::size_t>(t) + 1]); ++i)
              sum += (w ? w[slots[i]] : T{1}) * rows(slots[i], c);
            expected(t, c) = sum;
          }
        combine<T>(rows, w, y.view(), 0, tokens, accumulate);
        CAPTURE(cols, accumulate);
        CHECK(same_bits(y.view(), expected.view()));
        CHECK(y.guards_are_intact());
      }
  }
}

TEMPLATE_TEST_CASE("combine_rows has the same bits for any split of the tokens", "[kernels][combine]", float, double) {
  using T = TestType;
  numbers next(2);
  guarded<T> rows(slot_count, 21, 1), y(tokens, 21), weights(1, slot_count);
  rows.fill([&] { return next.within(T{1}); });
  weights.fill([&] { return next.within(T{1}); });
  combine<T>(rows, weights.row(), y.view(), 0, tokens, false);
  for (hg::index cut = 0; cut <= tokens; ++cut) {
    guarded<T> parts(tokens, 21);
    combine<T>(rows, weights.row(), parts.view(), cut, tokens, false);
    combine<T>(rows, weights.row(), parts.view(), 0, cut, false);
    CHECK(same_bits(parts.view(), y.view()));
  }
}

TEMPLATE_TEST_CASE("combine_rows leaves tokens outside its range alone", "[kernels][combine]", float, double) {
  using T = TestType;
  guarded<T> rows(slot_count, 5), y(tokens, 5);
  rows.fill([] { return T{1}; });
  y.fill([] { return T{9}; });
  combine<T>(rows, nullptr, y.view(), 1, 3, false);
  for (hg::index c = 0; c < 5; ++c) {
    CHECK((y(0, c) == T{9} && y(3, c) == T{9}));
    CHECK((y(1, c) == T{0} && y(2, c) == T{3}));
  }
}
