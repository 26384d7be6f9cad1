// SPDX-License-Identifier: BSD-3-Clause
// A grouped expert on one block of rows: a group of one.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/groups.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Runs one expert on all rows of x, on the calling thread.
template <class Expert, class T = typename Expert::scalar>
void forward_block(const Expert& expert, const typename Expert::params& p, in<T> x, out<T> y,
                   typename Expert::cache& c) {
  scratch<T> working_memory;
  const index offsets[2] = {0, x.rows()};
  expert.forward(std::span(&p, 1), row_groups{1, offsets}, x, y, c, pass<T>{run_sequentially, working_memory});
}

/// Its backward: overwrites dx, adds to dp.
template <class Expert, class T = typename Expert::scalar>
void backward_block(const Expert& expert, const typename Expert::params& p, in<T> x, in<T> dy,
                    typename Expert::cache& c, out<T> dx, typename Expert::params& dp) {
  scratch<T> working_memory;
  const index offsets[2] = {0, x.rows()};
  expert.backward(std::span(&p, 1), row_groups{1, offsets}, x, dy, c, dx, std::span(&dp, 1),
                  pass<T>{run_sequentially, working_memory});
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
