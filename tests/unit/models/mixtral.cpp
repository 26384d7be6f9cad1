// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/mixtral.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::mixtral> conforms("mixtral", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace
