// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/gelu.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/experts/packed_pass.hpp>

#include "support/any_executor.hpp"
#include "support/expert_checks.hpp"
#include "support/product_checks.hpp"

using namespace headgate_test;

namespace {

/// y of a batch through packed experts, and by the experts themselves, slot after slot with one fused multiply-add.
template <class Expert>
struct setting {
  using T = typename Expert::scalar;
  bank<Expert> b;
  hg::packed_experts<Expert, T> packed;
  hg::packed_pass<Expert, T> pass;
  hg::array<k::combined_term<T, T>> terms;
  std::vector<T> weights;
  hg::scratch<T> memory;

  explicit setting(const Expert& expert) : b(expert), packed(expert, b.params, hg::run_sequentially) {
    b.training = false;
    numbers next(3);
    for (hg::index s = 0; s < b.slots(); ++s) weights.push_back(next.within(T{1}));
  }

  hg::matrix<T> run(const any_executor& executor, hg::row_groups g, const T* slot_weights) {
    hg::matrix<T> y = hg::matrix<T>::Constant(b.x.rows(), hg::outputs_of(b.expert), not_a_number<T>);
    terms.clear();
    pass.prepare(packed, g, hg::view_of(std::as_const(b.x)), slot_weights, terms);
    k::run_together(executor, memory, pass.work(executor.workers()));
    k::combined_product(std::span<const k::combined_term<T, T>>(terms), hg::view_of(y), executor, memory);
    return y;
  }
  hg::matrix<T> expected() {
    const hg::matrix<T> rows = b.forward();
    hg::matrix<T> y = hg::matrix<T>::Zero(b.x.rows(), rows.cols());
    for (hg::index s = 0; s < b.slots(); ++s)
      for (hg::index c = 0; c < rows.cols(); ++c) {
        T& to = y(b.rows[static_cast<std::size_t>(s)], c);
        to = fused(weights[static_cast<std::size_t>(s)], rows(s, c), to);
      }
    return y;
  }
};

template <class Expert>
void check_pass(const Expert& expert) {
  setting<Expert> s(expert);
  const auto expected = s.expected();
  for_each_executor(1, [&](const any_executor& executor) {
    CHECK(same_matrix(s.run(executor, s.b.groups(), s.weights.data()), expected));
  });
}

}  // namespace

TEST_CASE("packed experts give the bits of the experts, added by slot", "[experts][packed_pass]") {
  using hg::biases, hg::dynamic;
  check_pass(hg::swiglu_expert<float, dynamic, dynamic, biases::used>{.model = 17, .hidden = 63});
  check_pass(hg::swiglu_expert<double>{.model = 257, .hidden = 100});
  check_pass(hg::ffn_expert<float, hg::gelu, dynamic, dynamic, biases::used>{.model = 3, .hidden = 100});
  check_pass(hg::linear_expert<float, dynamic, dynamic, biases::used>{.model = 63, .outputs = 17});
  check_pass(hg::lora_expert<double>{.model = 63, .outputs = 100, .rank = 3, .alpha = 5});
}

TEST_CASE("frozen experts are run as the experts they hold, of one sum and of two", "[experts][packed_pass]") {
  check_pass(hg::frozen{hg::ffn_expert<float, hg::gelu>{.model = 17, .hidden = 37}});
  check_pass(hg::frozen{hg::swiglu_expert<float>{.model = 17, .hidden = 37}});
}

TEST_CASE("without a list of weights and of rows, row s of x is written to row s of y", "[experts][packed_pass]") {
  setting s(hg::swiglu_expert<double>{.model = 17, .hidden = 33});
  const hg::index offsets[] = {0, 6};
  s.b.offsets = {0, 6};
  s.b.rows = {0, 1, 2, 3, 4, 5};
  const hg::matrix<double> rows = s.b.forward();
  CHECK(same_matrix(s.run(hg::run_sequentially, {1, offsets}, nullptr), rows));
  CHECK((s.terms.size() == 1 && !s.terms[0].weights && !s.terms[0].rows));
}

TEST_CASE("experts without rows are not listed, and terms are appended", "[experts][packed_pass]") {
  setting s(hg::swiglu_expert<double>{.model = 17, .hidden = 33});
  s.pass.prepare(s.packed, s.b.groups(), hg::view_of(std::as_const(s.b.x)), s.weights.data(), s.terms);
  REQUIRE(s.terms.size() == 2);
  CHECK((s.terms[0].product.rows == 4 && s.terms[1].product.rows == 5));
  CHECK((s.terms[1].rows == s.b.rows.data() + 4 && s.terms[1].weights == s.weights.data() + 4));
  CHECK(s.terms[1].product.panels == s.packed.output_projection(2).panels);
  s.pass.prepare(s.packed, s.b.groups(), hg::view_of(std::as_const(s.b.x)), s.weights.data(), s.terms);
  CHECK(s.terms.size() == 4);
}

TEST_CASE("a pass is reused by larger, smaller and empty batches", "[experts][packed_pass]") {
  setting s(hg::linear_expert<float, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 17, .outputs = 63});
  const auto expected = s.expected();
  CHECK(same_matrix(s.run(hg::run_sequentially, s.b.groups(), s.weights.data()), expected));
  const hg::index nobody[] = {0, 0, 0, 0};
  CHECK(s.run(hg::run_sequentially, {3, nobody, s.b.rows.data()}, s.weights.data()).isZero(0));
  CHECK(s.terms.empty());
  CHECK(same_matrix(s.run(hg::run_sequentially, s.b.groups(), s.weights.data()), expected));
}
