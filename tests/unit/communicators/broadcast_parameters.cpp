// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/broadcast_parameters.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/on_threads.hpp"

using namespace headgate_test;

namespace {

const hg::linear_expert<float> linear{.model = 4, .outputs = 3};
const hg::balanced_sigmoid_gate<float> gate{.head = {.model = 4, .experts = 3}, .select = {.k = 1}};

}  // namespace

TEST_CASE("all ranks get the root's parameters, frozen ones and buffers too", "[communicators][broadcast_parameters]") {
  for (hg::index root = 0; root < 3; ++root)
    CHECK(on_threads(3, [&](hg::thread_rank& rank) {
            complaints all;
            const auto of_rank = [](hg::index r) {
              hg::layer layer{gate, linear, hg::frozen{linear}, static_cast<std::uint64_t>(r)};
              layer.for_each_tensor(disturb_all{{static_cast<std::uint64_t>(r)}});
              return layer;
            };
            auto layer = of_rank(rank.rank());
            hg::broadcast_parameters(rank, layer, root);
            all.expect(same_parameters(layer.params(), of_rank(root).params()), "parameters are others");
            return all.text;
          }) == "");
}

TEST_CASE("experts on ranks stay their ranks' own", "[communicators][broadcast_parameters]") {
  CHECK(on_threads(2, [&](hg::thread_rank& rank) {
          complaints all;
          const auto of_rank = [](hg::index r) {
            return hg::expert_parallel_layer{
                gate, linear, linear, static_cast<std::uint64_t>(r), hg::expert_placement(3, 2), r};
          };
          auto layer = of_rank(rank.rank());
          hg::broadcast_parameters(rank, layer, 1);
          all.expect(same_matrix(layer.params().gate.head.weight, of_rank(1).params().gate.head.weight), "gate");
          all.expect(same_matrix(layer.params().shared.weight, of_rank(1).params().shared.weight), "shared");
          all.expect(same_matrix(layer.params().experts[0].weight, of_rank(rank.rank()).params().experts[0].weight),
                     "experts");
          return all.text;
        }) == "");
}
