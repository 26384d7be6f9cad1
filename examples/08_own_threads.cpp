// SPDX-License-Identifier: BSD-3-Clause
// Threads of one's own: an executor is two functions, and no result depends on it.
#include <headgate/headgate.hpp>

#include <cstdio>
#include <thread>
#include <vector>

namespace hg = headgate;

struct my_threads {
  hg::index count;

  hg::index workers() const { return count; }
  template <class F>
  void run(hg::index tasks, const F& f) const {  // f(task, worker) once for each task
    const auto work = [&](hg::index worker) {
      for (hg::index task = worker; task < tasks; task += count) f(task, worker);
    };
    std::vector<std::jthread> others;
    for (hg::index worker = 1; worker < count; ++worker) others.emplace_back(work, worker);
    work(0);
  }
};
static_assert(hg::executor<my_threads>);

int main() {
  const hg::layer layer{hg::topk_gate<float>{.head = {.model = 64, .experts = 8}, .select = {.k = 2}},
                        hg::swiglu_expert<float>{.model = 64, .hidden = 128}, /*seed=*/42};
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(100, 64, random);
  const auto dy = hg::randn<float>(100, 64, random);

  hg::matrix<float> y_alone, dx_alone;
  for (const hg::index count : {1, 2, 3, 7}) {
    const my_threads threads{count};
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    hg::matrix<float> y, dx;
    layer.forward(threads, x, y, tape);
    layer.backward(threads, x, dy, tape, dx, grads);
    if (count == 1) y_alone = y, dx_alone = dx;
    const bool same = y == y_alone && dx == dx_alone;
    std::printf("%td threads: %s\n", count, same ? "the same bits" : "different");
    if (!same) return 1;
  }

  // A token's row does not depend on its neighbours either.
  const bool alone = layer(x.middleRows(17, 1)) == y_alone.middleRows(17, 1);
  std::printf("token 17 by itself: %s\n", alone ? "the same bits" : "different");
  return alone ? 0 : 1;
}
