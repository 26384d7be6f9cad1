// SPDX-License-Identifier: BSD-3-Clause
#include "training.hpp"

#include <headgate/experts/glu.hpp>

namespace demo {

run_record run_dense(const std::string& name, index parameters, const settings& how, const task& what,
                     const watcher& watch) {
  constexpr index head_parameters = classes * pixels + classes;
  constexpr index per_hidden_unit = 3 * pixels;  // a column each of gate and up, a row of down
  const index hidden = (parameters - head_parameters + per_hidden_unit / 2) / per_hidden_unit;

  const hg::thread_pool pool(how.threads);
  classifier model(hg::dense_layer{hg::swiglu_expert<float>{.model = pixels, .hidden = hidden}, how.seed}, how.seed);
  run_record record;
  record.name = name;
  record.hidden = hidden;
  record.active_parameters = record.total_parameters = model.parameters();
  train(model, how, what, pool, watch, record);
  judge(model, what, pool, record);
  return record;
}

}  // namespace demo
