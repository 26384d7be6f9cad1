// SPDX-License-Identifier: BSD-3-Clause
// Promise 3 over ranks, for batches of many blocks on a thread_pool of each rank, and for noise, which is each rank's own.
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/on_threads.hpp"

#include <cmath>
#include <span>

using namespace headgate_test;

namespace {

using T = double;

/// With noise in training, without it in evaluation: compiled once for both.
auto noisy_layer() {
  hg::layer layer{hg::noisy_topk_gate<T>{.head = {.model = 6, .experts = 5}, .select = {.k = 2}},
                  hg::linear_expert<T>{.model = 6, .outputs = 4}, 5};
  layer.for_each_tensor(disturb_all{{7}});
  return layer;
}
using whole_layer = decltype(noisy_layer());

/// One pass and its gradients, summed over ranks where the layer has any.
template <class Tape, class Gradients>
struct training_pass {
  hg::matrix<T> y, dx;
  Gradients grads;
  Tape tape{};
};
template <class Layer>
training_pass<typename Layer::tape, typename Layer::gradients> new_pass(const Layer& layer) {
  return {{}, {}, layer.zero_gradients()};
}

/// The gradients of the ranks' passes, against differences of the loss over all ranks with the same noise.
template <class Part, class Pass>
void expect_differences(complaints& all, hg::thread_rank& ranks, Part& part, const hg::matrix<T>& x,
                        const hg::matrix<T>& dy, hg::random_stream noise, const Pass& of) {
  const hg::thread_pool pool(2);
  typename Part::tape tape;
  hg::matrix<T> y;
  const auto loss = [&] {
    tape.random = noise;
    part.forward(pool, ranks, x, y, tape);
    T sum = y.cwiseProduct(dy).sum();
    ranks.all_reduce(std::span(&sum, 1));
    return sum;
  };
  const auto check = [&](T& value, T analytic, const char* name) {  // of a replica, moved on all ranks
    const T before = value, step = 1e-6;
    value = before + step;
    const T above = loss();
    value = before - step;
    const T below = loss();
    value = before;
    all.expect(std::fabs((above - below) / (2 * step) - analytic) < 1e-5 * (0.1 + std::fabs(analytic)),
               hg::sentence("differences give another gradient of ", name));
  };
  for (const hg::index i : {0, 11, 29}) {
    auto& head = part.params().gate.head;
    check(head.weight.data()[i], of.grads.gate.head.weight.data()[i], "the weights of the logits");
    check(head.noise_weight.data()[i], of.grads.gate.head.noise_weight.data()[i], "the weights of the noise");
  }
}

}  // namespace

TEST_CASE("batches of many blocks on a pool of each rank give the bits of one rank", "[expert_parallel][bits]") {
  const whole_layer whole = noisy_layer();
  const token_shares share{0, 2300, 5000};
  const auto x = random_matrix<T>(5000, 6, {1}), dy = random_matrix<T>(5000, 4, {2});
  auto expected = new_pass(whole);
  expected.tape.training = false;
  whole.forward(x, expected.y, expected.tape);
  whole.backward(x, dy, expected.tape, expected.dx, expected.grads);
  CHECK(on_threads(2, [&](hg::thread_rank& rank) {
          complaints all;
          const auto me = static_cast<std::size_t>(rank.rank());
          const hg::index first = share[me], count = share[me + 1] - first;
          const auto part = part_of(whole, {5, 2}, rank.rank());
          const hg::thread_pool pool(2);
          auto found = new_pass(part);
          found.tape.training = false;
          const hg::matrix<T> mine = x.middleRows(first, count), dmine = dy.middleRows(first, count);
          part.forward(pool, rank, mine, found.y, found.tape);
          part.backward(pool, rank, mine, dmine, found.tape, found.dx, found.grads);
          hg::all_reduce_gradients(rank, part, found.grads);
          all.expect(same_matrix(found.y, expected.y.middleRows(first, count)), "y is another");
          all.expect(same_matrix(found.dx, expected.dx.middleRows(first, count)), "dx is another");
          expect_gradients(all, whole, expected.grads, found.grads, false);
          return all.text;
        }) == "");
}

TEST_CASE("noise on ranks is that of each rank's tape, the same whenever the pass is repeated", "[expert_parallel]") {
  const whole_layer whole = noisy_layer();
  CHECK(on_threads(2, [&](hg::thread_rank& rank) {
          complaints all;
          const auto me = static_cast<std::uint64_t>(rank.rank());
          auto part = part_of(whole, {5, 2}, rank.rank());
          const hg::thread_pool pool(2);
          const hg::random_stream noise{31 + me};
          const auto x = random_matrix<T>(9, 6, {1}), dy = random_matrix<T>(9, 4, {2});  // the same tokens on both
          const auto run = [&](hg::random_stream random) {
            auto of = new_pass(part);
            of.tape.random = random;
            part.forward(pool, rank, x, of.y, of.tape);
            part.backward(pool, rank, x, dy, of.tape, of.dx, of.grads);
            hg::all_reduce_gradients(rank, part, of.grads);
            return of;
          };
          const auto first = run(noise), again = run(noise), next = run(first.tape.random);
          all.expect(same_matrix(first.y, again.y) && same_matrix(first.dx, again.dx), "a second pass is another");
          all.expect(same_parameters(first.grads, again.grads), "a second pass has other gradients");
          all.expect(!same_matrix(first.y, next.y), "the next step has the same noise");

          auto alone = new_pass(whole);  // the rank's tokens as a batch of their own
          alone.tape.random = noise;
          whole.forward(x, alone.y, alone.tape);
          whole.backward(x, dy, alone.tape, alone.dx, alone.grads);
          all.expect(same_matrix(first.y, alone.y) && same_matrix(first.dx, alone.dx), "it is not a batch of its own");
          hg::matrix<T> of_rank_0 = first.y;
          rank.broadcast(std::span(of_rank_0.data(), static_cast<std::size_t>(of_rank_0.size())), 0);
          all.expect(me == 0 || !same_matrix(first.y, of_rank_0), "both ranks have the same noise");
          expect_differences(all, rank, part, x, dy, noise, first);
          return all.text;
        }) == "");
}
