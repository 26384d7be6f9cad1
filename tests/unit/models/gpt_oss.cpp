// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/gpt_oss.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::gpt_oss> conforms("gpt_oss", [](const auto& s, const auto& p, const auto& f) {
  hg::gpt_oss::tensors(s, p, f);  // in memory as on disk
});

}  // namespace

TEST_CASE("gpt-oss layers agree with a transcription in plain loops", "[models][gpt_oss]") {
  compare_with_oracle<hg::gpt_oss>({.model = 6, .hidden = 5, .experts = 8, .k = 4, .limit = 1}, published::gpt_oss,
                                   {.k = 4, .limit = 1}, 1);
}
