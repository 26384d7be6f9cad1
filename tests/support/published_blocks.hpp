// SPDX-License-Identifier: BSD-3-Clause
// The MoE blocks of published models in plain loops: one function for each family, in evaluation, in double.
// Ties go to the expert that comes first.
#pragma once

#include "support/published_experts.hpp"
#include "support/published_parts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace headgate_test::published {

/// Switch: softmax, the best expert, its probability as it is; what is over capacity gets nothing.
inline rows switch_transformer(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const tensor& router = find(t, "router.classifier.weight");
  routing all = routed(x, [&](const row& token) {
    const row p = softmax(linear(router, token));
    return gathered(largest(p, 1), p);
  });
  if (o.capacity > 0) all = within_capacity(all, router.shape.at(0), o.capacity);
  const auto expert = [&](size_t e, const row& token) {
    const std::string name = "experts.expert_" + std::to_string(e);
    return relu_mlp(find(t, name + ".wi.weight"), find(t, name + ".wo.weight"), token);
  };
  return combined(x, all, expert, taken);
}

/// GShard's routing (mesh): softmax; the best expert, then the best of the others; both divided by their sum + 1e-9; the
/// second kept if a draw is below its weight / threshold; then the capacity: int(tokens * factor / experts), at most all
/// tokens, at least 4, second choices behind all first choices.
[[nodiscard]] inline routing gshard_routing(const tensor& router, const options& o, const rows& x) {
  routing all;
  for (size_t token = 0; token < x.size(); ++token) {
    const row p = softmax(linear(router, x[token]));
    choices chosen = gathered(largest(p, 2), p);
    chosen = divided(chosen, sum_of(chosen) + 1e-9);
    if (!o.draws.empty() && !(o.draws[token] < chosen[1].weight / std::max(o.threshold, 1e-9))) chosen.pop_back();
    all.push_back(chosen);
  }
  if (o.capacity_factor > 0) {
    const size_t experts = router.shape.at(0);
    const double share = static_cast<double>(x.size()) * o.capacity_factor / static_cast<double>(experts);
    const size_t capacity = std::max(std::min(x.size(), static_cast<size_t>(share)), size_t{4});
    all = within_capacity(all, experts, capacity);
  }
  return all;
}

/// GShard: experts without biases, ReLU inside. It has no names on disk: gate.weight, experts.E.up, experts.E.down.
inline rows gshard(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto expert = [&](size_t e, const row& token) {
    return relu_mlp(find(t, of_expert(e) + "up"), find(t, of_expert(e) + "down"), token);
  };
  return combined(x, gshard_routing(find(t, "gate.weight"), o, x), expert, taken);
}

/// ST-MoE: GShard's routing over GEGLU experts (tanh). No names on disk: experts.E.gate, .up, .down.
inline rows st_moe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto expert = [&](size_t e, const row& token) {
    return glu(t, of_expert(e) + "gate", of_expert(e) + "up", of_expert(e) + "down", gelu_tanh, token);
  };
  return combined(x, gshard_routing(find(t, "gate.weight"), o, x), expert, taken);
}

/// Mixtral: softmax over all experts, the k best, divided by their sum.
inline rows mixtral(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row p = softmax(linear(find(t, "gate.weight"), token));
    const choices chosen = gathered(largest(p, o.k), p);
    return divided(chosen, sum_of(chosen));
  };
  const auto expert = [&](size_t e, const row& token) { return w_swiglu(t, of_expert(e), token); };
  return combined(x, routed(x, route), expert, taken);
}

/// Qwen3-MoE and OLMoE: softmax over all experts, the k best, divided by their sum only if `renormalise`.
inline rows qwen3_moe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row p = softmax(linear(find(t, "gate.weight"), token));
    const choices chosen = gathered(largest(p, o.k), p);
    return o.renormalise ? divided(chosen, sum_of(chosen)) : chosen;
  };
  const auto expert = [&](size_t e, const row& token) { return proj_swiglu(t, of_expert(e), token); };
  return combined(x, routed(x, route), expert, taken);
}
inline rows olmoe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  return qwen3_moe(t, o, x, taken);
}

/// Qwen2-MoE: the same with a shared expert times sigmoid(shared_expert_gate x).
inline rows qwen2_moe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  return with(qwen3_moe(t, o, x, taken), x, [&](const row& token) {
    const double gate = sigmoid(linear(find(t, "shared_expert_gate.weight"), token)[0]);
    return times(gate, proj_swiglu(t, "shared_expert.", token));
  });
}

/// DeepSeek-V2: softmax; experts outside the best groups (by their single best expert) masked with 0; the k best; times
/// `scale`. One group is the greedy choice. With `renormalise` (no released model): over their sum + 1e-20, not scaled.
inline rows deepseek_v2(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row p = softmax(linear(find(t, "gate.weight"), token));
    const choices chosen = gathered(largest(limited_to_groups(p, o.groups, o.kept_groups, 1, 0.0), o.k), p);
    return o.renormalise ? divided(chosen, sum_of(chosen) + 1e-20) : scaled(chosen, o.scale);
  };
  const auto expert = [&](size_t e, const row& token) { return proj_swiglu(t, of_expert(e), token); };
  return with(combined(x, routed(x, route), expert, taken), x,
              [&](const row& token) { return proj_swiglu(t, "shared_experts.", token); });
}

/// DeepSeek-V3, R1, Kimi K2, GLM-4.5: s = sigmoid; chosen by s + bias, experts outside the best groups (by the sum of their
/// two best) masked with -infinity; weights s without the bias, over their sum, times `scale`.
inline rows deepseek_v3(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row s = sigmoid(linear(find(t, "gate.weight"), token));
    const row by = plus(s, find(t, "gate.e_score_correction_bias").values);
    choices chosen = gathered(largest(limited_to_groups(by, o.groups, o.kept_groups, 2, -infinity), o.k), s);
    if (o.renormalise) chosen = divided(chosen, sum_of(chosen) + 1e-20);
    return scaled(chosen, o.scale);
  };
  const auto expert = [&](size_t e, const row& token) { return proj_swiglu(t, of_expert(e), token); };
  return with(combined(x, routed(x, route), expert, taken), x,
              [&](const row& token) { return proj_swiglu(t, "shared_experts.", token); });
}

/// MiniMax-M2: s = sigmoid; chosen by s + bias; weights s over their sum.
inline rows minimax_m2(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row s = sigmoid(linear(find(t, "gate.weight"), token));
    const row by = plus(s, find(t, "e_score_correction_bias").values);
    const choices chosen = gathered(largest(by, o.k), s);
    return divided(chosen, sum_of(chosen));
  };
  const auto expert = [&](size_t e, const row& token) { return w_swiglu(t, of_expert(e), token); };
  return combined(x, routed(x, route), expert, taken);
}

/// ERNIE 4.5: p = softmax; chosen by p + bias; weights p over their sum, which is at least `norm_min`.
inline rows ernie4_5_moe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row p = softmax(linear(find(t, "gate.weight"), token));
    const row by = plus(p, find(t, "moe_statics.e_score_correction_bias").values);  // [1, experts]
    const choices chosen = gathered(largest(by, o.k), p);
    return divided(chosen, std::max(sum_of(chosen), o.norm_min));
  };
  const auto expert = [&](size_t e, const row& token) { return proj_swiglu(t, of_expert(e), token); };
  return with(combined(x, routed(x, route), expert, taken), x,
              [&](const row& token) { return proj_swiglu(t, "shared_experts.", token); });
}

/// LongCat-Flash: p = softmax; chosen by p + bias; weights p times `scale`. The last experts return their input.
inline rows longcat_flash(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const tensor& router = find(t, "router.classifier.weight");
  const auto route = [&](const row& token) {
    const row p = softmax(linear(router, token));
    const row by = plus(p, find(t, "router.e_score_correction_bias").values);
    return scaled(gathered(largest(by, o.k), p), o.scale);
  };
  const auto expert = [&](size_t e, const row& token) {
    const bool is_identity = e >= router.shape.at(0) - o.identities;
    return is_identity ? token : proj_swiglu(t, of_expert(e), token);
  };
  return combined(x, routed(x, route), expert, taken);
}

/// Granite MoE.
inline rows granite_moe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    return softmax_of_the_best(linear(find(t, "router.layer.weight"), token), o.k);
  };
  const auto expert = [&](size_t e, const row& token) {
    return fused_swiglu(find(t, "input_linear.weight"), find(t, "output_linear.weight"), e, token);
  };
  return combined(x, routed(x, route), expert, taken);
}

/// JetMoE: the same, and one bias of the whole block, added to every token.
inline rows jetmoe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  return with(granite_moe(t, o, x, taken), x, [&](const row&) { return find(t, "bias").values; });
}

/// gpt-oss: the router has a bias.
inline rows gpt_oss(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row logits = plus(linear(find(t, "router.weight"), token), find(t, "router.bias").values);
    return softmax_of_the_best(logits, o.k);
  };
  const auto expert = [&](size_t e, const row& token) { return clamped_interleaved_swiglu(t, e, o.limit, token); };
  return combined(x, routed(x, route), expert, taken);
}

/// Llama 4: the k best logits; their sigmoids multiply what the experts get, not what they give.
inline rows llama4(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row logits = linear(find(t, "router.weight"), token);
    return gathered(largest(logits, o.k), sigmoid(logits));
  };
  const routing all = routed(x, route);
  if (taken != nullptr) *taken = all;
  rows y;
  for (size_t token = 0; token < x.size(); ++token) {
    row sum = proj_swiglu(t, "shared_expert.", x[token]);
    for (const choice& c : all[token])
      sum = plus(sum, fused_swiglu_from_the_left(find(t, "experts.gate_up_proj"), find(t, "experts.down_proj"),
                                                 c.expert, times(c.weight, x[token])));
    y.push_back(sum);
  }
  return y;
}

/// Phi-3.5-MoE (sparsemixer in evaluation). Twice: the best logit m of those that are left; experts far below it, with
/// (m - z) / max(|z|, m) > 2 jitter, are masked; the weight is the softmax over what is left. The weights do not sum to 1.
inline rows phi3_5_moe(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row z = linear(find(t, "gate.weight"), token);
    row left = z;
    choices chosen;
    for (int round = 0; round < 2; ++round) {
      const size_t best = largest(left, 1)[0];
      const double m = left[best];
      row near = left;
      for (size_t e = 0; e < z.size(); ++e)
        if ((m - z[e]) / std::max(std::abs(z[e]), m) > 2 * o.jitter) near[e] = -infinity;
      chosen.push_back({best, softmax(near)[best]});
      left[best] = -infinity;
    }
    return chosen;
  };
  const auto expert = [&](size_t e, const row& token) { return w_swiglu(t, of_expert(e), token); };
  return combined(x, routed(x, route), expert, taken);
}

/// DBRX: softmax, the k best over their L_p norm. w1 (gate), v1 (up) and w2 (down, transposed) of all experts are stacked
/// along the first axis of [experts * hidden, model].
inline rows dbrx(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const tensor& router = find(t, "router.layer.weight");
  const auto route = [&](const row& token) {
    const row p = softmax(linear(router, token));
    const choices chosen = gathered(largest(p, o.k), p);
    if (o.norm == 0) return chosen;
    double sum = 0;
    for (const choice& c : chosen) sum += std::pow(c.weight, o.norm);
    return divided(chosen, std::pow(sum, 1 / o.norm));
  };
  const tensor &w1 = find(t, "experts.mlp.w1"), &v1 = find(t, "experts.mlp.v1"), &w2 = find(t, "experts.mlp.w2");
  const size_t hidden = w1.shape.at(0) / router.shape.at(0);
  const auto expert = [&](size_t e, const row& token) {
    row y(token.size(), 0.0);
    for (size_t h = e * hidden; h < (e + 1) * hidden; ++h) {
      double gate = 0, up = 0;
      for (size_t m = 0; m < token.size(); ++m) {
        gate += w1(h, m) * token[m];
        up += v1(h, m) * token[m];
      }
      for (size_t m = 0; m < token.size(); ++m) y[m] += silu(gate) * up * w2(h, m);
    }
    return y;
  };
  return combined(x, routed(x, route), expert, taken);
}

/// Grok-1: softmax over all experts, the k best as they are; GEGLU experts (tanh): linear_1 (gelu(linear x) * linear_v x).
inline rows grok1(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const auto route = [&](const row& token) {
    const row p = softmax(linear(find(t, "gate.weight"), token));
    return gathered(largest(p, o.k), p);
  };
  const auto expert = [&](size_t e, const row& token) {
    const std::string name = of_expert(e);
    return glu(t, name + "linear.weight", name + "linear_v.weight", name + "linear_1.weight", gelu_tanh, token);
  };
  return combined(x, routed(x, route), expert, taken);
}

/// Hunyuan: softmax, the k best over their sum, which is at least the epsilon of floats; a single expert keeps its
/// probability. With `drops` an expert takes max(k, k * tokens / experts) tokens, first choices first, in inference too,
/// and the weights are those from before. A shared MLP.
inline rows hunyuan(const tensors& t, const options& o, const rows& x, routing* taken = nullptr) {
  const tensor& router = find(t, "gate.wg.weight");
  routing all = routed(x, [&](const row& token) {
    const row p = softmax(linear(router, token));
    const choices chosen = gathered(largest(p, o.k), p);
    const double epsilon = static_cast<double>(std::numeric_limits<float>::epsilon());
    return o.k > 1 ? divided(chosen, std::max(sum_of(chosen), epsilon)) : chosen;
  });
  const size_t experts = router.shape.at(0);
  if (o.drops) all = within_capacity(all, experts, std::max(o.k, o.k * x.size() / experts));
  const auto expert = [&](size_t e, const row& token) { return proj_swiglu(t, of_expert(e), token); };
  return with(combined(x, all, expert, taken), x,
              [&](const row& token) { return proj_swiglu(t, "shared_mlp.", token); });
}

}  // namespace headgate_test::published
