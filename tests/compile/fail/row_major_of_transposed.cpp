// expect: headgate: the matrix is column-major; use headgate::matrix<T> or another row-major type
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

void f(const headgate::matrix<float>& x) { static_cast<void>(headgate::row_major<float>(x.transpose())); }
