// SPDX-License-Identifier: BSD-3-Clause
// What published code does to the combine weights afterwards: a factor, a switch, a cast.
//
// Each wraps another weigh stage, in the order of the code: `rounded_to<bf16, scaled<float, renormalised>>` renormalises,
// scales, casts. In backward the w and dw of a weigh stage are copies of its own: a wrapper brings them to what the inner
// stage has to see, in place.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/round_to.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/gates/weigh/raw.hpp>

#include <concepts>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// w = factor * weigh(s): the `routed_scaling_factor` of DeepSeek-V2 and V3.
template <std::floating_point T, class Weigh>
struct scaled {
  HEADGATE_NO_UNIQUE_ADDRESS Weigh weigh{};
  T factor = T{1};

  void check(gate_shape shape) const {
    detail::check_stage(weigh, shape);
    if (!(factor - factor == T{0})) refuse("scaled: factor is ", factor, ", it must be finite");
  }

  void forward(const T* s, index n, T* w) const {
    weigh.forward(s, n, w);
    for (index i = 0; i < n; ++i) w[i] *= factor;
  }
  void backward(const T* s, T* w, index n, T* dw, T* ds) const {
    weigh.forward(s, n, w);
    for (index i = 0; i < n; ++i) dw[i] *= factor;
    weigh.backward(s, w, n, dw, ds);
  }
};

/// weigh(s) while `on`, else the scores as they are: the `norm_topk_prob` of Qwen2-MoE, Qwen3-MoE and OLMoE.
template <class Weigh>
struct switched {
  HEADGATE_NO_UNIQUE_ADDRESS Weigh weigh{};
  bool on = true;

  void check(gate_shape shape) const { detail::check_stage(weigh, shape); }

  template <class T>
  void forward(const T* s, index n, T* w) const {
    if (on)
      weigh.forward(s, n, w);
    else
      raw{}.forward(s, n, w);
  }
  template <class T>
  void backward(const T* s, T* w, index n, T* dw, T* ds) const {
    if (on)
      weigh.backward(s, w, n, dw, ds);
    else
      raw{}.backward(s, static_cast<const T*>(w), n, static_cast<const T*>(dw), ds);
  }
};

/// w = weigh(s) rounded to Storage, to nearest even: where a model of 16 bits casts its weights. The gradient is that of
/// the weights before the rounding.
template <class Storage, class Weigh>
struct rounded_to {
  HEADGATE_NO_UNIQUE_ADDRESS Weigh weigh{};

  void check(gate_shape shape) const { detail::check_stage(weigh, shape); }

  template <class T>
  void forward(const T* s, index n, T* w) const {
    weigh.forward(s, n, w);
    for (index i = 0; i < n; ++i) w[i] = round_to<Storage>(w[i]);
  }
  template <class T>
  void backward(const T* s, T* w, index n, T* dw, T* ds) const {
    weigh.forward(s, n, w);
    weigh.backward(s, w, n, dw, ds);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
