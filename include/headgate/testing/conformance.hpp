// SPDX-License-Identifier: BSD-3-Clause
// Checks for users' own policies: put `hg::testing::check_gate(my_gate<double>{...})` and
// `hg::testing::check_expert(my_expert<double>{...})` into a test of any framework; the report is true or prints
// what is wrong.
#pragma once

#include <headgate/testing/check_expert.hpp>
#include <headgate/testing/check_gate.hpp>
