// expect: headgate: pass an Eigen matrix, map or block of rows
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

struct rows_of_my_own {
  using Scalar = float;
};

auto refused(const rows_of_my_own& x) { return headgate::row_major<float>(x); }
