// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/concepts/communicator.hpp>

#include "support/catch.hpp"

#include <span>
#include <string_view>

namespace hg = headgate;

namespace {

/// All of it as a user would write it by hand.
struct silent {
  [[nodiscard]] hg::index rank() const { return 0; }
  [[nodiscard]] hg::index size() const { return 1; }
  template <class S>
  void all_reduce(std::span<S>) {}
  template <class S>
  void all_to_all(std::span<const S>, std::span<const hg::index>, std::span<S>, std::span<const hg::index>) {}
  template <class S>
  void broadcast(std::span<S>, hg::index) {}
  void barrier() {}
  void fail(std::string_view) {}
};
struct counts_in_int : silent {
  [[nodiscard]] int size() const { return 1; }
};
struct sums_floats_alone : silent {
  void all_reduce(std::span<float>) {}
};
struct exchanges_floats_alone : silent {
  void all_to_all(std::span<const float>, std::span<const hg::index>, std::span<float>, std::span<const hg::index>) {}
};
struct broadcasts_integers_alone : silent {
  void broadcast(std::span<hg::index>, hg::index) {}
};

}  // namespace

TEST_CASE("communicator tells a group's end from what is none", "[concepts][communicator]") {
  STATIC_REQUIRE(hg::communicator<hg::single_rank>);
  STATIC_REQUIRE(hg::communicator<silent>);
  STATIC_REQUIRE_FALSE(hg::communicator<counts_in_int>);
  STATIC_REQUIRE_FALSE(hg::communicator<sums_floats_alone>);
  STATIC_REQUIRE_FALSE(hg::communicator<exchanges_floats_alone>);
  STATIC_REQUIRE_FALSE(hg::communicator<broadcasts_integers_alone>);
  STATIC_REQUIRE_FALSE(hg::communicator<int>);
}
