// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/constant.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/packed_shared.hpp>
#include <headgate/experts/sigmoid_gated.hpp>

#include "support/any_executor.hpp"
#include "support/expert_checks.hpp"
#include "support/product_checks.hpp"

using namespace headgate_test;

namespace {

/// The rows of a batch through the packed expert have the bits of the expert's own forward.
template <class Shared>
void check(const Shared& shared) {
  using T = typename Shared::scalar;
  std::mt19937_64 generator(1);
  auto p = shared.init(generator);
  hg::field_path path;
  disturb_all disturb{{3}};
  hg::for_each_field<Shared, hg::fields_of::storage>(path, disturb, p);
  const hg::packed_shared<Shared, T> packed(shared, p, hg::run_sequentially);
  typename hg::packed_shared<Shared, T>::pass_memory memory;
  hg::array<k::combined_term<T, T>> terms;
  hg::scratch<T> working;
  for (const hg::index tokens : {5, 1, 0, 70}) {
    const auto x = random_matrix<T>(tokens, hg::model_of(shared), {4});
    hg::matrix<T> expected(tokens, hg::outputs_of(shared));
    typename Shared::cache cache;
    shared.forward(p, x, expected, cache);
    for_each_executor(1, [&](const any_executor& executor) {
      hg::matrix<T> y = hg::matrix<T>::Constant(tokens, hg::outputs_of(shared), not_a_number<T>);
      terms.clear();
      packed.prepare(hg::view_of(x), terms, memory, executor);
      CHECK(terms.size() == (tokens > 0 ? 1 : 0));
      k::run_together(executor, working, memory.products.work(executor.workers()));
      k::combined_product(std::span<const k::combined_term<T, T>>(terms), hg::view_of(y), executor, working);
      CHECK(same_matrix(y, expected));
    });
  }
}

}  // namespace

TEST_CASE("a packed shared expert has the bits of the expert, gated or not", "[experts][packed_shared]") {
  const hg::swiglu_expert<float> glu{.model = 19, .hidden = 37};
  check(glu);
  check(hg::sigmoid_gated{glu});
  check(hg::sigmoid_gated{hg::linear_expert<double>{.model = 64, .outputs = 3}});
  check(hg::constant_expert<float>{.model = 19, .outputs = 33});
  check(hg::sigmoid_gated{hg::constant_expert<double>{.model = 19, .outputs = 33}});
}

TEST_CASE("a gate adds to the memory of a pass, not to the weights", "[experts][packed_shared]") {
  const hg::linear_expert<float> linear{.model = 5, .outputs = 3};
  const hg::sigmoid_gated gated{linear};
  std::mt19937_64 generator(1);
  const hg::packed_shared<hg::linear_expert<float>, float> plain_packed(linear, linear.init(generator),
                                                                        hg::run_sequentially);
  const hg::packed_shared<hg::sigmoid_gated<hg::linear_expert<float>>, float> gated_packed(gated, gated.init(generator),
                                                                                           hg::run_sequentially);
  CHECK(gated_packed.bytes() == plain_packed.bytes());
  CHECK(gated_packed.pass_bytes(10) == plain_packed.pass_bytes(10) + 80);
}

TEST_CASE("a gate of another size is not packed", "[experts][packed_shared]") {
  const hg::sigmoid_gated gated{hg::linear_expert<float>{.model = 5, .outputs = 3}};
  std::mt19937_64 generator(1);
  auto p = gated.init(generator);
  p.gate_weight.resize(1, 4);
  CHECK(refusal([&] {
          hg::packed_shared<hg::sigmoid_gated<hg::linear_expert<float>>, float>(gated, p, hg::run_sequentially);
        }) == "packed_layer: the gate of the shared expert is 1 x 4, it must be 1 x 5");
}
