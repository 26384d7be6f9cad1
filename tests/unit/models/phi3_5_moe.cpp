// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/phi3_5_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::phi3_5_moe> conforms("phimoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("router.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace
