// expect: headgate: the matrix is column-major; use headgate::matrix<T> or another row-major type
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

namespace hg = headgate;
using layer = hg::layer<hg::topk_gate<float>, hg::linear_expert<float>>;

void refused(const layer& l, const Eigen::MatrixXf& x, hg::matrix<float>& y, layer::workspace& memory) {
  l.forward(x, y, memory);
}
