// SPDX-License-Identifier: BSD-3-Clause
// A worker that had no task in the first pass of a size allocates nothing when it gets one.
#include <headgate/concepts/executor.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

#include <type_traits>

using namespace headgate_test;

namespace {

/// All tasks go to the one of two workers that its caller names at the time.
struct one_of_two {
  const hg::index* worker;

  [[nodiscard]] hg::index workers() const { return 2; }
  template <class F>
  void run(hg::index tasks, const F& f) const {
    for (hg::index task = 0; task < tasks; ++task) f(task, *worker);
  }
};
static_assert(hg::executor<one_of_two>);

template <class Gate>
void check_other_worker(const Gate& gate) {
  const hg::layer layer{gate, hg::linear_expert<float>{.model = 24, .outputs = 9}, 1};
  typename std::remove_cvref_t<decltype(layer)>::tape tape;
  auto grads = layer.zero_gradients();
  hg::matrix<float> y, dx;
  const auto x = random_matrix<float>(60, 24, {1}), dy = random_matrix<float>(60, 9, {2});
  hg::index worker = 0;
  const one_of_two executor{&worker};
  const auto pass = [&] {
    layer.forward(executor, x, y, tape);
    layer.backward(executor, x, dy, tape, dx, grads);
  };
  CHECK(allocations_of(pass) > 0);
  worker = 1;
  CHECK(allocations_of(pass) == 0);
}

}  // namespace

TEST_CASE("a second pass on another worker allocates nothing", "[allocation]") {
  check_other_worker(hg::expert_choice_gate<float>{.head = {.model = 24, .experts = 6}});
  check_other_worker(hg::sinkhorn_gate<float>{.gate = {.head = {.model = 24, .experts = 6}, .select = {.k = 2}}});
}
