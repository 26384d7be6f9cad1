// expect: sinkhorn: Gate's selection must be top_k: in training the plan takes its place
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>

using gate = headgate::sinkhorn<
    headgate::gate<headgate::linear_head<float>, headgate::softmax, headgate::ranked, headgate::raw>>;
gate one{.gate = {.head = {.model = 4, .experts = 2}}};
