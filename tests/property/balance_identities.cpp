// SPDX-License-Identifier: BSD-3-Clause
// What must hold between the balance of micro-batches, of accumulated ones and of ranks (Qiu et al. 2025, arXiv:2501.11873), on
// records made by hand and on those of real gates, with and without padding.
#include <headgate/communicators/reduce_gradients.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/headgate.hpp>

#include "support/layer_checks.hpp"
#include "unit/losses/records.hpp"

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace headgate_test;

namespace {

constexpr hg::index groups = 5, tokens = 8, experts = 6, k = 2, model = 7;

/// An empty mask is no padding.
struct micro_batch {
  routing<double> record;
  std::array<bool, tokens> padding{};
  bool masked = false;

  [[nodiscard]] std::span<const bool> mask() const {
    return masked ? std::span<const bool>(padding) : std::span<const bool>{};
  }
  [[nodiscard]] bool counts(hg::index t) const { return !masked || padding[static_cast<std::size_t>(t)]; }
};

struct batch {
  std::string name;
  std::vector<micro_batch> parts;
};

/// Two tokens of each micro-batch are padding, other ones in each.
void mask(micro_batch& part, hg::index j) {
  part.masked = true;
  for (hg::index t = 0; t < tokens; ++t)
    part.padding[static_cast<std::size_t>(t)] = t != j % tokens && t != (j + 3) % tokens;
}

hg::matrix<double> input(hg::index j) {  // each micro-batch around its own centre
  const auto seed = static_cast<std::uint64_t>(j);
  return random_matrix(tokens, model, {40 + seed}).rowwise() + random_matrix(1, model, {60 + seed}).row(0);
}

template <class Gate>
batch routed(const std::string& name, const Gate& gate) {
  hg::layer layer{gate, hg::linear_expert<double>{.model = model, .outputs = 3}, 9};
  layer.for_each_tensor(disturb_all{{70}});
  batch all{name, {}};
  for (hg::index j = 0; j < groups; ++j) {
    typename decltype(layer)::tape tape;
    hg::matrix<double> y;
    layer.forward(input(j), y, tape);
    all.parts.push_back({tape.routing});
  }
  return all;
}

/// Every kind of score, by hand and by a gate, with and without padding; k experts a token.
std::vector<batch> batches() {
  std::vector<batch> all;
  for (const auto kind : {score_kind::distribution, score_kind::logits, score_kind::positive}) {
    batch one{"by hand, kind " + std::to_string(static_cast<int>(kind)), {}};
    for (hg::index j = 0; j < groups; ++j)
      one.parts.push_back({random_record(tokens, experts, -k, kind, static_cast<std::uint64_t>(300 + j))});
    all.push_back(one);
  }
  all.push_back(routed("softmax_topk_gate", hg::softmax_topk_gate<double>{.head = {.model = model, .experts = experts},
                                                                          .select = {.k = k}}));
  all.push_back(
      routed("topk_gate", hg::topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = k}}));
  all.push_back(routed("sigmoid_gate",
                       hg::sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = k}}));
  const auto plain = all;
  for (batch one : plain) {
    one.name += ", masked";
    for (hg::index j = 0; j < groups; ++j) mask(one.parts[static_cast<std::size_t>(j)], j);
    all.push_back(one);
  }
  return all;
}

hg::expert_counts pooled(const batch& all) {
  hg::expert_counts counts;
  for (const auto& part : all.parts) counts.collect(part.record, part.mask());
  return counts;
}

struct result {
  double value;
  routing_gradient<double> gradient;
};
template <class Loss>
result of(const Loss& loss, const routing<double>& r) {
  result one;
  one.gradient.reset(r);
  one.value = loss(r, one.gradient);
  return one;
}
result micro(const micro_batch& part) {
  return of(hg::switch_balance<double>{.weight = 0.3, .mask = part.mask()}, part.record);
}
result global(const micro_batch& part, const hg::expert_counts& counts) {
  return of(hg::global_balance<double>{.weight = 0.3, .counts = &counts, .mask = part.mask()}, part.record);
}

void check_same_bits(const result& a, const result& b) {
  CHECK(same_bits(a.value, b.value));
  const auto left = blocks_of(a.gradient), right = blocks_of(b.gradient);
  for (std::size_t i = 0; i < left.size(); ++i) CHECK(left[i].values == right[i].values);
}

/// f and P of a micro-batch in plain loops.
struct frequencies {
  std::array<double, experts> f{}, p{};
};
frequencies plain(const micro_batch& part) {
  frequencies of;
  double counting = 0, assigned = 0;
  const auto& r = part.record;
  for (hg::index t = 0; t < tokens; ++t) {
    if (!part.counts(t)) continue;
    counting += 1;
    double p[experts], sum = 0;
    if (r.scores_are == score_kind::logits)
      plain_softmax(r.logits.row(t), p, experts);
    else
      std::copy_n(r.scores.row(t), experts, p);
    for (const double one : p) sum += one;
    for (hg::index i = 0; i < experts; ++i) of.p[static_cast<std::size_t>(i)] += p[i] / sum;
  }
  for (const auto& a : r.assignments)
    if (part.counts(a.token)) {
      assigned += 1;
      of.f[static_cast<std::size_t>(a.expert)] += 1;
    }
  for (double& one : of.p) one /= counting;
  for (double& one : of.f) one /= assigned;
  return of;
}

/// The record of all micro-batches as one, and which of its tokens count.
std::pair<routing<double>, std::vector<char>> concatenated_record_mask(const batch& all) {
  std::pair<routing<double>, std::vector<char>> whole;
  auto& [r, padding] = whole;
  const auto& first = all.parts.front().record;
  r.reset(tokens * groups, experts);
  r.scores_are = first.scores_are;
  r.logits.resize(r.tokens, experts);
  r.scores.resize(r.tokens, experts);
  for (hg::index j = 0; j < groups; ++j) {
    const auto& part = all.parts[static_cast<std::size_t>(j)];
    if (part.record.logits.size() > 0)
      std::copy_n(part.record.logits.data(), tokens * experts, r.logits.row(j * tokens));
    if (part.record.scores.size() > 0)
      std::copy_n(part.record.scores.data(), tokens * experts, r.scores.row(j * tokens));
    for (const auto& a : part.record.assignments) r.assignments.push_back({j * tokens + a.token, a.expert, a.weight});
    for (hg::index t = 0; t < tokens; ++t) padding.push_back(part.counts(t) ? 1 : 0);
  }
  return whole;
}

}  // namespace

TEST_CASE("global balance of one micro-batch is its micro-batch balance, bit for bit", "[balance][identities]") {
  for (const auto& all : batches())
    for (const auto& part : all.parts) {
      CAPTURE(all.name);
      hg::expert_counts counts;
      counts.collect(part.record, part.mask());
      check_same_bits(global(part, counts), micro(part));
    }
}

TEST_CASE("the buffer over equal micro-batches is their own balance at every step, bit for bit",
          "[balance][identities]") {
  for (const auto& all : batches()) {
    CAPTURE(all.name);
    const auto& part = all.parts[1];
    hg::expert_counts counts;
    for (int step = 0; step < 4; ++step) {
      counts.collect(part.record, part.mask());
      check_same_bits(global(part, counts), micro(part));
    }
  }
}

TEST_CASE("the mean of the global balance over micro-batches is E sum f P of the whole batch",
          "[balance][identities]") {
  for (const auto& all : batches()) {
    CAPTURE(all.name);
    const auto counts = pooled(all);
    double mean = 0, expected = 0;
    std::array<double, experts> p{};
    for (const auto& part : all.parts) {
      mean += global(part, counts).value / groups;
      for (std::size_t i = 0; i < experts; ++i) p[i] += plain(part).p[i] / groups;
    }
    for (std::size_t i = 0; i < experts; ++i)
      expected +=
          experts * static_cast<double>(counts[static_cast<hg::index>(i)]) / static_cast<double>(counts.total()) * p[i];
    CHECK(mean == Approx(expected).epsilon(1e-14));
  }
}

TEST_CASE("micro-batch balance minus global balance is E times the sum of the covariances of f and P",
          "[balance][identities]") {
  for (const auto& all : batches()) {
    CAPTURE(all.name);
    const auto counts = pooled(all);
    double difference = 0, covariance = 0;
    std::array<double, experts> f{}, p{}, fp{};
    for (const auto& part : all.parts) {
      difference += (micro(part).value - global(part, counts).value) / groups;
      const auto own = plain(part);
      for (std::size_t i = 0; i < experts; ++i) {
        f[i] += own.f[i] / groups;
        p[i] += own.p[i] / groups;
        fp[i] += own.f[i] * own.p[i] / groups;
      }
    }
    for (std::size_t i = 0; i < experts; ++i) covariance += fp[i] - f[i] * p[i];
    CHECK(std::abs(difference - experts * covariance) < 1e-14);
    CHECK(std::abs(difference) > 1e-3);
  }
}

TEST_CASE("balance is one for uniform frequencies or probabilities, and may be less", "[balance][identities]") {
  const std::vector<hg::index> devices = {0, 1, 1, 0};
  const auto check_one = [&](const routing<double>& r) {
    hg::expert_counts counts;
    counts.collect(r);
    CHECK(value_of(hg::switch_balance<double>{}, r) == Approx(1).epsilon(1e-15));
    CHECK(value_of(hg::global_balance<double>{.counts = &counts}, r) == Approx(1).epsilon(1e-15));
    CHECK(value_of(hg::device_balance<double>{.devices = devices}, r) == Approx(1).epsilon(1e-15));
    CHECK(value_of(hg::sequence_balance<double>{.length = r.tokens}, r) == Approx(1).epsilon(1e-15));
  };
  auto uniform_f = record_of({{.7, .1, .1, .1}, {.6, .2, .1, .1}, {.9, .05, .03, .02}, {.4, .3, .2, .1}});
  for (hg::index t = 0; t < 4; ++t) uniform_f.assignments.push_back({t, (t + 1) % 4, 1.0});
  check_one(uniform_f);
  check_one(record_of({{.25, .25, .25, .25}, {.25, .25, .25, .25}}, 3));
  CHECK(value_of(hg::switch_balance<double>{}, record_of({{.51, .49}, {.51, .49}, {.01, .99}}, 1)) ==
        Approx(0.89556).epsilon(1e-5));
}

TEST_CASE("at the last accumulation step the buffer is that of the concatenated batch", "[balance][identities]") {
  for (const auto& all : batches()) {
    CAPTURE(all.name);
    const auto [whole, padding] = concatenated_record_mask(all);
    const auto flags = std::make_unique<bool[]>(padding.size());
    for (std::size_t t = 0; t < padding.size(); ++t) flags[t] = padding[t] != 0;
    const std::span<const bool> counted(flags.get(), padding.size());

    hg::expert_counts buffer, at_once;
    for (const auto& part : all.parts) buffer.collect(part.record, part.mask());
    at_once.collect(whole, counted);
    CHECK(std::equal(buffer.counts().begin(), buffer.counts().end(), at_once.counts().begin()));

    // Hence the loss of the whole batch is the mean of those with the complete buffer, and so is the gradient.
    const auto expected = of(hg::switch_balance<double>{.weight = 0.3, .mask = counted}, whole);
    double mean = 0;
    for (hg::index j = 0; j < groups; ++j) {
      const auto part = global(all.parts[static_cast<std::size_t>(j)], buffer);
      mean += part.value / groups;
      for (const auto block : {&routing_gradient<double>::logits, &routing_gradient<double>::scores})
        for (hg::index i = 0; i < (part.gradient.*block).size(); ++i)
          CHECK((part.gradient.*block).data()[i] / groups ==
                Approx((expected.gradient.*block).row(j * tokens)[i]).epsilon(1e-13).margin(1e-17));
    }
    CHECK(mean == Approx(expected.value).epsilon(1e-14));
  }
}

TEST_CASE("logits that do not change the choice change balance through P alone", "[balance][identities]") {
  for (const auto& all : batches()) {
    CAPTURE(all.name);
    auto part = all.parts[2];
    auto& r = part.record;
    auto& numbers = r.scores_are == score_kind::logits ? r.logits : r.scores;
    const auto before = plain(part);
    for (hg::index i = 0; i < numbers.size(); ++i) numbers.data()[i] *= 1 + 0.01 * static_cast<double>(i % 3);
    if (r.scores_are == score_kind::distribution)
      for (hg::index t = 0; t < tokens; ++t) {
        double sum = 0;
        for (hg::index i = 0; i < experts; ++i) sum += r.scores(t, i);
        for (hg::index i = 0; i < experts; ++i) r.scores(t, i) /= sum;
      }
    const auto after = plain(part);
    CHECK(before.f == after.f);
    double expected = 0;
    for (std::size_t i = 0; i < experts; ++i) expected += experts * before.f[i] * after.p[i];
    CHECK(micro(part).value == Approx(expected).epsilon(1e-14));
    CHECK(std::abs(micro(part).value - micro(all.parts[2]).value) > 1e-6);
  }
}

TEST_CASE("ranks with a micro-batch each are accumulation steps: counts, values and gradients, bit for bit",
          "[balance][identities][ranks]") {
  for (const auto& all : batches()) {
    CAPTURE(all.name);
    const auto counts = pooled(all);
    std::array<hg::expert_counts, groups> of_rank;
    std::array<result, groups> results;
    hg::run_thread_ranks(groups, [&](hg::thread_rank& rank) {
      const auto j = static_cast<std::size_t>(rank.rank());
      of_rank[j].collect(rank, all.parts[j].record, all.parts[j].mask());
      results[j] = global(all.parts[j], of_rank[j]);
    });
    for (std::size_t j = 0; j < groups; ++j) {
      CHECK(std::equal(counts.counts().begin(), counts.counts().end(), of_rank[j].counts().begin()));
      check_same_bits(results[j], global(all.parts[j], counts));
    }
  }
}

TEST_CASE("a layer trains on ranks as it does on accumulated micro-batches, to the same bits",
          "[balance][identities][ranks]") {
  hg::layer layer{hg::balanced_sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = k}},
                  hg::swiglu_expert<double>{.model = model, .hidden = 5}, 9};
  layer.for_each_tensor(disturb_all{{71}});
  std::array<bool, tokens> padding{};
  for (std::size_t t = 0; t + 2 < tokens; ++t) padding[t] = true;
  using tape_of = decltype(layer)::tape;
  struct training {
    decltype(layer)::gradients grads;
    double loss = 0;
  };
  const auto backward = [&](hg::index j, const hg::expert_counts& counts, tape_of& tape) {
    training one{layer.zero_gradients()};
    hg::matrix<double> dx;
    one.loss = layer.backward(input(j), random_matrix(tokens, model, {80}), tape, dx, one.grads,
                              hg::global_balance<double>{.weight = 0.5, .counts = &counts, .mask = padding},
                              hg::router_z<double>{.weight = 0.1, .mask = padding});
    return one;
  };

  // One rank: counts of all micro-batches, then their gradients, added in order.
  std::array<tape_of, groups> tapes;
  hg::expert_counts counts;
  hg::matrix<double> y;
  for (hg::index j = 0; j < groups; ++j) {
    auto& tape = tapes[static_cast<std::size_t>(j)];
    layer.forward(input(j), y, tape);
    counts.collect(tape.routing, padding);
  }
  training sum = backward(0, counts, tapes[0]);
  for (hg::index j = 1; j < groups; ++j) {
    auto next = backward(j, counts, tapes[static_cast<std::size_t>(j)]);
    sum.loss += next.loss;
    std::vector<hg::matrix<double>> terms;
    layer.for_each_parameter(next.grads, [&](std::string_view, auto&, const auto& dw) { terms.emplace_back(dw); });
    std::size_t n = 0;
    layer.for_each_parameter(sum.grads, [&](std::string_view, auto&, auto& dw) { dw += terms[n++]; });
  }
  auto bias = layer.params().gate.select.selection_bias;
  hg::update_selection_bias(bias, counts);

  hg::run_thread_ranks(groups, [&](hg::thread_rank& rank) {
    tape_of tape;
    hg::expert_counts own;
    hg::matrix<double> out;
    layer.forward(input(rank.rank()), out, tape);
    own.collect(rank, tape.routing, padding);
    training one = backward(rank.rank(), own, tape);
    rank.all_reduce(std::span<double>(&one.loss, 1));
    hg::all_reduce_gradients(rank, layer, one.grads);
    auto moved = layer.params().gate.select.selection_bias;
    hg::update_selection_bias(moved, own);
    if (!same_bits(one.loss, sum.loss)) hg::refuse("another loss");
    if (!same_parameters(one.grads, sum.grads)) hg::refuse("other gradients");
    if (!same_matrix(moved, bias)) hg::refuse("another bias");
  });
  CHECK(!same_matrix(bias, layer.params().gate.select.selection_bias));
}
