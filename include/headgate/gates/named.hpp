// SPDX-License-Identifier: BSD-3-Clause
// Gates by name: each is one composition of stages, or a whole gate. Write `hg::topk_gate<float>{.head = {.model = 64,
// .experts = 8}, .select = {.k = 2}}`, or give the sizes at compile time: `hg::topk_gate<float, 64, 8, 2>{}`.
#pragma once

#include <headgate/gates/gate.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/head/noisy_head.hpp>
#include <headgate/gates/score/adaptive_threshold.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/gates/score/gumbel_softmax.hpp>
#include <headgate/gates/score/learned_temperature.hpp>
#include <headgate/gates/score/rounded_score.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/score/sqrt_softplus.hpp>
#include <headgate/gates/select/adjusted.hpp>
#include <headgate/gates/select/all_experts.hpp>
#include <headgate/gates/select/group_limit.hpp>
#include <headgate/gates/select/ranked.hpp>
#include <headgate/gates/select/selection_bias.hpp>
#include <headgate/gates/select/threshold.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/select/top_p.hpp>
#include <headgate/gates/weigh/norm_divided.hpp>
#include <headgate/gates/weigh/raw.hpp>
#include <headgate/gates/weigh/renormalised.hpp>
#include <headgate/gates/weigh/sigmoid_of_selected.hpp>
#include <headgate/gates/weigh/softmax_of_selected.hpp>
#include <headgate/gates/weigh/wrappers.hpp>
#include <headgate/gates/whole/expert_choice.hpp>
#include <headgate/gates/whole/in_double.hpp>
#include <headgate/gates/whole/random_second.hpp>
#include <headgate/gates/whole/sinkhorn.hpp>
#include <headgate/gates/whole/sparsemixer.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Every expert, weighted by the softmax of the logits (Jacobs et al. 1991, eq. 1.2; Shazeer et al. 2017, eq. 2).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using softmax_gate = gate<linear_head<T, Model, Experts>, softmax, all_experts, raw>;

/// Select, then softmax over the selected logits (Shazeer et al. 2017, arXiv:1701.06538, eq. 3 and 5, without noise).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using topk_gate = gate<linear_head<T, Model, Experts>, logits_score, top_k<K>, softmax_of_selected>;

/// Softmax, then select; weights are the probabilities as they are (OLMoE, DeepSeekMoE; for k = 1 Switch: Fedus et al.
/// 2021, arXiv:2101.03961, eq. 2).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using softmax_topk_gate = gate<linear_head<T, Model, Experts>, softmax, top_k<K>, raw>;

/// Softmax, select, renormalise (Mixtral: Jiang et al. 2024, arXiv:2401.04088, section 2.1). Equals `topk_gate` in value
/// and gradient; its record holds the probabilities that the balance losses of that family read.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using renormalised_topk_gate = gate<linear_head<T, Model, Experts>, softmax, top_k<K>, renormalised>;

/// Top-k of noisy logits (Shazeer et al. 2017, eq. 3-5).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using noisy_topk_gate = gate<noisy_head<T, Model, Experts>, logits_score, top_k<K>, softmax_of_selected>;

/// GG MoE's gate (arXiv:2502.03608): Gumbel-softmax over all experts.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using gumbel_gate = gate<linear_head<T, Model, Experts, biases::used>, gumbel_softmax<T>, all_experts, raw>;

/// Dense-to-sparse with a fixed temperature, or one that the caller anneals (Nie et al. 2021, arXiv:2112.14397, eq. 5).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using temperature_gate = gate<linear_head<T, Model, Experts, biases::used>, softmax_at<T>, all_experts, raw>;

/// Dense-to-sparse with a learned temperature (Nguyen et al. 2024, arXiv:2401.13875).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using dense_to_sparse_gate =
    gate<linear_head<T, Model, Experts, biases::used>, learned_temperature<T>, all_experts, raw>;

/// Its activation variant: the activation is applied to w'x before bias, temperature and softmax (ibid.).
template <std::floating_point T, class Activation = sigmoid, index Model = dynamic, index Experts = dynamic>
using activation_dense_to_sparse_gate =
    gate<linear_head<T, Model, Experts>, learned_temperature<T, Activation>, all_experts, raw>;

/// Independent sigmoids, the k best, as they are.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using sigmoid_gate = gate<linear_head<T, Model, Experts>, sigmoid_score, top_k<K>, raw>;

/// Sigmoids selected with a balancing bias and renormalised without it (Wang et al. 2024, arXiv:2408.15664; DeepSeek-AI
/// 2024, arXiv:2412.19437, eq. 13-16, without groups and scale).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using balanced_sigmoid_gate = gate<linear_head<T, Model, Experts>, sigmoid_score, biased_top_k<T, K>, renormalised>;

/// AdaMoLE's gate: every expert whose probability reaches the token's own threshold (arXiv:2405.00361, eq. 4-6).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using adamole_gate = gate<linear_head<T, Model, Experts>, adaptive_threshold<T>, at_least<T>, renormalised>;

/// Dynamic routing: as many experts as it takes to reach a probability mass (arXiv:2403.07652).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using top_p_gate = gate<linear_head<T, Model, Experts>, softmax, top_p<T>, raw>;

/// Every expert with a positive logit, weighted by it; perhaps none.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using relu_gate = gate<linear_head<T, Model, Experts>, relu_score, positive, raw>;

/// GShard's top-2 gate with a random second expert (Lepikhin et al. 2020, arXiv:2006.16668, Algorithm 1: threshold = 0.5;
/// ST-MoE, Zoph et al. 2022, arXiv:2202.08906: 0.2). Its capacity drops `by_choice`.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using gshard_gate = random_second<renormalised_topk_gate<T, Model, Experts, 2>>;

/// Phi-3.5-MoE's gate: SparseMixer-v2 (Liu et al. 2023, arXiv:2310.00811).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using sparsemixer_gate = sparsemixer<linear_head<T, Model, Experts>>;

/// Experts choose their tokens (Zhou et al. 2022, arXiv:2202.09368): looks at the whole batch, in evaluation too.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
using expert_choice_gate = expert_choice<linear_head<T, Model, Experts>>;

/// S-BASE (Clark et al. 2022, arXiv:2202.01169): top-k of a plan that Sinkhorn's iterations balance, in training; weighted by
/// the sigmoids of the logits (BASE: Lewis et al. 2021, arXiv:2103.16716, eq. 1).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, index K = dynamic>
using sinkhorn_gate = sinkhorn<gate<linear_head<T, Model, Experts>, logits_score, top_k<K>, sigmoid_of_selected>>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
