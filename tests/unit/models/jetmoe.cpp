// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/jetmoe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::jetmoe> conforms("jetmoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("router.layer.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "input_linear.weight", "output_linear.weight", s.model, s.hidden, f);
  f(p.shared.bias, hg::vector_of("bias", s.model));
});

}  // namespace

TEST_CASE("JetMoE layers agree with a transcription in plain loops", "[models][jetmoe]") {
  compare_with_oracle<hg::jetmoe>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::jetmoe, {.k = 2}, 1);
}
