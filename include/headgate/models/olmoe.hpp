// SPDX-License-Identifier: BSD-3-Clause
// OLMoE (Muennighoff et al. 2024, arXiv:2409.02060, section 2).
#pragma once

#include <headgate/config.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/family.hpp>
#include <headgate/models/qwen3_moe.hpp>

#include <array>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The block of `qwen3_moe`: softmax over all experts, the k best, renormalised only if `renormalise` (the released
/// models: no).
struct olmoe : qwen3_moe {
  static constexpr std::string_view name = "OLMoE";
  static constexpr std::array<std::string_view, 1> model_types{"olmoe"};

  struct shape {
    index model = 2048;
    index hidden = 1024;
    index experts = 64;
    index k = 8;
    bool renormalise = false;
  };

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer("num_experts"),
            .k = c.integer("num_experts_per_tok"),
            .renormalise = c.flag("norm_topk_prob", false)};
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
