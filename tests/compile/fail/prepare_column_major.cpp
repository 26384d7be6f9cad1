// expect: headgate: the matrix is column-major; use headgate::matrix<T> or another row-major type
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

void f(Eigen::MatrixXf& y) { static_cast<void>(headgate::prepare<float>(y, 2, 3, "layer", "y")); }
