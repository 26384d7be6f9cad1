// SPDX-License-Identifier: BSD-3-Clause
// All published families (docs/models.md).
#pragma once

#include <headgate/config.hpp>
#include <headgate/models/dbrx.hpp>
#include <headgate/models/deepseek_v2.hpp>
#include <headgate/models/deepseek_v3.hpp>
#include <headgate/models/ernie4_5_moe.hpp>
#include <headgate/models/gpt_oss.hpp>
#include <headgate/models/granite_moe.hpp>
#include <headgate/models/grok1.hpp>
#include <headgate/models/gshard.hpp>
#include <headgate/models/hunyuan.hpp>
#include <headgate/models/jetmoe.hpp>
#include <headgate/models/llama4.hpp>
#include <headgate/models/longcat_flash.hpp>
#include <headgate/models/minimax_m2.hpp>
#include <headgate/models/mixtral.hpp>
#include <headgate/models/olmoe.hpp>
#include <headgate/models/phi3_5_moe.hpp>
#include <headgate/models/qwen2_moe.hpp>
#include <headgate/models/qwen3_moe.hpp>
#include <headgate/models/switch_transformer.hpp>

#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The families that can be loaded from a checkpoint.
using loadable_families =
    std::tuple<dbrx, deepseek_v2, deepseek_v3, ernie4_5_moe, gpt_oss, granite_moe, grok1, hunyuan, jetmoe, llama4,
               longcat_flash, minimax_m2, mixtral, olmoe, phi3_5_moe, qwen2_moe, qwen3_moe, switch_transformer>;

/// Calls f(family) with an object of each family of the tuple.
template <class Families = loadable_families, class F>
void for_each_family(const F& f) {
  std::apply([&](const auto&... family) { (f(family), ...); }, Families{});
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
