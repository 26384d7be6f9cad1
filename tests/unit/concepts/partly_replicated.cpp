// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/partly_replicated.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

namespace {

using gate = hg::topk_gate<float>;
using expert = hg::linear_expert<float>;
using part = hg::expert_parallel_layer<gate, expert>;

struct silent_model {
  part inside;
  template <class G, class F>
  void for_each_parameter(G& grads, F&& f) {
    inside.for_each_parameter(grads, f);
  }
};
struct telling_model : silent_model {
  template <class F>
  void for_each_replicated_tensor(F&& f) {
    inside.for_each_replicated_tensor(f);
  }
};

}  // namespace

TEST_CASE("a module with parts of a rank's own is known by its walk of replicas", "[concepts][partly_replicated]") {
  CHECK(hg::partly_replicated<part>);
  CHECK(hg::partly_replicated<const part>);
  CHECK(hg::partly_replicated<telling_model>);
  CHECK_FALSE(hg::partly_replicated<silent_model>);
  CHECK_FALSE((hg::partly_replicated<hg::layer<gate, expert>>));
}
