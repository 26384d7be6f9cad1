// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/optim/optimiser_memory.hpp>

#include "support/catch.hpp"

#include <limits>
#include <string>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

namespace {

struct parameter {
  std::string name;
  hg::matrix<double> w, dw;
};

/// Walks a list of parameters that the tests may change between steps.
struct list {
  std::vector<parameter> parameters;

  void add(const char* name, hg::index rows, hg::index cols) {
    parameters.push_back({name, hg::matrix<double>::Ones(rows, cols), hg::matrix<double>::Ones(rows, cols)});
  }
  auto walk() {
    return [this](auto&& visit) {
      for (parameter& p : parameters) visit(p.name, p.w, p.dw);
    };
  }
};

/// A step that counts in the first moment and subtracts the count.
void count_down(hg::optimiser_memory<double, 2>& memory, list& l) {
  auto walk = l.walk();
  memory.step("test::step", walk, [](std::string_view, auto& w, const auto&, double* moments) {
    for (hg::index i = 0; i < w.size(); ++i) {
      moments[i] += 1.0;
      w.data()[i] -= moments[i];
    }
  });
}

}  // namespace

TEST_CASE("An optimiser's memory starts at zero, belongs to its parameter and lasts from step to step",
          "[optim][optimiser_memory]") {
  list l;
  l.add("up", 2, 3);
  l.add("bias", 1, 3);
  hg::optimiser_memory<double, 2> memory;
  count_down(memory, l);
  count_down(memory, l);
  CHECK(memory.steps() == 2);
  for (const parameter& p : l.parameters) CHECK((p.w.array() == 1.0 - 1.0 - 2.0).all());
}

TEST_CASE("A copy of an optimiser's memory goes on by itself", "[optim][optimiser_memory]") {
  list l;
  l.add("up", 1, 1);
  hg::optimiser_memory<double, 2> memory;
  count_down(memory, l);
  auto copy = memory;
  count_down(copy, l);    // subtracts 2
  count_down(memory, l);  // subtracts 2 as well
  CHECK(l.parameters[0].w(0, 0) == 1.0 - 1.0 - 2.0 - 2.0);
}

TEST_CASE("A step on other parameters than the first is refused with both shapes and changes nothing",
          "[optim][optimiser_memory]") {
  list l;
  l.add("first", 2, 2);
  l.add("up", 2, 3);
  hg::optimiser_memory<double, 2> memory;
  count_down(memory, l);
  const auto before = l;

  SECTION("another shape") {
    l.parameters[1].w.setOnes(3, 3);
    l.parameters[1].dw.setOnes(3, 3);
    CHECK_THROWS_WITH(count_down(memory, l),
                      "test::step: parameter 1 is 'up' (3 x 3), at the first step it was 'up' (2 x 3)");
  }
  SECTION("another name") {
    l.parameters[1].name = "down";
    CHECK_THROWS_WITH(count_down(memory, l),
                      "test::step: parameter 1 is 'down' (2 x 3), at the first step it was 'up' (2 x 3)");
  }
  SECTION("one more") {
    l.add("extra", 4, 5);
    CHECK_THROWS_WITH(count_down(memory, l),
                      "test::step: the walk visits 'extra' (4 x 5) after the 2 parameters of the first step");
  }
  SECTION("one less") {
    l.parameters.pop_back();
    CHECK_THROWS_WITH(count_down(memory, l),
                      "test::step: the walk visits 1 parameters, at the first step it visited 2");
  }
  SECTION("a gradient of another shape") {
    l.parameters[1].dw.setOnes(3, 2);
    CHECK_THROWS_WITH(count_down(memory, l), "test::step: the gradient of 'up' is 3 x 2, the parameter 2 x 3");
  }
  CHECK(l.parameters[0].w == before.parameters[0].w);
  CHECK(memory.steps() == 1);

  l = before;
  count_down(memory, l);
  CHECK((l.parameters[0].w.array() == 1.0 - 1.0 - 2.0).all());  // the memory is as it was before the refusal
}

TEST_CASE("A first step that is refused leaves no memory behind", "[optim][optimiser_memory]") {
  list l;
  l.add("first", 2, 2);
  l.add("up", 2, 3);
  l.parameters[1].dw.setOnes(1, 1);
  hg::optimiser_memory<double, 2> memory;
  CHECK_THROWS_WITH(count_down(memory, l), contains("the gradient of 'up' is 1 x 1"));
  list other;
  other.add("other", 5, 1);
  count_down(memory, other);
  CHECK((other.parameters[0].w.array() == 0.0).all());
}

TEST_CASE("A walk that differs between the check and the change is refused", "[optim][optimiser_memory]") {
  list l;
  l.add("up", 2, 2);
  hg::optimiser_memory<double, 2> memory;
  int walks = 0;
  auto walk = [&](auto&& visit) {
    parameter& p = l.parameters[0];
    if (++walks == 2) p.w.setOnes(50, 50), p.dw.setOnes(50, 50);
    visit(p.name, p.w, p.dw);
  };
  CHECK_THROWS_WITH(memory.step("test::step", walk, [](auto, auto&, const auto&, double*) {}), contains("(50 x 50)"));
}

TEST_CASE("An optimiser's memory of no parameters takes steps too", "[optim][optimiser_memory]") {
  list nothing;
  hg::optimiser_memory<double, 2> memory;
  count_down(memory, nothing);
  count_down(memory, nothing);
  CHECK(memory.steps() == 2);
}

TEST_CASE("Options of optimisers are checked at their bounds", "[optim][optimiser_memory]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_NOTHROW(hg::check_not_negative("sgd", "rate", 0.0));
  for (const double bad : {-1e-9, nan, infinity})
    CHECK_THROWS_WITH(hg::check_not_negative("sgd", "rate", bad), contains("sgd: rate is "));
  CHECK_NOTHROW(hg::check_below_one("adamw", "beta1", 0.0));
  CHECK_NOTHROW(hg::check_below_one("adamw", "beta1", 0.9999));
  for (const double bad : {-1e-9, 1.0, nan})
    CHECK_THROWS_WITH(hg::check_below_one("adamw", "beta1", bad), contains("adamw: beta1 is "));
}

TEST_CASE("The two ready-made choices of what decays differ for parameters of one row", "[optim][optimiser_memory]") {
  CHECK(hg::decay_all("bias", 1, 8));
  CHECK(hg::decay_all("up", 8, 8));
  CHECK_FALSE(hg::decay_matrices("bias", 1, 8));
  CHECK(hg::decay_matrices("up", 8, 8));
}

TEST_CASE("An optimiser's memory for float also holds moments of double, for parameters of double",
          "[optim][optimiser_memory]") {
  hg::matrix<float> narrow = hg::matrix<float>::Zero(2, 3), dnarrow = narrow;
  hg::matrix<double> wide = hg::matrix<double>::Zero(1, 5), dwide = wide;
  hg::optimiser_memory<float, 2> memory;
  const auto walk = [&](auto&& visit) {
    visit("narrow", narrow, dnarrow);
    visit("wide", wide, dwide);
  };
  const auto add = []<class S>(std::string_view, auto& w, const auto&, S* moments) {
    for (hg::index i = 0; i < 2 * w.size(); ++i) moments[i] += static_cast<S>(0.1);
    for (hg::index i = 0; i < w.size(); ++i) w.data()[i] = moments[i] + moments[w.size() + i];
  };
  memory.step("test::step", walk, add);
  memory.step("test::step", walk, add);
  CHECK((narrow.array() == 2 * (0.1F + 0.1F)).all());
  CHECK((wide.array() == 2 * (0.1 + 0.1)).all());
}

TEST_CASE("An optimiser's memory refuses a parameter whose elements have become wider", "[optim][optimiser_memory]") {
  hg::matrix<float> narrow = hg::matrix<float>::Zero(2, 3), dnarrow = narrow;
  hg::matrix<double> wide = hg::matrix<double>::Zero(2, 3), dwide = wide;
  hg::optimiser_memory<float, 1> memory;
  const auto nothing = [](std::string_view, auto&, const auto&, auto*) {};
  const auto walk_narrow = [&](auto&& visit) { visit("w", narrow, dnarrow); };
  const auto walk_wide = [&](auto&& visit) { visit("w", wide, dwide); };
  memory.step("test::step", walk_narrow, nothing);
  CHECK_THROWS_WITH(memory.step("test::step", walk_wide, nothing),
                    "test::step: parameter 'w' has elements of 8 bytes, at the first step it had others");
  CHECK(memory.steps() == 1);
}

TEST_CASE("An optimiser's moments can be read, put into a fresh memory and gone on with", "[optim][optimiser_memory]") {
  list l;
  l.add("up", 2, 3);
  l.add("bias", 1, 3);
  hg::optimiser_memory<double, 2> memory;
  count_down(memory, l);
  count_down(memory, l);

  list copy = l;
  std::vector<hg::matrix<double>> kept;
  std::vector<std::string> names;
  memory.for_each_moment(l.walk(), [&](std::string_view name, hg::view<double> moments) {
    names.emplace_back(name);
    kept.emplace_back(hg::map_of(moments));
  });
  CHECK(names == std::vector<std::string>{"up", "bias"});
  CHECK(kept[0].rows() == 2);
  CHECK(kept[0].cols() == 6);
  CHECK((kept[0].row(0).array() == 2.0).all());
  CHECK((kept[0].row(1).array() == 0.0).all());

  hg::optimiser_memory<double, 2> fresh;
  std::size_t next = 0;
  fresh.for_each_moment(copy.walk(), [&](std::string_view, hg::view<double> moments) {
    CHECK((hg::map_of(moments).array() == 0.0).all());
    hg::map_of(moments) = kept[next++];
  });
  CHECK(fresh.steps() == 0);
  fresh.resume_at(memory.steps());
  CHECK(fresh.steps() == 2);
  count_down(memory, l);
  count_down(fresh, copy);
  CHECK(fresh.steps() == 3);
  for (std::size_t i = 0; i < l.parameters.size(); ++i) CHECK(copy.parameters[i].w == l.parameters[i].w);
}

TEST_CASE("An optimiser's moments are those of the first step's parameters and of no other walk",
          "[optim][optimiser_memory]") {
  list l;
  l.add("up", 2, 3);
  hg::optimiser_memory<double, 2> memory;
  CHECK_THROWS_WITH(memory.resume_at(1), contains("steps is 1, but there are no moments"));
  CHECK_THROWS_WITH(memory.resume_at(-1), contains("steps is -1, it must be at least 0"));
  count_down(memory, l);
  l.add("down", 3, 2);
  hg::index visits = 0;
  CHECK_THROWS_WITH(memory.for_each_moment(l.walk(), [&](std::string_view, hg::view<double>) { ++visits; }),
                    contains("the walk visits 'down' (3 x 2) after the 1 parameters of the first step"));
  CHECK(visits == 0);
  CHECK(memory.steps() == 1);
}

TEST_CASE("An optimiser's moments that were filled before the first step are there for the next walk",
          "[optim][optimiser_memory]") {
  list l;
  l.add("up", 2, 3);
  hg::optimiser_memory<double, 2> memory;
  const auto sum = [&] {
    double all = 0;
    memory.for_each_moment(l.walk(), [&](std::string_view, hg::view<double> m) { all += hg::map_of(m).sum(); });
    return all;
  };
  memory.for_each_moment(l.walk(), [](std::string_view, hg::view<double> m) { hg::map_of(m).setConstant(5); });
  CHECK(sum() == 12 * 5);

  list more = l;
  more.add("down", 3, 2);
  CHECK_THROWS_WITH(memory.for_each_moment(more.walk(), [](std::string_view, hg::view<double>) {}),
                    contains("the walk visits 'down' (3 x 2) after the 1 parameters"));
  CHECK(sum() == 12 * 5);
  memory.resume_at(2);
  count_down(memory, l);
  CHECK((l.parameters[0].w.array() == 1.0 - 6.0).all());

  memory.resume_at(0);
  CHECK(sum() == 0);
  memory.for_each_moment(l.walk(), [](std::string_view, hg::view<double> m) { hg::map_of(m).setConstant(5); });
  count_down(memory, more);  // without `resume_at` a first step begins from nothing
  CHECK((more.parameters[0].w.array() == 0.0).all());
}

TEST_CASE("What a refused first step leaves behind is no memory to go on with", "[optim][optimiser_memory]") {
  list l;
  l.add("first", 2, 2);
  l.add("up", 2, 3);
  l.parameters[1].dw.setOnes(1, 1);
  hg::optimiser_memory<double, 2> memory;
  CHECK_THROWS(count_down(memory, l));
  CHECK_THROWS_WITH(memory.resume_at(1), contains("there are no moments"));
}
