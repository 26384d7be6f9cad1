// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/longcat_flash.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::longcat_flash> conforms("longcat_flash", [](const auto& s, const auto& p, const auto& f) {
  const hg::index all = s.experts + s.identities;
  f(p.gate.head.weight, hg::whole("router.classifier.weight", all, s.model));
  for (hg::index e = 0; e < s.experts; ++e) {
    const hg::tensor_part both = hg::stack_of("experts.gate_up_proj", all, 2 * s.hidden, s.model, e);
    f(p.experts[e].gate, both.middle_rows(0, s.hidden));
    f(p.experts[e].up, both.middle_rows(s.hidden, s.hidden));
    f(p.experts[e].down, hg::stack_of("experts.down_proj", s.experts, s.model, s.hidden, e));
  }
});

}  // namespace

TEST_CASE("LongCat-Flash layers agree with a transcription in plain loops", "[models][longcat_flash]") {
  compare_with_oracle<hg::longcat_flash>({.model = 6, .hidden = 5, .experts = 6, .identities = 3, .k = 4, .scale = 6},
                                         published::longcat_flash, {.k = 4, .scale = 6, .identities = 3}, 1);
  TEST_CASE("LongCat-Flash: the edges of routing", "[models][longcat_flash][edges]") {
    check_edges<hg::longcat_flash>(
        {.shape = {.model = 8, .hidden = 5, .experts = 6, .identities = 2, .k = 3, .scale = 6},
         .block = published::longcat_flash,
         .options = {.k = 3, .scale = 6, .identities = 2},
         .equal = {0.75, 0.75, 0.75}});
    check_all_chosen<hg::longcat_flash>(
        {.shape = {.model = 8, .hidden = 5, .experts = 1, .identities = 0, .k = 1, .scale = 6},
         .block = published::longcat_flash,
         .options = {.k = 1, .scale = 6},
         .equal = {6}});
    check_all_chosen<hg::longcat_flash>(
        {.shape = {.model = 8, .hidden = 5, .experts = 3, .identities = 2, .k = 5, .scale = 6},
         .block = published::longcat_flash,
         .options = {.k = 5, .scale = 6, .identities = 2},
         .equal = {1.2, 1.2, 1.2, 1.2, 1.2}});
  }
