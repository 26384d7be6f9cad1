// SPDX-License-Identifier: BSD-3-Clause
// The layer of one shape that all of its benchmarks share, in every form they need.
#pragma once

#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include <cstddef>
#include <deque>
#include <tuple>

#include "layers/shapes.hpp"
#include "machine/limits.hpp"

namespace headgate_bench {

using layer = hg::layer<hg::topk_gate<float>, hg::swiglu_expert<float>>;

using layer_fp32 = hg::packed_layer<layer>;
using layer_bf16 = hg::packed_layer<layer, hg::bf16>;
using layer_fp16 = hg::packed_layer<layer, hg::fp16>;

/// A layer of this shape. Its weights come from a counter: drawing normal numbers takes 15 ns each, which is 10 s for the
/// largest shape.
[[nodiscard]] layer make_layer(const shape& s);

/// Copies ("banks") of one layer, for passes to take turns with: as many as it takes until twice the last-level cache has
/// been read before a bank comes up again, if a pass of one token cannot do that alone. Who fits in a cache as a whole takes
/// the first only, and runs warm: fp32 banks may be many where 16 bits need one.
class subject {
 public:
  explicit subject(const shape& s);

  [[nodiscard]] const std::deque<layer>& banks() const { return banks_; }

  /// The same banks packed, when first asked for.
  template <class Packed>
  [[nodiscard]] const std::deque<Packed>& banks_as() {
    auto& made = std::get<std::deque<Packed>>(others_);
    if (made.empty())
      for (const layer& one : banks_) made.emplace_back(one);
    return made;
  }

 private:
  std::deque<layer> banks_;
  std::tuple<std::deque<layer_fp32>, std::deque<layer_bf16>, std::deque<layer_fp16>> others_;
};

}  // namespace headgate_bench
