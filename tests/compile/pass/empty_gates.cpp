// SPDX-License-Identifier: BSD-3-Clause
// A policy whose sizes are all compile-time constants and that has no option is an empty class, also where two of its
// sizes, or two of its stages, are the same type.
#include <headgate/gates/named.hpp>

#include <type_traits>

namespace hg = headgate;

static_assert(std::is_empty_v<hg::linear_head<float, 16, 4>> && std::is_empty_v<hg::linear_head<float, 8, 8>>);
static_assert(std::is_empty_v<hg::linear_head<float, 16, 4, hg::biases::used>>);
static_assert(std::is_empty_v<hg::softmax> && std::is_empty_v<hg::logits_score> && std::is_empty_v<hg::relu_score>);
static_assert(std::is_empty_v<hg::top_k<2>> && std::is_empty_v<hg::biased_top_k<float, 2>>);
static_assert(std::is_empty_v<hg::all_experts> && std::is_empty_v<hg::positive>);
static_assert(std::is_empty_v<hg::raw> && std::is_empty_v<hg::renormalised> &&
              std::is_empty_v<hg::softmax_of_selected>);

static_assert(std::is_empty_v<hg::softmax_gate<float, 16, 4>>);
static_assert(std::is_empty_v<hg::topk_gate<float, 16, 4, 1>> && std::is_empty_v<hg::topk_gate<double, 4, 4, 4>>);
static_assert(std::is_empty_v<hg::softmax_topk_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::renormalised_topk_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::sigmoid_gate<float, 16, 4, 2>> &&
              std::is_empty_v<hg::balanced_sigmoid_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::relu_gate<float, 16, 4>>);

// An option costs its own size and no more.
static_assert(sizeof(hg::temperature_gate<float, 16, 4>) == sizeof(float));
static_assert(sizeof(hg::noisy_head<float, 16, 4>) == sizeof(float));
static_assert(sizeof(hg::top_p_gate<double, 16, 4>) == sizeof(double));

// Three run-time sizes are three numbers.
static_assert(sizeof(hg::topk_gate<float>) == 3 * sizeof(hg::index));
static_assert(std::is_nothrow_move_constructible_v<hg::topk_gate<float>>);
static_assert(std::is_nothrow_move_constructible_v<hg::topk_gate<float>::params>);
static_assert(std::is_trivially_copyable_v<hg::topk_gate<float, 16, 4, 1>>);
