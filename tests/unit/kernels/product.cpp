// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/product.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

/// Elements as the comment of `product` defines them.
template <class T>
T left(const k::product<T>& p, hg::index i, hg::index l) {
  return p.a[(p.a_rows ? p.a_rows[i] : i) * p.a_row_stride + l * p.a_depth_stride];
}
template <class T>
T right(const k::product<T>& p, const T* b, hg::index l, hg::index j) {
  return b[(p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride + j * p.b_col_stride];
}

struct operands {
  guarded<float> x{3, 5, 0, 1}, w{4, 5, 0, 2}, v{4, 5, 0, 2}, y{3, 4, 0, 3};
  const hg::index rows[3] = {2, 0, 1};
  const float bias[4] = {}, other_bias[4] = {};

  operands() {
    float value = 0;
    for (guarded<float>* m : {&x, &w, &v, &y}) m->fill([&] { return value += 1; });
  }
};

}  // namespace

TEST_CASE("the makers describe their operands", "[kernels][product]") {
  operands o;
  const auto forward = k::times_transposed<float>(o.x.view(), o.rows, o.w.view(), o.y.view(), o.bias);
  CHECK((forward.rows == 3 && forward.cols == 4 && forward.depth == 5));
  CHECK((forward.a_rows == o.rows && forward.bias == o.bias && !forward.accumulate && !forward.paired));
  CHECK((forward.c == o.y.row() && forward.c_stride == 7));
  const auto input = k::times<float>(o.y.view(), o.w.view(), o.x.view(), true);
  CHECK((input.rows == 3 && input.cols == 5 && input.depth == 4 && input.accumulate && input.c == o.x.row()));
  CHECK_FALSE(k::times<float>(o.y.view(), o.w.view(), o.x.view(), false).accumulate);
  const auto weight = k::add_transposed_times<float>(o.y.view(), o.x.view(), o.rows, o.w.view());
  CHECK((weight.rows == 4 && weight.cols == 5 && weight.depth == 3 && weight.accumulate && weight.b_rows == o.rows));
  CHECK((weight.c == o.w.row() && weight.c_stride == 7));
}

TEST_CASE("the strides of the makers reach the elements of their formulas", "[kernels][product]") {
  operands o;
  const auto forward = k::times_transposed<float>(o.x.view(), o.rows, o.w.view(), o.y.view());
  const auto input = k::times<float>(o.y.view(), o.w.view(), o.x.view(), false);
  const auto weight = k::add_transposed_times<float>(o.y.view(), o.x.view(), o.rows, o.w.view());
  bool right_places = true;
  for (hg::index i = 0; i < 3; ++i)
    for (hg::index l = 0; l < 5; ++l)
      for (hg::index j = 0; j < 4; ++j)
        right_places = right_places && left(forward, i, l) == o.x(o.rows[i], l) &&
                       right(forward, forward.b, l, j) == o.w(j, l) &&  // y_ij = x_il w_jl
                       left(input, i, j) == o.y(i, j) &&
                       right(input, input.b, j, l) == o.w(j, l) &&  // dx_il = dy_ij w_jl
                       left(weight, j, i) == o.y(i, j) &&
                       right(weight, weight.b, i, l) == o.x(o.rows[i], l);  // dw_jl = dy_ij x_il
  CHECK(right_places);
}

TEST_CASE("a weight alone is described before there is an x", "[kernels][product]") {
  operands o;
  const auto p = k::of_weight<float>(o.w.view(), o.bias);
  CHECK((p.rows == 0 && p.cols == 4 && p.depth == 5 && p.bias == o.bias && !p.a && !p.c));
  CHECK((p.b == o.w.row() && p.b_col_stride == 7 && p.b_depth_stride == 1));
  CHECK(!k::of_weight<float>(o.w.view()).bias);
}

TEST_CASE("a pair has two weights, two biases and no C", "[kernels][product]") {
  operands o;
  const auto p = k::pair_times_transposed<float>(o.x.view(), o.rows, 3, o.w.view(), o.v.view(), o.bias, o.other_bias);
  CHECK((p.paired && p.rows == 3 && p.cols == 4 && p.depth == 5 && !p.c && !p.accumulate));
  CHECK((p.bias == o.bias && p.bias_pair == o.other_bias && p.a_rows == o.rows));
  bool right_places = true;
  for (hg::index l = 0; l < 5; ++l)
    for (hg::index j = 0; j < 4; ++j)
      right_places = right_places && right(p, p.b, l, j) == o.w(j, l) && right(p, p.b_pair, l, j) == o.v(j, l);
  CHECK(right_places);
}
