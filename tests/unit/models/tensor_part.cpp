// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/tensor_part.hpp>

#include "support/catch.hpp"

#include <vector>

namespace hg = headgate;

namespace {

/// The positions of a part's elements, row by row.
std::vector<hg::index> positions(const hg::tensor_part& part) {
  std::vector<hg::index> all;
  for (hg::index r = 0; r < part.rows; ++r)
    for (hg::index c = 0; c < part.cols; ++c) all.push_back(part.position(r, c));
  return all;
}
using list = std::vector<hg::index>;

}  // namespace

TEST_CASE("a tensor of its own lies as the matrix does", "[models][tensor_part]") {
  const hg::tensor_part part = hg::whole("w", 2, 3);
  CHECK(part.name == "w");
  CHECK((part.shape.size() == 2 && part.shape[0] == 2 && part.shape[1] == 3));
  CHECK(positions(part) == list{0, 1, 2, 3, 4, 5});
  CHECK(part.tensor_size() == 6);
  CHECK(part.is_contiguous());
}

TEST_CASE("vectors are rows", "[models][tensor_part]") {
  const hg::tensor_part vector = hg::vector_of("b", 3);
  CHECK((vector.shape.size() == 1 && vector.rows == 1 && vector.cols == 3));
  CHECK(positions(vector) == list{0, 1, 2});
  const hg::tensor_part second = hg::row_of("b", 3, 2, 1);
  CHECK((second.shape.size() == 2 && second.rows == 1 && second.cols == 2));
  CHECK(positions(second) == list{2, 3});
  CHECK(second.is_contiguous());
}

TEST_CASE("parts of a stack: one matrix, its halves, its every other row", "[models][tensor_part]") {
  const hg::tensor_part second = hg::stack_of("s", 3, 4, 2, 1);  // elements 8 to 15
  CHECK(second.tensor_size() == 24);
  CHECK(positions(second) == list{8, 9, 10, 11, 12, 13, 14, 15});
  CHECK(positions(second.middle_rows(2, 2)) == list{12, 13, 14, 15});
  CHECK(second.middle_rows(2, 2).is_contiguous());
  CHECK(positions(second.every_other_row(1)) == list{10, 11, 14, 15});
  CHECK(!second.every_other_row(1).is_contiguous());
}

TEST_CASE("a transposed part swaps rows and columns", "[models][tensor_part]") {
  const hg::tensor_part turned = hg::whole("w", 2, 3).transposed();
  CHECK((turned.rows == 3 && turned.cols == 2));
  CHECK(positions(turned) == list{0, 3, 1, 4, 2, 5});
  CHECK(!turned.is_contiguous());
  CHECK(positions(turned.transposed()) == list{0, 1, 2, 3, 4, 5});
  // gpt-oss: gate and up are the even and odd columns of [model, 2 hidden]
  const hg::tensor_part both = hg::stack_of("gate_up", 1, 2, 4, 0).transposed();
  CHECK(positions(both.every_other_row(0)) == list{0, 4, 2, 6});
  CHECK(positions(both.every_other_row(1)) == list{1, 5, 3, 7});
}
