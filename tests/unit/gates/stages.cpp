// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/stages.hpp>

#include <headgate/core/matrix.hpp>

#include "support/catch.hpp"

#include <string>
#include <type_traits>

namespace hg = headgate;

namespace {

struct plain_stage {};

struct full_stage {
  struct params {
    hg::matrix<double> scale;
  };
  struct cache {
    int calls = 0;
  };
  static constexpr auto fields = std::tuple{hg::field{"scale", &params::scale}};

  params init(hg::gate_shape shape, std::mt19937_64&) const {
    return {hg::matrix<double>::Constant(1, shape.experts, static_cast<double>(shape.model))};
  }
  void check(hg::gate_shape shape) const {
    if (shape.experts > 4) hg::refuse("full_stage: ", shape.experts, " experts, at most 4");
  }
};

struct owner {
  hg::detail::params_of<plain_stage>::type plain;
  hg::detail::params_of<full_stage>::type full;
};
struct owning_policy {
  using params = owner;
  static constexpr auto fields = std::tuple_cat(hg::detail::stage_field<plain_stage, owner>(&owner::plain),
                                                hg::detail::stage_field<full_stage, owner>(&owner::full));
};

}  // namespace

static_assert(std::is_same_v<hg::detail::params_of<full_stage>::type, full_stage::params>);
static_assert(std::is_same_v<hg::detail::cache_of<full_stage>::type, full_stage::cache>);
static_assert(std::is_empty_v<hg::detail::params_of<plain_stage>::type>);
static_assert(std::is_empty_v<hg::detail::cache_of<plain_stage>::type>);

TEST_CASE("a stage with parameters is asked for them with the sizes of the gate", "[gates][stages]") {
  std::mt19937_64 generator(1);
  const auto p = hg::detail::init_stage(full_stage{}, {7, 3}, generator);
  CHECK(p.scale == hg::matrix<double>::Constant(1, 3, 7));
  [[maybe_unused]] const auto none = hg::detail::init_stage(plain_stage{}, {7, 3}, generator);
  CHECK(generator() == std::mt19937_64(1)());  // neither has drawn a number
}

TEST_CASE("a stage may refuse the sizes of the gate, and need not look", "[gates][stages]") {
  CHECK_NOTHROW(hg::detail::check_stage(plain_stage{}, {7, 5}));
  CHECK_NOTHROW(hg::detail::check_stage(full_stage{}, {7, 4}));
  CHECK_THROWS_WITH(hg::detail::check_stage(full_stage{}, {7, 5}), "full_stage: 5 experts, at most 4");
}

TEST_CASE("the fields of a stage join those of its gate under their own names", "[gates][stages]") {
  owner p;
  std::string names;
  const auto append = [&](std::string_view name, const auto&) { names += std::string(name) + " "; };
  hg::field_path path;
  hg::for_each_field<owning_policy, hg::fields_of::training>(path, append, p);
  CHECK(names == "scale ");
}
