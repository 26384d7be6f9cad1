// SPDX-License-Identifier: BSD-3-Clause
// The same for experts, and for a layer's types.
#include <headgate/headgate.hpp>
#include <headgate/norms/rms_norm.hpp>

#include <type_traits>

namespace hg = headgate;

static_assert(std::is_empty_v<hg::swiglu_expert<float, 16, 32>> && std::is_empty_v<hg::swiglu_expert<float, 16, 16>>);
static_assert(std::is_empty_v<hg::ffn_expert<float, hg::gelu, 16, 32>>);
static_assert(std::is_empty_v<hg::ffn_expert<float, hg::gelu, 16, 32, hg::biases::used>>);
static_assert(std::is_empty_v<hg::linear_expert<float, 16, 8>>);
static_assert(std::is_empty_v<hg::frozen<hg::linear_expert<float, 16, 8>>>);
static_assert(std::is_empty_v<hg::no_shared_expert>);
static_assert(sizeof(hg::rms_norm<float, 16>) == sizeof(float));

using tiny = hg::layer<hg::topk_gate<float, 16, 4, 1>, hg::swiglu_expert<float, 16, 32>>;
static_assert(std::is_nothrow_move_constructible_v<tiny> && std::is_copy_constructible_v<tiny>);
