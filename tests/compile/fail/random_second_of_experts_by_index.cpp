// expect: random_second: Gate's selection does not name the best expert first (docs/writing-a-gate.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>

headgate::random_second<headgate::softmax_gate<float>> one{.gate = {.head = {.model = 4, .experts = 2}}};
