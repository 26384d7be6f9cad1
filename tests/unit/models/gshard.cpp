// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/gshard.hpp>

#include "support/catch.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

#include <string>

using namespace headgate_test;

namespace {

/// No checkpoints of these families have names that everyone knows: we give them some.
struct named_gshard : hg::gshard {
  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
    for (hg::index e = 0; e < s.experts; ++e) {
      const std::string prefix = "experts." + std::to_string(e) + ".";
      f(p.experts[e].up, hg::whole(prefix + "up", s.hidden, s.model));
      f(p.experts[e].down, hg::whole(prefix + "down", s.model, s.hidden));
    }
  }
};

struct named_st_moe : hg::st_moe {
  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
    for (hg::index e = 0; e < s.experts; ++e) {
      const std::string prefix = "experts." + std::to_string(e) + ".";
      f(p.experts[e].gate, hg::whole(prefix + "gate", s.hidden, s.model));
      f(p.experts[e].up, hg::whole(prefix + "up", s.hidden, s.model));
      f(p.experts[e].down, hg::whole(prefix + "down", s.model, s.hidden));
    }
  }
};

}  // namespace

// `capacity_factor` is of tokens, not of assignments, as in the authors' code: int(tokens * factor / experts), at least 4.

TEST_CASE("GShard: the block computes what its rule says", "[models][gshard]") {
  // 12 tokens: 4 for each expert; 40 tokens: 20, and 13
  compare_with_oracle<named_gshard>({.model = 6, .hidden = 5, .experts = 4, .capacity_factor = 2}, published::gshard,
                                    {.capacity_factor = 2}, 1);
  compare_with_oracle<named_gshard>({.model = 6, .hidden = 5, .experts = 6, .capacity_factor = 2}, published::gshard,
                                    {.capacity_factor = 2}, 2);
}

TEST_CASE("GShard: a small capacity drops second choices before first ones", "[models][gshard]") {
  compare_with_oracle<named_gshard>({.model = 6, .hidden = 5, .experts = 4, .capacity_factor = 1.25}, published::gshard,
                                    {.capacity_factor = 1.25}, 3);
  compare_with_oracle<named_gshard>({.model = 6, .hidden = 5, .experts = 3, .capacity_factor = 0.5}, published::gshard,
                                    {.capacity_factor = 0.5}, 4);
}

TEST_CASE("ST-MoE: GShard's routing over GEGLU experts", "[models][gshard]") {
  compare_with_oracle<named_st_moe>({.model = 6, .hidden = 5, .experts = 4, .capacity_factor = 1.25}, published::st_moe,
                                    {.capacity_factor = 1.25}, 5);
}

TEST_CASE("GShard: the edges of routing", "[models][gshard][edges]") {
  check_edges<named_gshard>({.shape = {.model = 8, .hidden = 5, .experts = 8, .capacity_factor = 8},
                             .block = published::gshard,
                             .options = {},
                             .equal = {0.5, 0.5}});
  check_all_chosen<named_gshard>({.shape = {.model = 8, .hidden = 5, .experts = 2, .capacity_factor = 2},
                                  .block = published::gshard,
                                  .options = {},
                                  .equal = {0.5, 0.5}});
  // Two experts are the fewest: k is 2.
  CHECK_THROWS_WITH(hg::make_moe_layer<hg::gshard>({.model = 8, .hidden = 5, .experts = 1}, 1),
                    "top_k: k is 2, the gate has 1 experts");
}

TEST_CASE("ST-MoE: the edges of routing", "[models][gshard][edges]") {
  check_edges<named_st_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .capacity_factor = 8},
                             .block = published::st_moe,
                             .options = {},
                             .equal = {0.5, 0.5}});
  check_all_chosen<named_st_moe>({.shape = {.model = 8, .hidden = 5, .experts = 2, .capacity_factor = 2},
                                  .block = published::st_moe,
                                  .options = {},
                                  .equal = {0.5, 0.5}});
  // Two experts are the fewest: k is 2.
  CHECK_THROWS_WITH(hg::make_moe_layer<hg::st_moe>({.model = 8, .hidden = 5, .experts = 1}, 1),
                    "top_k: k is 2, the gate has 1 experts");
}
