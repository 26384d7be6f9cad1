// SPDX-License-Identifier: BSD-3-Clause
// What a layer's calls accept, with and without an executor.
#include <headgate/headgate.hpp>

namespace hg = headgate;
using layer = hg::layer<hg::topk_gate<float>, hg::swiglu_expert<float>>;
using row_major = hg::matrix<float>;
using map = Eigen::Map<row_major>;
using strided_map = Eigen::Map<const row_major, 0, Eigen::OuterStride<>>;

void forward(const layer& l, const row_major& x, const strided_map& mapped, row_major& y, map& mapped_y,
             layer::workspace& memory, layer::tape& tape) {
  l.forward(x, y, memory);
  l.forward(mapped, mapped_y, memory);
  l.forward(x.topRows(3), y.topRows(3), memory);
  l.forward(x.row(2), y.row(2), tape);
  l.forward(hg::run_sequentially, mapped, y.middleCols(1, 4), tape);
  static_cast<void>(l(mapped));
}

void backward(const layer& l, const row_major& x, const strided_map& dy, layer::tape& tape, map& dx,
              layer::gradients& grads) {
  l.backward(x, dy, tape, dx, grads);
  l.backward(hg::run_sequentially, x.topRows(3), dy.topRows(3), tape, dx.topRows(3), grads, hg::switch_balance<float>{},
             [](const hg::routing<float>&, hg::routing_gradient<float>&) { return 0.0f; });
}
