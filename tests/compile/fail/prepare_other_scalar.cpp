// expect: headgate: the matrix has another scalar type than the layer
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

void f(headgate::matrix<double>& y) { static_cast<void>(headgate::prepare<float>(y, 2, 3, "layer", "y")); }
