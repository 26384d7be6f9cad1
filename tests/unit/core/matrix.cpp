// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

#include "support/catch.hpp"

#include <array>

namespace hg = headgate;

namespace {

/// The argument reached the library without a copy: same memory, same shape, same elements.
template <class X>
void check_no_copy(const X& x) {
  const hg::in<float> seen = hg::row_major<float>(x);
  CHECK(seen.data() == x.data());
  CHECK(seen.rows() == x.rows());
  CHECK(seen.cols() == x.cols());
  CHECK((seen.array() == x.array()).all());
}

hg::matrix<float> counted(hg::index rows, hg::index cols) {
  hg::matrix<float> m(rows, cols);
  for (hg::index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(i);
  return m;
}

}  // namespace

TEST_CASE("any row-major matrix, map or block comes in without a copy", "[core][matrix]") {
  using row_major_map = Eigen::Map<const hg::matrix<float>>;
  using strided_map = Eigen::Map<hg::matrix<float>, 0, Eigen::OuterStride<>>;
  hg::matrix<float> m = counted(6, 4);
  const hg::matrix<float>& fixed = m;
  check_no_copy(m);
  check_no_copy(fixed);
  check_no_copy(m.middleRows(2, 3));
  check_no_copy(m.middleCols(1, 2));
  check_no_copy(fixed.block(1, 1, 2, 3));
  check_no_copy(fixed.row(5));
  check_no_copy(row_major_map(m.data(), 3, 8));
  check_no_copy(strided_map(m.data(), 3, 2, Eigen::OuterStride<>(8)));
  check_no_copy(hg::in<float>(m));
  check_no_copy(hg::out<float>(m));
  check_no_copy(Eigen::Matrix<float, 2, 3, Eigen::RowMajor>(counted(2, 3)));
  check_no_copy(Eigen::Matrix<float, Eigen::Dynamic, 3, Eigen::RowMajor>(counted(5, 3)));
  check_no_copy(Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>(counted(5, 3)));
  check_no_copy(Eigen::RowVectorXf(counted(1, 3)));
  check_no_copy(counted(0, 4));
  check_no_copy(counted(4, 0));
  check_no_copy(counted(3, 1));
}

TEST_CASE("an expression comes in evaluated", "[core][matrix]") {
  const hg::matrix<float> m = counted(2, 3);
  const hg::in<float> twice = hg::row_major<float>(m + m);
  CHECK(twice.rows() == 2);
  CHECK(twice(1, 2) == 10);
}

TEST_CASE("view_of gives a matrix's memory with its constness and stride", "[core][matrix]") {
  hg::matrix<float> m = counted(4, 5);
  const hg::matrix<float>& fixed = m;
  auto block = m.block(1, 1, 2, 3);
  STATIC_REQUIRE(std::is_same_v<decltype(hg::view_of(m)), hg::view<float>>);
  STATIC_REQUIRE(std::is_same_v<decltype(hg::view_of(fixed)), hg::view<const float>>);
  const auto v = hg::view_of(block);
  CHECK(v.rows == 2);
  CHECK(v.cols == 3);
  CHECK(v.stride == 5);
  CHECK(v(1, 2) == m(2, 3));
  v(1, 2) = -1;
  CHECK(m(2, 3) == -1);
}

TEST_CASE("prepare resizes what owns its memory", "[core][matrix]") {
  hg::matrix<float> y;
  CHECK(hg::prepare<float>(y, 3, 4, "layer", "y").rows() == 3);
  CHECK(y.cols() == 4);
  const float* const memory = y.data();
  CHECK(hg::prepare<float>(y, 3, 4, "layer", "y").data() == memory);
}

TEST_CASE("prepare takes a map or block of the right size and refuses another", "[core][matrix]") {
  hg::matrix<float> m = counted(4, 5);
  Eigen::Map<hg::matrix<float>> map(m.data(), 5, 4);
  auto block = m.block(1, 1, 2, 3);
  CHECK(hg::prepare<float>(map, 5, 4, "layer", "y").data() == m.data());
  CHECK(hg::prepare<float>(block, 2, 3, "layer", "y").data() == &m(1, 1));
  CHECK_THROWS_AS(hg::prepare<float>(map, 4, 4, "layer", "y"), std::invalid_argument);
  CHECK_THROWS_WITH(hg::prepare<float>(block, 2, 4, "layer", "dx"), "layer: dx is 2 x 3, it must be 2 x 4");
  Eigen::Matrix<float, 2, 3, Eigen::RowMajor> of_fixed_size;
  CHECK_NOTHROW(hg::prepare<float>(of_fixed_size, 2, 3, "layer", "y"));
  CHECK_THROWS_WITH(hg::prepare<float>(of_fixed_size, 3, 3, "layer", "y"), "layer: y is 2 x 3, it must be 3 x 3");
}

TEST_CASE("prepare refuses, not resizes, a matrix with one fixed side", "[core][matrix]") {
  Eigen::Matrix<float, Eigen::Dynamic, 3, Eigen::RowMajor> tall(2, 3);
  CHECK(hg::prepare<float>(tall, 5, 3, "layer", "y").rows() == 5);
  CHECK_THROWS_WITH(hg::prepare<float>(tall, 5, 4, "layer", "y"), "layer: y is 5 x 3, it must be 5 x 4");
}

TEST_CASE("map_of is the matrix over a view, with its stride and constness", "[core][matrix]") {
  hg::matrix<float> m = counted(4, 5);
  const hg::view<float> v(m.data() + 6, 2, 3, 5);
  hg::map_of(v)(1, 2) = -1;
  CHECK(m(2, 3) == -1);
  CHECK((hg::map_of(v).array() == m.block(1, 1, 2, 3).array()).all());
  const hg::view<const float> fixed = v;
  CHECK(hg::map_of(fixed).data() == v.data);
  STATIC_REQUIRE(std::is_const_v<std::remove_pointer_t<decltype(hg::map_of(fixed).data())>>);
}

TEST_CASE("check_apart refuses matrices that share memory", "[core][matrix]") {
  hg::matrix<float> m = counted(6, 4);
  const hg::matrix<float> other = counted(6, 4);
  CHECK_NOTHROW(hg::check_apart<float>(m, other, "layer", "x and y"));
  CHECK_NOTHROW(hg::check_apart<float>(m.topRows(3), m.bottomRows(3), "layer", "x and y"));
  CHECK_NOTHROW(hg::check_apart<float>(m.bottomRows(3), m.topRows(3), "layer", "x and y"));
  CHECK_NOTHROW(hg::check_apart<float>(m.topRows(0), m, "layer", "x and y"));
  CHECK_NOTHROW(hg::check_apart<float>(m.leftCols(2), m.rightCols(2), "layer", "x and y"));
  CHECK_NOTHROW(hg::check_apart<float>(m.rightCols(2).middleRows(1, 3), m.leftCols(2), "layer", "x and y"));
  CHECK_THROWS_AS(hg::check_apart<float>(m.leftCols(3), m.rightCols(2), "layer", "x and y"), std::invalid_argument);
  const Eigen::Map<hg::matrix<float>, 0, Eigen::OuterStride<>> over_the_edge(m.data() + 3, 2, 2,
                                                                             Eigen::OuterStride<>(4));
  CHECK_THROWS_AS(hg::check_apart<float>(m.leftCols(1), over_the_edge, "layer", "x and y"), std::invalid_argument);
  CHECK_THROWS_WITH(hg::check_apart<float>(m, m, "layer", "x and y"),
                    "layer: x and y share memory, each must have its own");
  CHECK_THROWS_AS(hg::check_apart<float>(m.topRows(4), m.bottomRows(3), "layer", "x and y"), std::invalid_argument);
}
