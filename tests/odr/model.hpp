// SPDX-License-Identifier: BSD-3-Clause
// A layer that two translation units share.
#pragma once

#include <headgate/headgate.hpp>

using model = headgate::layer<headgate::topk_gate<float>, headgate::swiglu_expert<float>>;

/// Defined in user.cpp. The instruction set is part of the parameter's type, hence of the function's name.
bool run(const model& layer);
