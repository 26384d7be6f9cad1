// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/field.hpp>

#include <headgate/core/matrix.hpp>

#include "support/catch.hpp"

#include <limits>
#include <string>
#include <vector>

namespace hg = headgate;

namespace {

using matrix = hg::matrix<float>;
using names = std::vector<std::string>;

struct head {
  struct params {
    matrix weight, bias;
  };
  static constexpr auto fields =
      std::tuple{hg::field{"weight", &params::weight}, hg::buffer_field{"selection_bias", &params::bias}};
};

struct nothing_to_learn {
  struct params {};
  static constexpr auto fields = std::tuple{};
};

struct base : head {
  static constexpr bool frozen_parameters = true;
};

struct whole {
  struct params {
    matrix scale;
    head::params one;
    nothing_to_learn::params none;
    base::params kept;
  };
  static constexpr auto fields =
      std::tuple{hg::field{"scale", &params::scale}, hg::part<head>("one", &params::one),
                 hg::part<nothing_to_learn>("none", &params::none), hg::part<base>("kept", &params::kept)};
};

template <class Policy, hg::fields_of Which>
names names_of(typename Policy::params& p, hg::field_path path = {}) {
  names found;
  auto f = [&](std::string_view name, matrix&) { found.emplace_back(name); };
  hg::for_each_field<Policy, Which>(path, f, p);
  return found;
}

}  // namespace

TEST_CASE("a walk for training visits trained fields, parts included, in their order", "[core][field]") {
  whole::params p;
  CHECK(names_of<whole, hg::fields_of::training>(p) == names{"scale", "one.weight"});
}

TEST_CASE("a walk for storage visits buffers and frozen parts too", "[core][field]") {
  whole::params p;
  CHECK(names_of<whole, hg::fields_of::storage>(p) ==
        names{"scale", "one.weight", "one.selection_bias", "kept.weight", "kept.selection_bias"});
}

TEST_CASE("a frozen policy has nothing to train", "[core][field]") {
  base::params p;
  STATIC_REQUIRE(hg::is_frozen<base>);
  STATIC_REQUIRE_FALSE(hg::is_frozen<head>);
  CHECK(names_of<base, hg::fields_of::training>(p).empty());
  CHECK(names_of<base, hg::fields_of::storage>(p).size() == 2);
}

TEST_CASE("a walk hands over the same field of every object", "[core][field]") {
  whole::params p;
  const whole::params gradient;
  hg::field_path path;
  int visited = 0;
  auto f = [&](std::string_view name, matrix& w, const matrix& dw) {
    if (name == "scale") CHECK((&w == &p.scale && &dw == &gradient.scale));
    if (name == "one.weight") CHECK((&w == &p.one.weight && &dw == &gradient.one.weight));
    ++visited;
  };
  hg::for_each_field<whole, hg::fields_of::training>(path, f, p, gradient);
  CHECK(visited == 2);
  CHECK(path.text().empty());
}

TEST_CASE("a path is dotted, takes numbers, and shortens when a guard ends", "[core][field]") {
  hg::field_path path;
  {
    const auto experts = path.enter("experts");
    {
      const auto third = path.enter(hg::index{3});
      CHECK(path.text() == "experts.3");
      const auto up = path.enter("up");
      CHECK(path.text() == "experts.3.up");
    }
    CHECK(path.text() == "experts");
    const auto unnamed = path.enter("");
    CHECK(path.text() == "experts");
    const auto largest = path.enter((std::numeric_limits<hg::index>::max)());
    CHECK(path.text() == "experts.9223372036854775807");
  }
  CHECK(path.text().empty());
}

TEST_CASE("a walk starts below the path it is given", "[core][field]") {
  head::params p;
  hg::field_path path;
  const auto gate = path.enter("gate");
  CHECK(names_of<head, hg::fields_of::training>(p, path) == names{"gate.weight"});
}

TEST_CASE("a name that is too long is refused", "[core][field]") {
  hg::field_path path;
  const std::string name(192, 'a');
  {
    const auto all = path.enter(name);
    CHECK(path.text() == name);
    CHECK_THROWS_WITH(path.enter("b"), headgate_test::contains("longer than 192 letters"));
  }
  CHECK(path.text().empty());
}
