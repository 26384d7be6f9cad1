// SPDX-License-Identifier: BSD-3-Clause
// Policies whose sizes are all known at compile time are empty, and take no room in a layer.
#include <headgate/headgate.hpp>

#include <type_traits>

namespace hg = headgate;

static_assert(std::is_empty_v<hg::softmax_gate<float, 16, 4>>);
static_assert(std::is_empty_v<hg::topk_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::softmax_topk_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::renormalised_topk_gate<double, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::sigmoid_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::balanced_sigmoid_gate<float, 16, 4, 2>>);
static_assert(std::is_empty_v<hg::relu_gate<float, 16, 4>>);
static_assert(!std::is_empty_v<hg::topk_gate<float, 16, 4>>);  // k is a number

static_assert(std::is_empty_v<hg::linear_expert<float, 16, 16>>);
static_assert(std::is_empty_v<hg::linear_expert<float, 16, 16, hg::biases::used>>);
static_assert(std::is_empty_v<hg::ffn_expert<float, hg::gelu, 16, 32>>);
static_assert(std::is_empty_v<hg::swiglu_expert<float, 16, 32>>);
static_assert(std::is_empty_v<hg::frozen<hg::swiglu_expert<float, 16, 32>>>);
static_assert(std::is_empty_v<hg::no_shared_expert>);

template <class... Policies>
inline constexpr std::size_t size = sizeof(hg::layer<Policies...>);
using gate = hg::topk_gate<float, 16, 4, 2>;
using expert = hg::swiglu_expert<float, 16, 32>;
static_assert(size<gate, expert> < size<hg::topk_gate<float>, expert>);
static_assert(size<gate, expert> < size<gate, hg::swiglu_expert<float>>);
