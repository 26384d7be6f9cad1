// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/gpt_oss.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::gpt_oss> conforms("gpt_oss", [](const auto& s, const auto& p, const auto& f) {
  hg::gpt_oss::tensors(s, p, f);  // in memory as on disk
});

}  // namespace
