// SPDX-License-Identifier: BSD-3-Clause
// What tests of packed layers share: layers whose weights are disturbed or rounded, and equality with the layer.
#pragma once

#include "support/any_executor.hpp"
#include "support/layer_checks.hpp"

#include <headgate/packed_layer.hpp>

#include <string_view>
#include <type_traits>

namespace headgate_test {

/// Sizes that are no multiple of anything, and one that is.
inline hg::index odd_size(numbers& next) {
  constexpr hg::index sizes[] = {1, 3, 17, 63, 64, 100, 257};
  return sizes[next.below(7)];
}

/// Moves all parameters away from where they start; biases and LoRA's matrix are zero there.
template <class Layer>
void disturb(Layer& layer, std::uint64_t seed) {
  layer.for_each_tensor(disturb_all{{seed}});
}

/// The layer with the matrices of its experts as Storage holds them. Biases and the gate keep their scalar.
template <class Storage, class Layer>
Layer with_weights_through(Layer layer) {
  layer.for_each_tensor([](std::string_view name, auto& w) {
    const bool of_experts = name.substr(0, 8) == "experts." || name.substr(0, 7) == "shared.";
    const bool is_bias = name.size() >= 4 && name.substr(name.size() - 4) == "bias";
    if (!of_experts || is_bias) return;
    using T = typename std::remove_reference_t<decltype(w)>::Scalar;
    w = w.unaryExpr([](T value) { return static_cast<T>(static_cast<Storage>(value)); }).eval();
  });
  return layer;
}

/// A packed layer gives the bits of `layer` in batches of several sizes, in parts of batches and with any executor; its
/// record is the layer's.
template <class Storage, class Layer>
void check_packed(const Layer& layer, std::uint64_t seed) {
  using T = typename Layer::scalar;
  numbers next(seed);
  const shuffled mixed{3, seed};
  const hg::packed_layer<Layer, Storage> packed(layer, any_executor(mixed));
  const Layer rounded = with_weights_through<Storage>(layer);
  typename Layer::workspace memory;
  typename hg::packed_layer<Layer, Storage>::workspace packed_memory;
  hg::matrix<T> expected, y;
  for (const hg::index tokens : {hg::index{1}, 1 + next.below(200), hg::index{3}, 1 + next.below(20), hg::index{0}}) {
    CAPTURE(layer.model(), layer.outputs(), layer.experts(), tokens);
    const auto x = random_matrix<T>(tokens, layer.model(), {next.bits()});
    rounded.forward(any_executor(hg::run_sequentially), x, expected, memory);
    for_each_executor(next.bits(), [&](const any_executor& executor) {
      y.setConstant(tokens, layer.outputs(), not_a_number<T>);
      packed.forward(executor, x, y, packed_memory);
      CHECK(same_matrix(y, expected));
    });
    const auto &of_layer = memory.routing.assignments, &of_packed = packed_memory.routing.assignments;
    bool same_record = of_layer.size() == of_packed.size();
    for (hg::index a = 0; same_record && a < of_layer.size(); ++a)
      same_record = of_layer[a].token == of_packed[a].token && of_layer[a].expert == of_packed[a].expert &&
                    same_bits(of_layer[a].weight, of_packed[a].weight);
    CHECK(same_record);
    CHECK(memory.plan.dropped() == packed_memory.plan.dropped());
    if (!layer.options().capacity.is_dropless()) continue;  // there a token depends on its neighbours
    for (hg::index first = 0; first < tokens;) {
      const hg::index count = 1 + next.below((std::min)(tokens - first, hg::index{40}));
      packed.forward(any_executor(mixed), x.middleRows(first, count), y.middleRows(first, count), packed_memory);
      first += count;
    }
    CHECK(same_matrix(y, expected));
  }
}

}  // namespace headgate_test
