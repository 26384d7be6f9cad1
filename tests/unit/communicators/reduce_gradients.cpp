// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/on_threads.hpp"

using namespace headgate_test;

namespace {

const hg::linear_expert<float> linear{.model = 4, .outputs = 3};
const hg::topk_gate<float> top_1{.head = {.model = 4, .experts = 3}, .select = {.k = 1}};

/// A value of its own for each rank, matrix and element, whose sums round.
template <class M>
void fill(M& m, hg::index rank, std::uint64_t id) {
  m = random_matrix<typename M::Scalar>(m.rows(), m.cols(), {static_cast<std::uint64_t>(rank), id});
}

/// Their sum over ranks, in the order of the ranks.
template <class M>
hg::matrix<float> sum_over(hg::index ranks, const M& like, std::uint64_t id) {
  hg::matrix<float> sum(like.rows(), like.cols()), term = sum;
  fill(sum, 0, id);
  for (hg::index r = 1; r < ranks; ++r) {
    fill(term, r, id);
    sum += term;
  }
  return sum;
}

}  // namespace

TEST_CASE("averaged gradients are the sum in the order of the ranks, divided", "[communicators][reduce_gradients]") {
  for (hg::index ranks = 1; ranks <= 4; ++ranks)
    CHECK(on_threads(ranks, [&](hg::thread_rank& rank) {
            complaints all;
            hg::layer layer{top_1, linear, hg::frozen{linear}, 1};
            auto grads = layer.zero_gradients();
            std::uint64_t id = 0;
            layer.for_each_parameter(grads, [&](std::string_view, auto&, auto& d) { fill(d, rank.rank(), id++); });
            fill(grads.shared.weight, 9, 9);
            const hg::matrix<float> frozen = grads.shared.weight;
            hg::average_gradients(rank, layer, grads);
            id = 0;
            layer.for_each_parameter(grads, [&](std::string_view name, auto&, auto& d) {
              const hg::matrix<float> mean = sum_over(rank.size(), d, id++) / static_cast<float>(rank.size());
              all.expect(same_matrix(d, mean), std::string(name) + " is not the mean");
            });
            all.expect(id == 4, "another number of matrices");
            all.expect(same_matrix(grads.shared.weight, frozen), "what is not trained was changed");
            return all.text;
          }) == "");
}

TEST_CASE("of a module that all ranks have, every trained gradient is summed", "[communicators][reduce_gradients]") {
  const hg::layer layer{top_1, linear, hg::frozen{linear}, 1};
  CHECK(on_threads(3, [&](hg::thread_rank& rank) {
          complaints all;
          auto grads = layer.zero_gradients();
          std::uint64_t id = 0;
          layer.for_each_parameter(grads, [&](std::string_view, auto&, auto& d) { fill(d, rank.rank(), id++); });
          fill(grads.shared.weight, 9, 9);
          const hg::matrix<float> frozen = grads.shared.weight;
          hg::all_reduce_gradients(rank, layer, grads);
          id = 0;
          layer.for_each_parameter(grads, [&](std::string_view name, auto&, auto& d) {
            all.expect(same_matrix(d, sum_over(3, d, id++)), std::string(name) + " is not the sum");
          });
          all.expect(id == 4, "another number of matrices");
          all.expect(same_matrix(grads.shared.weight, frozen), "what is not trained was changed");
          return all.text;
        }) == "");
}

TEST_CASE("of experts on ranks only what every rank has is summed", "[communicators][reduce_gradients]") {
  CHECK(on_threads(3, [&](hg::thread_rank& rank) {
          complaints all;
          hg::expert_parallel_layer layer{top_1, linear, linear, 1, hg::expert_placement(3, 3), rank.rank()};
          auto grads = layer.zero_gradients();
          std::uint64_t id = 0;
          layer.for_each_parameter(grads, [&](std::string_view, auto&, auto& d) { fill(d, rank.rank(), id++); });
          const hg::matrix<float> own = grads.experts[0].weight;
          hg::all_reduce_gradients(rank, layer, grads);
          all.expect(same_matrix(grads.experts[0].weight, own), "an expert's gradient was changed");
          all.expect(same_matrix(grads.gate.head.weight, sum_over(3, grads.gate.head.weight, 0)),
                     "the gate's is another");
          all.expect(same_matrix(grads.shared.weight, sum_over(3, grads.shared.weight, 2)),
                     "the shared one's is another");
          return all.text;
        }) == "");
}
