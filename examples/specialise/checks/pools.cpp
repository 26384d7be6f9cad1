// SPDX-License-Identifier: BSD-3-Clause
// What each pool counts, and what is drawn for the ablation.
#include "../deal.hpp"
#include "../trainer.hpp"
#include "checks.hpp"

#include <headgate/communicators/single_rank.hpp>
#include <headgate/losses/switch_balance.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace specialise {

/// The counts of every pool against plain loops, and the micro-batch loss against the library's own.
void pools() {
  const text data = small_text(16);
  for (const char* name : {"micro", "4x", "global", "shuffled", "buffer"}) {
    settings how = small_settings();
    how.micro = 2;
    how.chunk = 3;  // the last chunk is smaller
    how.pool = parse_pool(name, how.micro_batches());
    hg::single_rank alone;
    trainer<hg::single_rank> training(how, data, alone);
    training.step(nullptr);
    step_record record;
    training.step(&record);
    const index all = how.micro_batches(), tokens = how.micro * how.sizes.sequence;
    for (index l = 0; l < how.sizes.layers; ++l) {
      std::vector<std::vector<index>> own(static_cast<std::size_t>(all),
                                          std::vector<index>(static_cast<std::size_t>(how.sizes.experts)));
      double micro_balance = 0;
      for (index i = 0; i < all; ++i) {
        const auto one = training.routed(i, l);
        hg::routing<float> part;  // the micro-batch by itself
        part.reset(tokens, how.sizes.experts);
        part.scores_are = hg::score_kind::distribution;
        part.scores.resize(tokens, how.sizes.experts);
        for (index t = 0; t < tokens; ++t)
          std::copy_n(one.routing->scores.row(one.first + t), how.sizes.experts, part.scores.row(t));
        for (const auto& a : one.routing->assignments)
          if (a.token >= one.first && a.token < one.first + tokens) {
            ++own[static_cast<std::size_t>(i)][static_cast<std::size_t>(a.expert)];
            part.assignments.push_back({a.token - one.first, a.expert, a.weight});
          }
        hg::routing_gradient<float> d;
        d.reset(part);
        micro_balance += static_cast<double>(hg::switch_balance<float>{}(part, d)) / static_cast<double>(all);
      }
      require(std::abs(micro_balance - record.micro_balance[static_cast<std::size_t>(l)]) < 1e-5, name,
              ": micro_balance is ", record.micro_balance[static_cast<std::size_t>(l)], ", expected ", micro_balance);
      if (how.pool.kind == pool_kind::shuffled) continue;
      for (index i = 0; i < all; ++i)
        for (index e = 0; e < how.sizes.experts; ++e) {
          const index first = how.pool.kind == pool_kind::buffer ? 0 : i / how.pool.size * how.pool.size;
          const index last = how.pool.kind == pool_kind::buffer ? i + 1 : first + how.pool.size;
          index expected = 0;
          for (index j = first; j < last; ++j)
            expected += own[static_cast<std::size_t>(j)][static_cast<std::size_t>(e)];
          const index found = (*training.routed(i, l).counts)[e];
          require(found == expected, name, ": micro-batch ", i, " takes ", found, " assignments of expert ", e,
                  " in layer ", l, ", expected ", expected);
        }
    }
  }
}

/// Draws of the ablation: as many different tokens as a micro-batch has, of which every rank marks its own.
void draws() {
  settings how = small_settings();
  how.pool = parse_pool("shuffled", how.micro_batches());
  const index tokens = how.sizes.sequence, ranks = 4;
  deal whole(how, 0, 1);
  std::vector<deal> parts;
  for (index r = 0; r < ranks; ++r) parts.emplace_back(how, r, ranks);
  std::set<std::vector<bool>> seen;
  for (index step = 0; step < 3; ++step) {
    whole.start_draws(step);
    for (deal& part : parts) part.start_draws(step);
    for (index b = 0; b < how.micro_batches(); ++b) {
      const auto all = whole.draw(b);
      const std::vector<bool> drawn(all.begin(), all.end());
      require(std::count(drawn.begin(), drawn.end(), true) == tokens, "draw ", b, " has not ", tokens, " tokens");
      require(seen.insert(drawn).second, "draw ", b, " of step ", step, " is an earlier one");
      index marked = 0;
      for (deal& part : parts) {
        const auto mine = part.draw(b);
        for (index i = 0; i < part.local() * tokens; ++i) {
          const index global = part.global(i / tokens) * tokens + i % tokens;
          require(mine[static_cast<std::size_t>(i)] == drawn[static_cast<std::size_t>(global)], "token ", global,
                  " of draw ", b, " is not the same for the rank that has it");
          marked += mine[static_cast<std::size_t>(i)] ? 1 : 0;
        }
      }
      require(marked == tokens, "the ranks mark ", marked, " of ", tokens, " tokens");
    }
  }
}

}  // namespace specialise
