// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/top_k.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;
using ids = std::vector<hg::index>;

static_assert(std::is_empty_v<hg::top_k<2>> && std::is_empty_v<hg::biased_top_k<float, 2>>);

TEST_CASE("top_k selects the k largest scores, best first", "[gates][select][top_k]") {
  const std::vector<double> s = {0.1, -3, 2, 0.5, 1.5};
  CHECK(selected(hg::top_k<>{.k = 1}, s) == ids{2});
  CHECK(selected(hg::top_k<>{.k = 3}, s) == ids{2, 4, 3});
  CHECK(selected(hg::top_k<>{.k = 5}, s) == ids{2, 4, 3, 0, 1});
  CHECK(selected(hg::top_k<3>{}, s) == ids{2, 4, 3});
}

TEST_CASE("top_k gives ties to the lower expert", "[gates][select][top_k]") {
  CHECK(selected(hg::top_k<>{.k = 2}, {1, 1, 1, 1, 1}) == ids{0, 1});
  CHECK(selected(hg::top_k<>{.k = 3}, {0, 2, 1, 2, 1}) == ids{1, 3, 2});
  CHECK(selected(hg::top_k<>{.k = 2}, {-0.0, 0.0, -1}) == ids{0, 1});
  CHECK(selected(hg::top_k<>{.k = 1}, std::vector<double>(100, 0.01)) == ids{0});
}

TEST_CASE("top_k refuses k below one and above the number of experts", "[gates][select][top_k]") {
  CHECK_THROWS_WITH(hg::top_k<>{}.check({4, 3}), "top_k: k is 0, it must be at least 1");
  CHECK_THROWS_WITH(hg::top_k<>{.k = -1}.check({4, 3}), "top_k: k is -1, it must be at least 1");
  CHECK_THROWS_WITH(hg::top_k<>{.k = 4}.check({4, 3}), "top_k: k is 4, the gate has 3 experts");
  CHECK_THROWS_WITH(hg::top_k<4>{}.check({4, 3}), "top_k: k is 4, the gate has 3 experts");
  CHECK_NOTHROW(hg::top_k<>{.k = 3}.check({4, 3}));
  const hg::biased_top_k<double> biased{.k = 4};
  CHECK_THROWS_WITH(biased.check({4, 3}), "biased_top_k: k is 4, the gate has 3 experts");
}

TEST_CASE("biased_top_k ranks by score plus bias", "[gates][select][top_k]") {
  const hg::biased_top_k<double> select{.k = 2};
  std::mt19937_64 generator(1);
  auto p = select.init({4, 4}, generator);
  CHECK(p.selection_bias == hg::matrix<double>::Zero(1, 4));
  const double s[] = {0.4, 0.3, 0.2, 0.1};
  hg::index chosen[4];
  double row[4];
  CHECK(select(p, s, 4, chosen, row) == 2);
  CHECK(ids(chosen, chosen + 2) == ids{0, 1});
  p.selection_bias << 0, -0.5, 0.3, 0.3;
  select(p, s, 4, chosen, row);
  CHECK(ids(chosen, chosen + 2) == ids{2, 0});  // 0.5, then 0.4 twice: the lower index
}

TEST_CASE("the bias of biased_top_k is stored but not trained", "[gates][select][top_k]") {
  using biased = hg::biased_top_k<double>;
  biased::params p;
  hg::field_path path;
  int trained = 0, stored = 0;
  const auto count = [](int& n) { return [&n](std::string_view, auto&) { ++n; }; };
  auto count_trained = count(trained), count_stored = count(stored);
  hg::for_each_field<biased, hg::fields_of::training>(path, count_trained, p);
  hg::for_each_field<biased, hg::fields_of::storage>(path, count_stored, p);
  CHECK(trained == 0);
  CHECK(stored == 1);
}

TEST_CASE("selections of k take another k, static ones only their own", "[gates][select][top_k]") {
  CHECK(selected(hg::top_k<>{.k = 1}.with_k(2), {1, 2, 3}) == ids{2, 1});
  CHECK(selected(hg::top_k<2>{}.with_k(2), {1, 2, 3}) == ids{2, 1});
  CHECK_THROWS_WITH(hg::top_k<2>{}.with_k(3), contains("the run-time size 3 contradicts the compile-time size 2"));
  CHECK(hg::biased_top_k<float>{.k = 1}.with_k(3).count(4) == 3);
  CHECK_THROWS_WITH((hg::biased_top_k<float, 1>{}.with_k(3)), contains("the run-time size 3 contradicts"));
}
