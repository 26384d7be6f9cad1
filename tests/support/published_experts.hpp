// SPDX-License-Identifier: BSD-3-Clause
// Experts of published blocks in the layouts that they have on disk.
#pragma once

#include "support/published_parts.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

namespace headgate_test::published {

/// down (act(gate x) * up x), the three tensors given by name: gate and up [hidden, model], down [model, hidden].
[[nodiscard]] inline row glu(const tensors& t, const std::string& gate, const std::string& up, const std::string& down,
                             double (*act)(double), const row& x) {
  row a = linear(find(t, gate), x);
  const row b = linear(find(t, up), x);
  for (size_t h = 0; h < a.size(); ++h) a[h] = act(a[h]) * b[h];
  return linear(find(t, down), a);
}

/// SwiGLU under the names gate_proj, up_proj, down_proj behind `prefix`.
[[nodiscard]] inline row proj_swiglu(const tensors& t, const std::string& prefix, const row& x) {
  return glu(t, prefix + "gate_proj.weight", prefix + "up_proj.weight", prefix + "down_proj.weight", silu, x);
}

/// SwiGLU under the names w1 (gate), w3 (up), w2 (down) behind `prefix`.
[[nodiscard]] inline row w_swiglu(const tensors& t, const std::string& prefix, const row& x) {
  return glu(t, prefix + "w1.weight", prefix + "w3.weight", prefix + "w2.weight", silu, x);
}

[[nodiscard]] inline std::string of_expert(size_t e) { return "experts." + std::to_string(e) + "."; }

/// SwiGLU of expert e of two fused tensors, as nn.Linear has them: `both` [experts, 2 hidden, model], gate over up, and
/// `down` [experts, model, hidden].
[[nodiscard]] inline row fused_swiglu(const tensor& both, const tensor& down, size_t e, const row& x) {
  const size_t hidden = both.shape.at(1) / 2;
  row y(x.size(), 0.0);
  for (size_t h = 0; h < hidden; ++h) {
    double gate = 0, up = 0;
    for (size_t m = 0; m < x.size(); ++m) {
      gate += both(e, h, m) * x[m];
      up += both(e, hidden + h, m) * x[m];
    }
    for (size_t m = 0; m < y.size(); ++m) y[m] += down(e, m, h) * silu(gate) * up;
  }
  return y;
}

/// SwiGLU of expert e of two fused tensors, as x multiplies them from the left: `both` [experts, model, 2 hidden], gate
/// beside up, and `down` [experts, hidden, model].
[[nodiscard]] inline row fused_swiglu_from_the_left(const tensor& both, const tensor& down, size_t e, const row& x) {
  const size_t hidden = both.shape.at(2) / 2;
  row y(x.size(), 0.0);
  for (size_t h = 0; h < hidden; ++h) {
    double gate = 0, up = 0;
    for (size_t m = 0; m < x.size(); ++m) {
      gate += x[m] * both(e, m, h);
      up += x[m] * both(e, m, hidden + h);
    }
    for (size_t m = 0; m < y.size(); ++m) y[m] += silu(gate) * up * down(e, h, m);
  }
  return y;
}

/// gpt-oss: gate and up interleaved along the last axis of [experts, model, 2 hidden], biases everywhere, both clamped
/// (the gate from above only), gate * sigmoid(1.702 gate) * (up + 1).
[[nodiscard]] inline row clamped_interleaved_swiglu(const tensors& t, size_t e, double limit, const row& x) {
  const tensor& both = find(t, "experts.gate_up_proj");            // [experts, model, 2 hidden]
  const tensor& both_bias = find(t, "experts.gate_up_proj_bias");  // [experts, 2 hidden]
  const tensor& down = find(t, "experts.down_proj");               // [experts, hidden, model]
  const tensor& down_bias = find(t, "experts.down_proj_bias");     // [experts, model]
  row y(x.size(), 0.0);
  for (size_t m = 0; m < y.size(); ++m) y[m] = down_bias(e, m);
  for (size_t h = 0; h < down.shape.at(1); ++h) {
    double gate = both_bias(e, 2 * h);
    double up = both_bias(e, 2 * h + 1);
    for (size_t m = 0; m < x.size(); ++m) {
      gate += x[m] * both(e, m, 2 * h);
      up += x[m] * both(e, m, 2 * h + 1);
    }
    gate = std::min(gate, limit);
    up = std::min(std::max(up, -limit), limit);
    const double inner = gate * sigmoid(1.702 * gate) * (up + 1);
    for (size_t m = 0; m < y.size(); ++m) y[m] += inner * down(e, h, m);
  }
  return y;
}

/// wo relu(wi x) with wi [hidden, model], wo [model, hidden].
[[nodiscard]] inline row relu_mlp(const tensor& wi, const tensor& wo, const row& x) {
  row hidden = linear(wi, x);
  for (double& value : hidden) value = relu(value);
  return linear(wo, hidden);
}

}  // namespace headgate_test::published
