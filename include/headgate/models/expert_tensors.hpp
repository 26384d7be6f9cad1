// SPDX-License-Identifier: BSD-3-Clause
// The usual layouts of GLU experts on disk.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/models/tensor_part.hpp>

#include <string>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What a family calls the three matrices of an expert, after the expert's own prefix.
struct glu_names {
  const char* gate;
  const char* up;
  const char* down;
};

inline constexpr glu_names proj_names{"gate_proj.weight", "up_proj.weight", "down_proj.weight"};
inline constexpr glu_names w_names{"w1.weight", "w3.weight", "w2.weight"};

/// One expert in three tensors: gate and up [hidden, model], down [model, hidden]. Calls f(matrix, part) for each.
template <class Params, class F>
void glu_tensors(Params& p, const std::string& prefix, const glu_names& names, index model, index hidden, const F& f) {
  f(p.gate, whole(prefix + names.gate, hidden, model));
  f(p.up, whole(prefix + names.up, hidden, model));
  f(p.down, whole(prefix + names.down, model, hidden));
}

/// The same for each of several experts: "experts.0.gate_proj.weight" ...
template <class Experts, class F>
void glu_tensors_of_each(Experts& experts, const glu_names& names, index model, index hidden, const F& f) {
  for (index e = 0; e < experts.size(); ++e)
    glu_tensors(experts[e], sentence("experts.", e, "."), names, model, hidden, f);
}

/// All experts in two tensors: gate over up [experts, 2 hidden, model], down [experts, model, hidden].
template <class Experts, class F>
void glu_tensors_stacked(Experts& experts, const char* gate_up, const char* down, index model, index hidden,
                         const F& f) {
  const index count = experts.size();
  for (index e = 0; e < count; ++e) {
    const tensor_part both = stack_of(gate_up, count, 2 * hidden, model, e);
    f(experts[e].gate, both.middle_rows(0, hidden));
    f(experts[e].up, both.middle_rows(hidden, hidden));
    f(experts[e].down, stack_of(down, count, model, hidden, e));
  }
}

/// The same with the matrices as x multiplies them from the left: gate beside up [experts, model, 2 hidden], down
/// [experts, hidden, model].
template <class Experts, class F>
void glu_tensors_transposed(Experts& experts, const char* gate_up, const char* down, index model, index hidden,
                            const F& f) {
  const index count = experts.size();
  for (index e = 0; e < count; ++e) {
    const tensor_part both = stack_of(gate_up, count, model, 2 * hidden, e).transposed();
    f(experts[e].gate, both.middle_rows(0, hidden));
    f(experts[e].up, both.middle_rows(hidden, hidden));
    f(experts[e].down, stack_of(down, count, hidden, model, e).transposed());
  }
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
