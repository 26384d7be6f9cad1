// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/granite_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::granite_moe> conforms("granitemoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("router.layer.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "input_linear.weight", "output_linear.weight", s.model, s.hidden, f);
});

}  // namespace
