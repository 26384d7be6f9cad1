// expect: layer: Gate does not model headgate::gate_policy (docs/writing-a-gate.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/layer.hpp>

namespace hg = headgate;

struct gate_that_hides_its_experts {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model = 4;

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<float>, hg::routing<float>&, cache&) const {}
};

template class headgate::layer<gate_that_hides_its_experts, hg::linear_expert<float>>;
