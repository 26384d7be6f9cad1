// expect: packed_layer: an expert does not model headgate::packable_expert (docs/writing-an-expert.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>
#include <headgate/packed_layer.hpp>

struct doubling {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  headgate::index model;

  params init(std::mt19937_64&) const { return {}; }
  void forward(const params&, headgate::in<float> x, headgate::out<float> y, cache&) const { y = 2 * x; }
};

void pack() {
  const headgate::layer layer{headgate::topk_gate<float>{.head = {.model = 4, .experts = 2}, .select = {.k = 1}},
                              doubling{4}, 1};
  const headgate::packed_layer packed{layer};
}
