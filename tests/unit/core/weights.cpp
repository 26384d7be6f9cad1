// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/weights.hpp>

#include "support/catch.hpp"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace hg = headgate;
using hg::matrix;
using hg::weights;

namespace {

matrix<float> counted(hg::index rows, hg::index cols) {
  matrix<float> m(rows, cols);
  for (hg::index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(i + 1);
  return m;
}

/// Memory that tells whether it is still there.
struct lender {
  std::shared_ptr<std::vector<float>> memory = std::make_shared<std::vector<float>>(6, 2.0f);
  std::weak_ptr<std::vector<float>> watch = memory;

  weights<float> lend() { return weights<float>::borrow(memory->data(), 2, 3, memory); }
};

template <class A, class B>
void check_empty(const A& w, B rows, B cols) {
  CHECK(w.rows() == rows);
  CHECK(w.cols() == cols);
  CHECK(w.size() == 0);
  CHECK(w.owns());
}

}  // namespace

static_assert(std::is_nothrow_move_constructible_v<weights<float>>);
static_assert(std::is_nothrow_move_assignable_v<weights<float>>);
static_assert(std::is_copy_constructible_v<weights<double>>);
static_assert(std::is_convertible_v<matrix<float>, weights<float>>);
static_assert(std::is_same_v<weights<float>::Scalar, float>);
static_assert(hg::is_parameter_matrix<weights<float>> && hg::is_parameter_matrix<matrix<double>>);
static_assert(!hg::is_parameter_matrix<Eigen::Map<matrix<float>>> && !hg::is_parameter_matrix<Eigen::MatrixXf>);

TEST_CASE("weights work as an Eigen matrix", "[core][weights]") {
  weights<float> w = counted(2, 3);
  const matrix<float> dw = matrix<float>::Constant(2, 3, 2.0f);
  CHECK(w == counted(2, 3));
  w -= 0.5f * dw;
  CHECK(w(1, 2) == 5.0f);
  w.row(0).setZero();
  CHECK(w.row(0).sum() == 0.0f);
  w << 1, 2, 3, 4, 5, 6;
  CHECK(matrix<float>(w * dw.transpose())(1, 0) == 30.0f);
  const matrix<float> copy = w;
  CHECK(copy == w);
  const hg::in<float> read = w;
  CHECK(read.data() == w.data());
  hg::out<float> written = w;
  written(0, 0) = 7.0f;
  CHECK(w(0, 0) == 7.0f);
  const auto& fixed = w;
  static_assert(std::is_same_v<decltype(hg::view_of(fixed)), hg::view<const float>>);
  CHECK(hg::view_of(w).stride == 3);
  w.setConstant(3.0f);
  CHECK((w.array() == 3.0f).all());
}

TEST_CASE("weights take the memory of a matrix that is not needed any more", "[core][weights]") {
  matrix<float> m = counted(2, 3);
  const float* const place = m.data();
  const weights<float> w = std::move(m);
  CHECK(w.data() == place);
  CHECK(w.owns());
}

TEST_CASE("Copies of weights own their values, whatever they are copied from", "[core][weights]") {
  lender from;
  weights<float> borrowed = from.lend();
  CHECK_FALSE(borrowed.owns());
  CHECK(borrowed.data() == from.memory->data());
  weights<float> copy = borrowed;
  CHECK(copy.owns());
  CHECK(copy == borrowed);
  copy.setZero();
  CHECK((*from.memory)[0] == 2.0f);
  const weights<float> second = copy;
  CHECK(second.owns());
  CHECK(second.data() != copy.data());
}

TEST_CASE("Values of the same size are written in place, into borrowed memory too", "[core][weights]") {
  lender from;
  weights<float> borrowed = from.lend(), owned = counted(2, 3);
  const float* const place = owned.data();
  borrowed = owned;
  CHECK_FALSE(borrowed.owns());
  CHECK((*from.memory)[5] == 6.0f);
  borrowed = 2.0f * counted(2, 3);
  CHECK_FALSE(borrowed.owns());
  CHECK((*from.memory)[5] == 12.0f);
  owned = borrowed;
  CHECK(owned.data() == place);
  owned = counted(2, 3);
  CHECK(owned.data() == place);
  CHECK(owned == counted(2, 3));
}

TEST_CASE("Values of another size go into memory of their own", "[core][weights]") {
  lender from;
  weights<float> w = from.lend();
  w = counted(3, 2);
  CHECK(w.owns());
  CHECK(w == counted(3, 2));
  CHECK(*from.memory == std::vector<float>(6, 2.0f));
  w = matrix<float>::Zero(1, 4);
  CHECK(w == matrix<float>::Zero(1, 4));
  w = counted(4, 4).topRows(2) * counted(4, 5);
  CHECK(w.rows() == 2);
  CHECK(w.cols() == 5);
  w.resize(3, 3);
  CHECK(w.rows() == 3);
  const float* const place = w.data();
  w.resize(3, 3);
  CHECK(w.data() == place);
}

TEST_CASE("weights may be assigned from themselves and from their parts", "[core][weights]") {
  for (const bool lent : {false, true}) {
    lender from;
    weights<float> w = lent ? from.lend() : weights<float>(counted(2, 3));
    w = counted(2, 3);
    from.memory.reset();
    weights<float>& same = w;
    w = same;
    CHECK(w == counted(2, 3));
    w = std::move(same);
    CHECK(w == counted(2, 3));
    CHECK(w.owns() != lent);
    w = w.array() * 2.0f - w.array();
    CHECK(w == counted(2, 3));
    w = w.transpose();  // of another size: evaluated first
    CHECK(w == counted(2, 3).transpose());
    w = w.topRows(1);
    CHECK(w.size() == 2);
    CHECK(w(0, 1) == 4.0f);
    CHECK(from.watch.expired());
  }
}

TEST_CASE("Moving weights moves their memory, owned or borrowed", "[core][weights]") {
  lender from;
  weights<float> borrowed = from.lend(), owned = counted(4, 4);
  const float* const place = owned.data();
  weights<float> moved = std::move(owned);
  CHECK(moved.data() == place);
  CHECK(moved.owns());
  check_empty(owned, 0, 0);  // NOLINT(bugprone-use-after-move): its state is promised
  moved = std::move(borrowed);
  CHECK(moved.data() == from.memory->data());
  CHECK_FALSE(moved.owns());
  check_empty(borrowed, 0, 0);  // NOLINT(bugprone-use-after-move)
  borrowed = counted(1, 2);
  CHECK(borrowed == counted(1, 2));
  std::swap(borrowed, moved);
  CHECK(moved == counted(1, 2));
  CHECK(moved.owns());
  CHECK_FALSE(borrowed.owns());
}

TEST_CASE("Borrowed memory lives as long as somebody borrows it", "[core][weights]") {
  lender from;
  auto one = std::make_unique<weights<float>>(from.lend());
  weights<float> two = from.lend(), copy = *one;
  from.memory.reset();
  CHECK_FALSE(from.watch.expired());
  weights<float> moved = std::move(*one);
  one.reset();
  two = matrix<float>::Zero(1, 1);
  CHECK(moved(1, 2) == 2.0f);
  moved = weights<float>();
  CHECK(from.watch.expired());
  CHECK(copy(1, 2) == 2.0f);
  std::vector<float> kept(4, 1.0f);
  CHECK_FALSE(weights<float>::borrow(kept.data(), 2, 2).owns());
}

TEST_CASE("Weights may be empty", "[core][weights]") {
  weights<float> none;
  check_empty(none, 0, 0);
  const weights<float> copy = none;
  check_empty(copy, 0, 0);
  none = matrix<float>(0, 4);
  check_empty(none, 0, 4);
  none = counted(2, 2);
  none = copy;
  check_empty(none, 0, 0);
  check_empty(weights<float>::borrow(nullptr, 0, 3), 0, 3);
}
