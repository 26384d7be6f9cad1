// SPDX-License-Identifier: BSD-3-Clause
#include "training.hpp"

#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/switch_balance.hpp>

namespace demo {

run_record run_mixture(const settings& how, const task& what, const watcher& watch) {
  const hg::thread_pool pool(how.threads);
  classifier model(hg::layer{hg::renormalised_topk_gate<float>{.head = {.model = pixels, .experts = how.experts},
                                                               .select = {.k = how.k}},
                             hg::swiglu_expert<float>{.model = pixels, .hidden = how.hidden}, how.seed},
                   how.seed);

  run_record record;
  record.name = "MoE, top-" + std::to_string(how.k) + " of " + std::to_string(how.experts);
  record.hidden = how.hidden;
  record.total_parameters = model.parameters();
  record.active_parameters = record.total_parameters - (how.experts - how.k) * 3 * pixels * how.hidden;

  train(model, how, what, pool, watch, record, hg::switch_balance<float>{.weight = how.balance});
  judge(model, what, pool, record);
  return record;
}

}  // namespace demo
