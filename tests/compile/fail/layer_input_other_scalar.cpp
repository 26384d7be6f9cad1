// expect: headgate: the matrix has another scalar type than the layer
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

namespace hg = headgate;
using layer = hg::layer<hg::topk_gate<float>, hg::linear_expert<float>>;

void refused(const layer& l, const hg::matrix<double>& x, hg::matrix<float>& y, layer::workspace& memory) {
  l.forward(x, y, memory);
}
