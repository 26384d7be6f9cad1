// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/switch_transformer.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::switch_transformer> conforms("switch_transformers", [](const auto& s, const auto& p,
                                                                                const auto& f) {
  hg::switch_transformer::tensors(s, p, f);  // in memory as on disk
});

}  // namespace
