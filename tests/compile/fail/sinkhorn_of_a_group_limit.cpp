// expect: sinkhorn: Gate's selection must be top_k: in training the plan takes its place
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>

using limited = headgate::adjusted<headgate::group_limit<headgate::group_max>, headgate::top_k<>>;
using gate = headgate::sinkhorn<
    headgate::gate<headgate::linear_head<float>, headgate::softmax, limited, headgate::renormalised>>;
gate one{.gate = {.head = {.model = 4, .experts = 2}}};
