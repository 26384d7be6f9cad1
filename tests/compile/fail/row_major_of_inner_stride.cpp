// expect: headgate: the elements of a row must lie next to each other
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>

using strided = Eigen::Map<const headgate::matrix<float>, 0, Eigen::Stride<Eigen::Dynamic, 2>>;
void f(const strided& x) { static_cast<void>(headgate::row_major<float>(x)); }
