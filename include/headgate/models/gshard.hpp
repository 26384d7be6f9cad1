// SPDX-License-Identifier: BSD-3-Clause
// GShard's top-2 block (Lepikhin et al. 2020, arXiv:2006.16668, section 2.2 and algorithm 1) and ST-MoE's (Zoph et al. 2022,
// arXiv:2202.08906).
#pragma once

#include <headgate/activations/gelu_tanh.hpp>
#include <headgate/activations/relu.hpp>
#include <headgate/config.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/gates/whole/random_second.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Softmax, the two best, divided by their sum + 1e-9; in training the second is kept with probability min(1, its weight /
/// `threshold`). An expert takes capacity_factor * tokens / experts assignments, rounded down, at least 4, first choices
/// first, as mesh-tensorflow has it (others count 2 tokens, or round up).
struct gshard {
  static constexpr std::string_view name = "GShard";

  struct shape {
    index model = 1024;
    index hidden = 8192;
    index experts = 128;
    double threshold = 0.2;
    double capacity_factor = 2;  ///< in evaluation; 1.25 in training
  };

  template <class T>
  using gate = random_second<headgate::gate<linear_head<T>, softmax, top_k<>, renormalised_plus<T>>>;

  /// The gate and the options, for any experts.
  template <class T, class Expert>
  [[nodiscard]] static moe_policies<gate<T>, Expert> with_expert(const auto& s, Expert expert) {
    return {.gate = {.gate = {.head = {.model = s.model, .experts = s.experts},
                              .select = {.k = 2},
                              .weigh = {.epsilon = T(1e-9)}},
                     .threshold = s.threshold},
            .expert = expert,
            .options = {.capacity = {.factor = s.capacity_factor,
                                     .minimum = 4,
                                     .drop = drop::by_choice,
                                     .round = rounding::down,
                                     .of = share_of::tokens}}};
  }

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return with_expert<T>(s, ffn_expert<T, relu>{.model = s.model, .hidden = s.hidden});
  }
};

/// GShard's gate over GEGLU experts; trained with the router z-loss (weight 1e-3) beside the balance loss.
struct st_moe {
  static constexpr std::string_view name = "ST-MoE";

  struct shape {
    index model = 1024;
    index hidden = 2816;
    index experts = 32;
    double threshold = 0.2;
    double capacity_factor = 2;  ///< in evaluation; 1.25 in training
  };

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return gshard::with_expert<T>(s, glu_expert<T, gelu_tanh>{.model = s.model, .hidden = s.hidden});
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
