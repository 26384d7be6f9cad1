// expect: headgate: the matrix has another scalar type than the layer
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

void f(const headgate::matrix<double>& x) { static_cast<void>(headgate::row_major<float>(x)); }
