// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/selection_bias.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::selection_bias<float>>);

TEST_CASE("a selection bias starts at zero and is added to the scores", "[gates][select][selection_bias]") {
  const hg::selection_bias<double> bias;
  std::mt19937_64 generator(1);
  auto p = bias.init({5, 3}, generator);
  CHECK(p.selection_bias == hg::matrix<double>::Zero(1, 3));
  p.selection_bias << 1, -2, 0.5;
  double s[] = {1, 1, 1};
  bias(p, s, 3, nullptr, nullptr);
  CHECK(std::vector<double>(s, s + 3) == std::vector<double>{2, -1, 1.5});
}

TEST_CASE("a selection bias is stored but not trained", "[gates][select][selection_bias]") {
  using bias = hg::selection_bias<double>;
  bias::params p;
  hg::field_path path;
  std::string trained, stored;
  auto to_trained = [&](std::string_view name, auto&) { trained += name; };
  auto to_stored = [&](std::string_view name, auto&) { stored += name; };
  hg::for_each_field<bias, hg::fields_of::training>(path, to_trained, p);
  hg::for_each_field<bias, hg::fields_of::storage>(path, to_stored, p);
  CHECK(trained.empty());
  CHECK(stored == "selection_bias");
}
