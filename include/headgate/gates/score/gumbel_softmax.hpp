// SPDX-License-Identifier: BSD-3-Clause
// The Gumbel-softmax score (Jang et al. 2016, arXiv:1611.01144, eq. 2; as the gate of a mixture: GG MoE, 2025,
// arXiv:2502.03608, section 3).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Soft:  s = softmax((z + g) / temperature), g ~ Gumbel(0, 1)
/// Hard:  s = one_hot(argmax of that); the gradient is that of the soft scores (straight-through).
///
/// Training draws one sample per token. Evaluation averages `samples` of them, the same for every token and drawn from
/// `evaluation_seed`, so that a token's scores do not depend on its place in the batch; the layer's output is linear in
/// the scores, so this is also the average of the sampled outputs, with each expert evaluated once. samples = 0
/// evaluates without noise. The straight-through gradient reaches all experts only if all are selected.
template <class T>
struct gumbel_softmax {
  static constexpr score_kind kind = score_kind::distribution;

  struct params {};
  struct cache {
    scratch<T> soft;  // (tokens * samples x experts), the softmax of each sample
    index samples = 0;
  };
  static constexpr auto fields = std::tuple{};

  T temperature = T{1};
  bool hard = false;
  index samples = 10;
  std::uint64_t evaluation_seed = 0;

  void check(gate_shape) const {
    if (!(temperature >= (std::numeric_limits<T>::min)()))
      refuse("gumbel_softmax: temperature is ", temperature, ", it must be greater than 0");
    if (samples < 0) refuse("gumbel_softmax: samples is ", samples, ", it must be at least 0");
  }

  [[nodiscard]] params init(gate_shape, std::mt19937_64&) const { return {}; }

  template <class Pass>
  void forward(const params&, in<T>, view<const T> z, view<T> s, cache& c, const Pass& pass) const {
    c.samples = pass.training ? 1 : (std::max)(samples, index{1});
    const bool noisy = pass.training || samples > 0;
    const random_stream stream = pass.training ? pass.random : random_stream{evaluation_seed, 0};
    const T share = T{1} / static_cast<T>(c.samples);
    c.soft.resize(z.rows * c.samples, z.cols);
    for (index t = 0; t < z.rows; ++t) {
      std::fill_n(s.row(t), z.cols, T{0});
      for (index sample = 0; sample < c.samples; ++sample) {
        T* const soft = c.soft.row(t * c.samples + sample);
        for (index e = 0; e < z.cols; ++e) {
          const double g = noisy ? gumbel(stream, pass.training ? t : sample, e) : 0.0;
          soft[e] = z(t, e) + static_cast<T>(g);
        }
        // Before the temperature, because the largest ones make ties of what was none.
        const index best = std::max_element(soft, soft + z.cols) - soft;
        kernels::softmax_row_at(static_cast<const T*>(soft), temperature, soft, z.cols);
        if (hard)
          s(t, best) += kernels::is_minus_infinity(z(t, best)) ? T{0} : share;  // all are switched off
        else
          for (index e = 0; e < z.cols; ++e) s(t, e) += share * soft[e];
      }
    }
  }

  /// dz += mean over samples of soft (ds - <soft, ds>) / temperature
  template <class Pass>
  void backward(const params&, in<T>, view<const T>, view<const T> s, view<const T> ds, view<T> dz, out<T>, params&,
                cache& c, const Pass&) const {
    const T scale = T{1} / (temperature * static_cast<T>(c.samples));
    for (index t = 0; t < s.rows; ++t)
      for (index sample = 0; sample < c.samples; ++sample)
        kernels::softmax_backward_row(static_cast<const T*>(c.soft.row(t * c.samples + sample)), ds.row(t), dz.row(t),
                                      s.cols, scale);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
