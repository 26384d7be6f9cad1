// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/layer_checks.hpp"

#include <type_traits>
#include <vector>

using namespace headgate_test;

namespace {

using list = std::vector<hg::index>;
using gate = hg::topk_gate<float>;
using expert = hg::linear_expert<float>;
using part = hg::expert_parallel_layer<gate, expert, expert>;
static_assert(std::is_nothrow_move_constructible_v<part> && std::is_copy_assignable_v<part>);

const gate top_2{.head = {.model = 6, .experts = 5}, .select = {.k = 2}};
const expert linear{.model = 6, .outputs = 4};

part make(hg::index rank = 0, const hg::expert_placement& placement = {5, 1}) {
  return {top_2, linear, linear, 3, placement, rank};
}

}  // namespace

TEST_CASE("a rank has the gate, its own experts and the shared one, by the names of the whole layer",
          "[expert_parallel]") {
  const hg::expert_placement placement(list{1, 0, 1, 1, 0}, 2);
  const auto names = [&](hg::index rank) {
    std::string all;
    part layer = make(rank, placement);
    auto grads = layer.zero_gradients();
    layer.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
      all += std::string(name) + " ";
      CHECK((w.rows() == dw.rows() && w.cols() == dw.cols()));
    });
    return all;
  };
  CHECK(names(0) == "gate.weight experts.1.weight experts.4.weight shared.weight ");
  CHECK(names(1) == "gate.weight experts.0.weight experts.2.weight experts.3.weight shared.weight ");
}

TEST_CASE("the ranks of a seed have the parameters of the layer of that seed", "[expert_parallel]") {
  const hg::layer whole{top_2, linear, linear, 3};
  for (hg::index rank = 0; rank < 3; ++rank) {
    const part drawn = make(rank, {5, 3});
    const part given(top_2, linear, linear, whole.params(), {5, 3}, rank);
    CHECK(same_matrix(drawn.params().gate.head.weight, whole.params().gate.head.weight));
    CHECK(same_matrix(drawn.params().shared.weight, whole.params().shared.weight));
    REQUIRE(drawn.params().experts.size() == drawn.params().ids.size());
    for (hg::index i = 0; i < drawn.params().ids.size(); ++i)
      CHECK(same_matrix(drawn.params().experts[i].weight, whole.params().experts[drawn.params().ids[i]].weight));
    CHECK(same_parameters(drawn.params(), given.params()));
  }
}

TEST_CASE("on one rank and several threads it is a layer", "[expert_parallel]") {
  const hg::layer whole{top_2, linear, linear, 3};
  const part layer = make();
  hg::single_rank alone;
  const hg::thread_pool pool(3);
  const auto x = random_matrix<float>(200, 6, {1}), dy = random_matrix<float>(200, 4, {2});
  hg::matrix<float> y, dx, expected_dx;
  part::tape tape;
  decltype(whole)::tape expected_tape;
  auto grads = layer.zero_gradients();
  auto expected = whole.zero_gradients();
  layer.forward(pool, alone, x, y, tape);
  layer.backward(pool, alone, x, dy, tape, dx, grads);
  CHECK(same_matrix(y, whole(x)));
  whole.forward(x, y, expected_tape);
  whole.backward(x, dy, expected_tape, expected_dx, expected);
  CHECK(same_matrix(dx, expected_dx));
  CHECK(same_matrix(grads.gate.head.weight, expected.gate.head.weight));
  CHECK(same_matrix(grads.experts[4].weight, expected.experts[4].weight));
  CHECK(same_matrix(grads.shared.weight, expected.shared.weight));
}

TEST_CASE("arguments are deduced as a layer's are", "[expert_parallel]") {
  const hg::expert_parallel_layer a{top_2, linear, 3, hg::expert_placement(5, 2), 1};
  const hg::expert_parallel_layer b{top_2, linear, 3, hg::expert_placement(5, 2), 1, hg::layer_options{}};
  const hg::expert_parallel_layer c{top_2, linear, linear, 3, hg::expert_placement(5, 2), 1};
  static_assert(std::is_same_v<decltype(a), const hg::expert_parallel_layer<gate, expert>>);
  static_assert(std::is_same_v<decltype(b), decltype(a)> && std::is_same_v<decltype(c), const part>);
  CHECK((a.rank() == 1 && a.placement().ranks() == 2 && c.experts() == 5));
}

TEST_CASE("a layer refuses a placement of other experts and a rank that does not exist", "[expert_parallel][misuse]") {
  CHECK(refusal([] {
          make(0, {4, 2});
        }) == "expert_parallel_layer: the placement is of 4 experts, the layer has 5 with parameters");
  CHECK(refusal([] { make(2, {5, 2}); }) == "expert_parallel_layer: rank is 2, the placement is over 2 ranks");
  CHECK(refusal([] { make(-1, {5, 2}); }) == "expert_parallel_layer: rank is -1, the placement is over 2 ranks");
}

TEST_CASE("passes refuse another group, y and dx that cannot be resized, and a tape without a forward",
          "[expert_parallel][misuse]") {
  const auto x = random_matrix<float>(3, 6, {1}), dy = random_matrix<float>(3, 4, {2});
  part::tape tape;
  hg::matrix<float> y, wide(3, 9);
  {
    hg::single_rank alone;
    CHECK(refusal([&] {
            make(1, {5, 2}).forward(alone, x, y, tape);
          }) == "expert_parallel_layer::forward: the communicator is rank 0 of 1, the layer was built as rank 1 of 2");
    CHECK(y.size() == 0);
  }
  const part layer = make();
  {
    hg::single_rank alone;
    CHECK(refusal([&] { layer.forward(alone, x, wide.leftCols(5), tape); }) ==
          "expert_parallel_layer::forward: y is 3 x 5, it must be 3 x 4");
  }
  {
    hg::single_rank alone;
    auto grads = layer.zero_gradients();
    CHECK(refusal([&] { layer.backward(alone, x, dy, tape, y, grads); }) ==
          "expert_parallel_layer::backward: the tape holds no forward pass, call forward with it first");
  }
  hg::single_rank alone;
  auto grads = layer.zero_gradients();
  layer.forward(alone, x, y, tape);
  CHECK(refusal([&] { layer.backward(alone, x, dy, tape, wide.leftCols(5), grads); }) ==
        "expert_parallel_layer::backward: dx is 3 x 5, it must be 3 x 6");
  CHECK(same_parameters(grads, layer.zero_gradients()));
}
