// SPDX-License-Identifier: BSD-3-Clause
// What the transcriptions of published blocks are made of: tensors as files hold them, and loops over doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

/// A second opinion on the MoE blocks of published models: nothing in here uses the library, nothing is fast.
namespace headgate_test::published {

using std::size_t;
using row = std::vector<double>;  ///< one token's hidden state, or what becomes of it
using rows = std::vector<row>;    ///< tokens

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A tensor as it lies in a file: the last axis runs fastest.
struct tensor {
  std::vector<size_t> shape;
  std::vector<double> values;

  [[nodiscard]] double operator()(size_t i) const { return values.at(i); }
  [[nodiscard]] double operator()(size_t i, size_t j) const { return values.at(i * shape.at(1) + j); }
  [[nodiscard]] double operator()(size_t i, size_t j, size_t k) const {
    return values.at((i * shape.at(1) + j) * shape.at(2) + k);
  }
};

/// By the names that the family has on disk, without the prefix of the block.
using tensors = std::map<std::string, tensor>;

[[nodiscard]] inline const tensor& find(const tensors& all, const std::string& name) {
  const auto found = all.find(name);
  if (found == all.end()) throw std::out_of_range("no tensor " + name);
  return found->second;
}

/// One expert that a token goes to.
struct choice {
  size_t expert;
  double weight;
};
using choices = std::vector<choice>;   ///< of one token, in the order of selection
using routing = std::vector<choices>;  ///< of all tokens

/// What the families' config files set. Each family reads the few that it knows.
struct options {
  size_t k = 2;
  size_t groups = 1;
  size_t kept_groups = 1;
  bool renormalise = true;      ///< norm_topk_prob
  double scale = 1;             ///< routed_scaling_factor
  double norm = 1;              ///< DBRX: p of the L_p norm that the weights are divided by; 0: they are not
  double norm_min = 1e-12;      ///< ERNIE: what the sum of the weights is at least
  double jitter = 0.01;         ///< Phi-3.5-MoE: router_jitter_noise, which acts in evaluation too
  double limit = 7;             ///< gpt-oss: swiglu_limit
  size_t identities = 0;        ///< LongCat-Flash: experts that return their input, behind the others
  size_t capacity = 0;          ///< Switch: tokens of an expert; 0: all
  double capacity_factor = 0;   ///< GShard, ST-MoE; 0: no capacity
  bool drops = false;           ///< Hunyuan: moe_drop_tokens
  double threshold = 0.2;       ///< GShard: second choices of at least this weight are always kept
  std::vector<double> draws{};  ///< GShard: a number in [0, 1) for each token; empty: every second choice is kept
};

/// A block: what it computes for x and, if the caller asks, who went where.
using block_function = rows (*)(const tensors&, const options&, const rows& x, routing* taken);

/// y = W x with W [out, in].
[[nodiscard]] inline row linear(const tensor& w, const row& x) {
  row y(w.shape.at(0), 0.0);
  for (size_t o = 0; o < y.size(); ++o)
    for (size_t i = 0; i < x.size(); ++i) y[o] += w(o, i) * x[i];
  return y;
}

[[nodiscard]] inline double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }
[[nodiscard]] inline double silu(double z) { return z * sigmoid(z); }
[[nodiscard]] inline double relu(double z) { return z > 0 ? z : 0; }
[[nodiscard]] inline double gelu_tanh(double z) {
  const double sqrt_2_over_pi = std::sqrt(2 / std::acos(-1.0));
  return 0.5 * z * (1 + std::tanh(sqrt_2_over_pi * (z + 0.044715 * z * z * z)));
}

[[nodiscard]] inline row sigmoid(row z) {
  for (double& value : z) value = sigmoid(value);
  return z;
}

/// exp(z_i) / sum_j exp(z_j); -infinity gives zero.
[[nodiscard]] inline row softmax(row z) {
  const double largest = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (double& value : z) sum += value = std::exp(value - largest);
  for (double& value : z) value /= sum;
  return z;
}

[[nodiscard]] inline row plus(row a, const row& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}
[[nodiscard]] inline row times(double factor, row a) {
  for (double& value : a) value *= factor;
  return a;
}

/// Where the k largest are, the largest first; of equals the one that comes first.
[[nodiscard]] inline std::vector<size_t> largest(const row& score, size_t k) {
  std::vector<size_t> order(score.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score[a] > score[b]; });
  order.resize(k);
  return order;
}

/// These experts with their entries of `weights`.
[[nodiscard]] inline choices gathered(const std::vector<size_t>& experts, const row& weights) {
  choices chosen;
  for (const size_t e : experts) chosen.push_back({e, weights[e]});
  return chosen;
}
[[nodiscard]] inline double sum_of(const choices& chosen) {
  double sum = 0;
  for (const choice& c : chosen) sum += c.weight;
  return sum;
}
[[nodiscard]] inline choices scaled(choices chosen, double factor) {
  for (choice& c : chosen) c.weight *= factor;
  return chosen;
}
[[nodiscard]] inline choices divided(choices chosen, double divisor) {
  for (choice& c : chosen) c.weight /= divisor;
  return chosen;
}

/// The routing of JetMoE, Granite MoE and gpt-oss: the k best logits, softmax over those alone.
[[nodiscard]] inline choices softmax_of_the_best(const row& logits, size_t k) {
  const std::vector<size_t> best = largest(logits, k);
  row selected;
  for (const size_t e : best) selected.push_back(logits[e]);
  selected = softmax(selected);
  choices chosen;
  for (size_t i = 0; i < best.size(); ++i) chosen.push_back({best[i], selected[i]});
  return chosen;
}

/// Group-limited selection: the experts lie in groups of equal size, one after the other; a group scores the sum of its
/// `counted` best experts; experts outside the `kept` best groups get `masked` in place of their score.
[[nodiscard]] inline row limited_to_groups(row score, size_t groups, size_t kept, size_t counted, double masked) {
  const size_t size = score.size() / groups;
  row of_group(groups, 0.0);
  for (size_t g = 0; g < groups; ++g) {
    row members(score.begin() + static_cast<std::ptrdiff_t>(g * size),
                score.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
    std::sort(members.begin(), members.end(), [](double a, double b) { return a > b; });
    for (size_t i = 0; i < std::min(counted, size); ++i) of_group[g] += members[i];
  }
  std::vector<bool> is_kept(groups, false);
  for (const size_t g : largest(of_group, kept)) is_kept[g] = true;
  for (size_t e = 0; e < score.size(); ++e)
    if (!is_kept[e / size]) score[e] = masked;
  return score;
}

/// An expert takes `capacity` tokens: first choices in the order of the tokens, then second choices, and so on. The rest
/// are dropped; the weights of what is left stay.
[[nodiscard]] inline routing within_capacity(const routing& wanted, size_t experts, size_t capacity) {
  size_t most = 0;
  for (const choices& chosen : wanted) most = std::max(most, chosen.size());
  std::vector<size_t> load(experts, 0);
  routing kept(wanted.size());
  for (size_t rank = 0; rank < most; ++rank)
    for (size_t t = 0; t < wanted.size(); ++t)
      if (rank < wanted[t].size() && load[wanted[t][rank].expert] < capacity) {
        ++load[wanted[t][rank].expert];
        kept[t].push_back(wanted[t][rank]);
      }
  return kept;
}

/// route(x_t) for every token.
template <class Route>
[[nodiscard]] routing routed(const rows& x, const Route& route) {
  routing all;
  for (const row& token : x) all.push_back(route(token));
  return all;
}

/// y_t = sum over the chosen experts of weight * expert(e, x_t).
template <class Expert>
[[nodiscard]] rows combined(const rows& x, const routing& all, const Expert& expert, routing* taken) {
  if (taken != nullptr) *taken = all;
  rows y;
  for (size_t t = 0; t < x.size(); ++t) {
    row sum(x[t].size(), 0.0);
    for (const choice& c : all[t]) sum = plus(sum, times(c.weight, expert(c.expert, x[t])));
    y.push_back(sum);
  }
  return y;
}

/// y_t + more(x_t) for every token.
template <class More>
[[nodiscard]] rows with(rows y, const rows& x, const More& more) {
  for (size_t t = 0; t < x.size(); ++t) y[t] = plus(y[t], more(x[t]));
  return y;
}

}  // namespace headgate_test::published
