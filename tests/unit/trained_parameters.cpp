// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>
#include <headgate/trained_parameters.hpp>

#include "support/catch.hpp"

#include <string>
#include <tuple>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

namespace {

struct pair_of_matrices {
  struct params {
    hg::matrix<float> weight, offset;
  };
  static constexpr auto fields =
      std::tuple{hg::field{"weight", &params::weight}, hg::buffer_field{"offset", &params::offset}};
};

struct walker {
  template <hg::fields_of Which, class F, class... P>
  static void walk(F&& f, P&... p) {
    hg::field_path path;
    hg::for_each_field<pair_of_matrices, Which>(path, f, p...);
  }
};

struct module : hg::trained_parameters<pair_of_matrices::params, walker> {
  module(hg::index rows, hg::index cols) {
    parameters_.weight = hg::matrix<float>::Constant(rows, cols, 2.0F);
    parameters_.offset = hg::matrix<float>::Constant(1, cols, 3.0F);
    remember_sizes();
  }
  using trained_parameters::check_gradients;
  using trained_parameters::sizes;
};

}  // namespace

TEST_CASE("optimisers meet the trained matrices with their gradients, files meet all", "[trained_parameters]") {
  module m(2, 3);
  auto grads = m.zero_gradients();
  std::vector<std::string> trained;
  m.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
    trained.emplace_back(name);
    CHECK(w.rows() == dw.rows());
    CHECK(dw.isZero());
    w(0, 0) = 7.0F;
  });
  CHECK(trained == std::vector<std::string>{"weight"});
  CHECK(m.params().weight(0, 0) == 7.0F);

  std::vector<std::string> stored;
  const module& constant = m;
  constant.for_each_tensor([&](std::string_view name, const auto&) { stored.emplace_back(name); });
  CHECK(stored == std::vector<std::string>{"weight", "offset"});
}

TEST_CASE("set_zero clears gradients and keeps their shapes", "[trained_parameters]") {
  const module m(2, 3);
  auto grads = m.zero_gradients();
  grads.weight.setOnes();
  grads.offset.setOnes();
  module::set_zero(grads);
  CHECK(grads.weight.isZero());
  CHECK(grads.offset.isZero());
  CHECK(grads.weight.cols() == 3);
}

TEST_CASE("gradients of another module are refused by name, and sizes tell modules apart", "[trained_parameters]") {
  const module m(2, 3);
  CHECK_NOTHROW(m.check_gradients(m.zero_gradients(), "f"));
  CHECK_THROWS_WITH(m.check_gradients(module(4, 3).zero_gradients(), "f"),
                    contains("the gradient of weight is 4 x 3, the parameter is 2 x 3"));
  CHECK(m.sizes() == module(2, 3).sizes());
  CHECK_FALSE(m.sizes() == module(3, 2).sizes());
}
