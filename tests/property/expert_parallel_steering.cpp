// SPDX-License-Identifier: BSD-3-Clause
// A steered pass, and dropout, with experts on ranks.
#include <headgate/experts/glu.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/routing/recorded_pass.hpp>

#include "support/expert_parallel_backward.hpp"
#include "support/on_threads.hpp"

#include <array>
#include <cstdint>
#include <span>

using namespace headgate_test;

namespace {

constexpr hg::index experts = 5;
/// Which tokens count.
constexpr std::array<bool, 15> counts = {true,  false, true, true,  true, false, false, true,
                                         false, true,  true, false, true, true,  false};

/// A rank's steered pass has the bits of the whole layer on the same tokens, steered the same way. steer(steering, tokens)
/// may depend on the rank.
template <class Layer, class Steer>
std::string check_steered(hg::thread_rank& ranks, const Layer& whole, const Steer& steer) {
  complaints all;
  const auto seed = static_cast<std::uint64_t>(ranks.rank());
  const auto part = part_of(whole, {experts, ranks.size()}, ranks.rank());
  const auto x = random_matrix<double>(7 + 4 * ranks.rank(), whole.model(), {31, seed});
  const auto dy = random_matrix<double>(x.rows(), whole.outputs(), {32, seed});
  hg::matrix<double> y, dx, expected_y, expected_dx;
  typename std::remove_cvref_t<decltype(part)>::tape tape;
  typename Layer::tape alone;
  auto grads = part.zero_gradients();
  auto whole_grads = whole.zero_gradients();
  steer(tape.steering, x.rows());
  steer(alone.steering, x.rows());
  part.forward(ranks, x, y, tape);
  part.backward(ranks, x, dy, tape, dx, grads);
  whole.forward(x, expected_y, alone);
  whole.backward(x, dy, alone, expected_dx, whole_grads);
  all.expect(same_matrix(y, expected_y), "y is another");
  all.expect(same_matrix(dx, expected_dx), "dx is another");
  all.expect(same_matrix(grads.gate.head.weight, whole_grads.gate.head.weight), "the gate's gradient is another");
  whole.forward(x, expected_y, alone);
  alone.steering = {};
  whole.forward(x, dx, alone);
  all.expect(!same_matrix(expected_y, dx), "the steering changes nothing");
  return all.text;
}

const hg::layer plain{hg::softmax_topk_gate<double>{.head = {.model = 6, .experts = experts}, .select = {.k = 2}},
                      hg::swiglu_expert<double>{.model = 6, .hidden = 9}, 5};

template <class Steer>
void check_on_threads(const Steer& steer) {
  for (hg::index ranks = 1; ranks <= 3; ++ranks)
    CHECK(on_threads(ranks, [&](auto& rank) { return check_steered(rank, plain, steer); }) == "");
}

}  // namespace

TEST_CASE("padding on ranks takes no place of an expert, wherever that is", "[expert_parallel][steering]") {
  check_on_threads([](auto& steering, hg::index tokens) {
    steering.mask = std::span(counts).first(static_cast<std::size_t>(tokens));
  });
}

TEST_CASE("tokens on ranks can be forced to experts, more of them, or kept from some", "[expert_parallel][steering]") {
  std::array<hg::recorded_pass<double>, 3> forced;
  for (std::size_t rank = 0; rank < forced.size(); ++rank) {
    forced[rank].reset(experts);
    for (hg::index t = 0; t < 7 + 4 * static_cast<hg::index>(rank); ++t) {
      const hg::index ids[] = {(3 * t + 2) % experts, (3 * t + 4) % experts};
      const double weights[] = {0.25 + static_cast<double>(t), -0.5};
      const auto named = static_cast<std::size_t>(t % 3);  // none, one or two
      forced[rank].append({ids, named}, {weights, named});
    }
  }
  for (const auto from : {hg::forced_weights::recomputed, hg::forced_weights::recorded})
    check_on_threads([&](auto& steering, hg::index tokens) {
      steering.forced = &forced[static_cast<std::size_t>(tokens - 7) / 4];
      steering.weights = from;
    });
  check_on_threads([](auto& steering, hg::index) { steering.k = 4; });
  check_on_threads([](auto& steering, hg::index) { steering.off = {1, 3}; });
}

TEST_CASE("dropout of experts on ranks is the tape's, its gradients those of what was kept", "[expert_parallel]") {
  const hg::lora_expert<double> lora{.model = 6, .outputs = 4, .rank = 3, .dropout = 0.4};
  hg::layer whole{hg::softmax_gate<double>{.head = {.model = 6, .experts = experts}}, lora, lora, 5};
  std::uint64_t id = 0;
  decltype(whole)::parameters::walk<hg::fields_of::training>(  // without, up = 0
      [&](std::string_view, auto& w) {
        w += random_matrix<double>(w.rows(), w.cols(), {77, id++});
      },
      whole.params());
  for (hg::index size = 1; size <= 3; ++size) {
    CHECK(on_threads(size, [&](auto& rank) { return check_differences(rank, whole); }) == "");
    CHECK(on_threads(size, [&](hg::thread_rank& rank) {
            complaints all;
            const auto seed = static_cast<std::uint64_t>(rank.rank());
            const auto part = part_of(whole, {experts, size}, rank.rank());
            const auto x = random_matrix<double>(9, 6, {31, seed});
            typename std::remove_cvref_t<decltype(part)>::tape tape;
            const auto run = [&](std::uint64_t stream, bool training) {
              hg::matrix<double> y;
              tape.random = {stream + seed};
              tape.training = training;
              part.forward(rank, x, y, tape);
              return y;
            };
            const auto first = run(1, true);
            all.expect(same_matrix(run(1, true), first), "the same stream gives another y");
            all.expect(!same_matrix(run(9, true), first), "another stream gives the same y");
            all.expect(!same_matrix(run(1, false), first), "evaluation drops something");
            all.expect(same_matrix(run(1, false), whole(x)), "evaluation is not that of one rank");
            return all.text;
          }) == "");
  }
}
