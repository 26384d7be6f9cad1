// expect: sinkhorn: Gate's selection must be top_k: in training the plan takes its place
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>

using gate = headgate::sinkhorn<headgate::balanced_sigmoid_gate<float>>;
gate one{.gate = {.head = {.model = 4, .experts = 2}, .select = {.k = 1}}};
