// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/llama4.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::llama4> conforms("llama4_text", [](const auto& s, const auto& p, const auto& f) {
  hg::llama4::tensors(s, p, f);  // in memory as on disk
});

}  // namespace
