// expect: layer: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

struct idle_expert {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  headgate::index model;

  params init(std::mt19937_64&) const { return {}; }
};

headgate::layer refused{headgate::topk_gate<float, 8, 4, 2>{}, idle_expert{.model = 8}, 1};
