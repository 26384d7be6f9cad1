// SPDX-License-Identifier: BSD-3-Clause
#include "layers/inputs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace headgate_bench {

namespace {

/// The experts of each token: k different ones (tokens * k).
using choices = std::vector<hg::index>;

/// k different experts, each drawn with the weight of its place in `order` among those that are left.
void draw(counter_hash& random, const std::vector<hg::index>& order, hg::index k, spread kind, choices& all) {
  std::vector<double> weight(order.size());
  for (std::size_t r = 0; r < weight.size(); ++r)
    weight[r] = kind == spread::zipf ? 1.0 / static_cast<double>(r + 1) : 1.0;
  for (hg::index i = 0; i < k; ++i) {
    double left = std::accumulate(weight.begin(), weight.end(), 0.0) * static_cast<double>(random.uniform());
    std::size_t r = 0;
    while (r + 1 < weight.size() && (weight[r] == 0 || left >= weight[r])) left -= weight[r++];
    while (weight[r] == 0) --r;  // rounding carried us past the last that is left
    all.push_back(order[r]);
    weight[r] = 0;
  }
}

choices choose(counter_hash& random, const shape& s, hg::index tokens, spread kind) {
  std::vector<hg::index> order(static_cast<std::size_t>(s.experts));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
  choices all;
  if (kind == spread::one)  // another favourite set in each batch
    for (hg::index t = 0; t < tokens; ++t) all.insert(all.end(), order.begin(), order.begin() + s.k);
  else
    for (hg::index t = 0; t < tokens; ++t) draw(random, order, s.k, kind, all);
  return all;
}

double distinct(const choices& all) { return static_cast<double>(std::set(all.begin(), all.end()).size()); }

hg::matrix<float> tokens_for(counter_hash& random, const shape& s, hg::index tokens, const choices& wanted) {
  hg::matrix<float> x(tokens, s.model);
  for (hg::index i = 0; i < x.size(); ++i) x.data()[i] = random.within(1.7f);  // of variance one
  for (hg::index t = 0; t < tokens; ++t) {
    for (hg::index e = 0; e < s.experts; ++e) x(t, e) = random.within(1.0f);
    for (hg::index i = 0; i < s.k; ++i) x(t, wanted[static_cast<std::size_t>(t * s.k + i)]) = 2 + random.uniform();
  }
  return x;
}

}  // namespace

std::string suffix_of(spread kind) {
  return kind == spread::uniform ? "" : kind == spread::zipf ? "/routing:zipf" : "/routing:one";
}

std::vector<batch_of_tokens> make_batches(const shape& s, hg::index tokens, spread kind) {
  counter_hash random(static_cast<std::uint64_t>(tokens) * 3 + static_cast<std::uint64_t>(kind));
  std::vector<double> counts;
  for (int i = 0; i < 31; ++i) counts.push_back(distinct(choose(random, s, tokens, kind)));
  std::nth_element(counts.begin(), counts.begin() + 15, counts.end());
  const double usual = counts[15];

  const hg::index bytes = tokens * s.model * 4;
  const hg::index count = std::clamp<hg::index>((hg::index{2} << 20) / bytes, 3, 61);
  std::vector<batch_of_tokens> batches;
  for (int tries = 0; static_cast<hg::index>(batches.size()) < count; ++tries) {
    const choices wanted = choose(random, s, tokens, kind);
    if (tries < 2000 && distinct(wanted) != usual) continue;
    batches.push_back({tokens_for(random, s, tokens, wanted), distinct(wanted)});
  }
  return batches;
}

void fill_router(hg::matrix<float>& weight) {
  counter_hash random(7);
  const hg::index experts = weight.rows();
  const float bound = 0.1f * std::sqrt(3.0f / static_cast<float>(weight.cols()));
  for (hg::index e = 0; e < experts; ++e)
    for (hg::index c = 0; c < weight.cols(); ++c)
      weight(e, c) = c >= experts ? random.within(bound) : c == e ? 1.0f : 0.0f;
}

}  // namespace headgate_bench
