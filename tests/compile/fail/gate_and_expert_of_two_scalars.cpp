// expect: layer: Gate and Expert have different scalar types
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

headgate::layer refused{headgate::topk_gate<float, 8, 4, 2>{}, headgate::swiglu_expert<double, 8, 16>{}, 1};
