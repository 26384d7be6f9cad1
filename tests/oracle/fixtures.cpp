// SPDX-License-Identifier: BSD-3-Clause
// The transcriptions against what the models' own code computes (tests/fixtures/hf_moe/README.md): before they judge our
// layers, they are judged themselves.
#include <headgate/io/safetensors_file.hpp>

#include "support/catch.hpp"
#include "support/numerical_gradients.hpp"
#include "support/published_blocks.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace hg = headgate;
namespace published = headgate_test::published;
using published::row;
using published::rows;
using published::tensor;
using published::tensors;
using std::size_t;

/// The tensors of a file, those whose names begin with `prefix`, without it.
tensors read_tensors(const std::filesystem::path& path, const std::string& prefix) {
  hg::safetensors_file file(path);
  tensors all;
  for (const hg::tensor_description& description : file.tensors()) {
    if (!description.name.starts_with(prefix)) continue;
    tensor one;
    for (const auto extent : description.shape) one.shape.push_back(static_cast<size_t>(extent));
    one.values.resize(static_cast<size_t>(description.size()));
    file.read(description, one.values.data());
    all.emplace(description.name.substr(prefix.size()), one);
  }
  return all;
}

rows rows_of(const tensor& t) {
  rows all(t.shape.at(0), row(t.shape.at(1)));
  for (size_t r = 0; r < all.size(); ++r)
    for (size_t c = 0; c < all[r].size(); ++c) all[r][c] = t(r, c);
  return all;
}

/// A family's folder, its function, the prefix of layer 0's block and what its config.json says.
struct fixture {
  const char* folder;
  published::block_function block;
  const char* prefix;
  published::options options;

  [[nodiscard]] std::filesystem::path path() const {
    return std::filesystem::path(HEADGATE_FIXTURES) / "hf_moe" / folder;
  }
  [[nodiscard]] tensors parameters() const { return read_tensors(path() / "model.safetensors", prefix); }
  [[nodiscard]] tensors io() const { return read_tensors(path() / "block_io.safetensors", ""); }
  [[nodiscard]] rows operator()(const tensors& t, const rows& x, published::routing* taken = nullptr) const {
    return block(t, options, x, taken);
  }
};

const fixture fixtures[] = {
    {"deepseek_v2",
     published::deepseek_v2,
     "model.layers.0.mlp.",
     {.k = 4, .groups = 4, .kept_groups = 2, .renormalise = false, .scale = 1.5}},
    {"deepseek_v3",
     published::deepseek_v3,
     "model.layers.0.mlp.",
     {.k = 4, .groups = 4, .kept_groups = 2, .renormalise = true, .scale = 2.5}},
    {"ernie4_5_moe", published::ernie4_5_moe, "model.layers.0.mlp.", {.k = 2, .norm_min = 1e-12}},
    {"gpt_oss", published::gpt_oss, "model.layers.0.mlp.", {.k = 4, .limit = 7}},
    {"granitemoe", published::granite_moe, "model.layers.0.block_sparse_moe.", {.k = 2}},
    {"jetmoe", published::jetmoe, "model.layers.0.mlp.", {.k = 2}},
    {"llama4_text", published::llama4, "model.layers.0.feed_forward.", {.k = 1}},
    {"longcat_flash", published::longcat_flash, "model.layers.0.mlp.", {.k = 4, .scale = 6, .identities = 4}},
    {"mixtral", published::mixtral, "model.layers.0.block_sparse_moe.", {.k = 2}},
    {"olmoe", published::olmoe, "model.layers.0.mlp.", {.k = 4, .renormalise = false}},
    {"phimoe", published::phi3_5_moe, "model.layers.0.block_sparse_moe.", {.jitter = 0.15}},
    {"qwen2_moe", published::qwen2_moe, "model.layers.0.mlp.", {.k = 4, .renormalise = false}},
    {"qwen3_moe", published::qwen3_moe, "model.layers.0.mlp.", {.k = 4, .renormalise = true}},
    {"switch_transformers", published::switch_transformer, "encoder.block.0.layer.1.mlp.", {.k = 1, .capacity = 6}},
};

const fixture& fixture_of(const std::string& folder) {
  return *std::find_if(std::begin(fixtures), std::end(fixtures), [&](const fixture& f) { return f.folder == folder; });
}

double largest_magnitude(const tensor& t) {
  double most = 0;
  for (const double value : t.values) most = std::max(most, std::abs(value));
  return most;
}

std::string described(const published::choices& chosen) {
  std::ostringstream text;
  for (const auto& c : chosen) text << " expert " << c.expert << " with " << c.weight;
  return text.str();
}

/// Our derivative of a tensor as it is on disk, for the tensors that the model's code has in memory. Where it has fused
/// what lies on disk in one tensor for each expert: gate over up [experts, 2 hidden, model], down [experts, model, hidden].
tensors fused_experts(tensors disk, const char* gate, const char* up, const char* down) {
  const auto append = [](tensor& all, const tensor& one) {
    all.values.insert(all.values.end(), one.values.begin(), one.values.end());
  };
  tensor both, downs;
  for (size_t e = 0; disk.contains(published::of_expert(e) + gate); ++e) {
    append(both, disk.at(published::of_expert(e) + gate));
    append(both, disk.at(published::of_expert(e) + up));
    const auto found = disk.find(published::of_expert(e) + down);
    if (found != disk.end()) append(downs, found->second);  // LongCat's identity experts have no down
  }
  disk["experts.gate_up_proj"] = both;
  disk["experts.down_proj"] = downs;
  return disk;
}

/// Compares dL/dx and every tensor that the fixture has a gradient of; `in_memory` arranges ours as those are.
template <class InMemory>
void compare_gradients(const std::string& folder, size_t stride, const InMemory& in_memory) {
  const fixture& f = fixture_of(folder);
  const tensors io = f.io();
  const published::gradients d =
      published::numerical_gradients(f, f.parameters(), rows_of(io.at("input")), rows_of(io.at("grad_output")), stride);
  const tensors ours = in_memory(d.parameters);

  const tensor& dx = io.at("grad_input");
  double worst = 0;
  for (size_t t = 0; t < d.x.size(); ++t)
    for (size_t m = 0; m < d.x[t].size(); ++m) worst = std::max(worst, std::abs(d.x[t][m] - dx(t, m)));
  INFO(folder);
  CHECK(worst < 2e-6 * largest_magnitude(dx));

  size_t compared = 0;
  for (const auto& [name, theirs] : io) {
    if (!name.starts_with("grad.")) continue;
    INFO(name);
    const std::vector<double>& values = ours.at(name.substr(5)).values;
    REQUIRE(values.size() == theirs.values.size());
    worst = 0;
    for (size_t i = 0; i < values.size(); ++i)
      if (!std::isnan(values[i])) {
        worst = std::max(worst, std::abs(values[i] - theirs.values[i]));
        ++compared;
      }
    CHECK(worst < 2e-6 * largest_magnitude(theirs));
  }
  CHECK(compared > 100);
}

}  // namespace

TEST_CASE("the transcriptions compute what the models' own code computes", "[oracle]") {
  for (const fixture& f : fixtures) {
    const tensors io = f.io();
    const tensor& theirs = io.at("output");
    published::routing taken;
    const rows ours = f(f.parameters(), rows_of(io.at("input")), &taken);
    REQUIRE(ours.size() == theirs.shape.at(0));
    REQUIRE(taken.size() == ours.size());
    const double scale = largest_magnitude(theirs);
    double worst = 0;
    for (size_t t = 0; t < ours.size(); ++t) {
      double error = 0;
      for (size_t m = 0; m < ours[t].size(); ++m) error = std::max(error, std::abs(ours[t][m] - theirs(t, m)) / scale);
      INFO(f.folder << ", token " << t << ":" << described(taken[t]));
      CHECK(error < 1e-6);
      worst = std::max(worst, error);
    }
    INFO(f.folder << " is off by " << worst);
    CHECK(worst < 1e-6);
  }
}

TEST_CASE("derivatives of the transcriptions are the gradients of the models' own code", "[oracle]") {
  const auto as_they_are = [](const tensors& t) { return t; };
  compare_gradients("jetmoe", 19, as_they_are);
  compare_gradients("gpt_oss", 19, as_they_are);
  compare_gradients("llama4_text", 19, as_they_are);
  compare_gradients("phimoe", 29, [](const tensors& t) {
    tensors fused = fused_experts(t, "w1.weight", "w3.weight", "w2.weight");
    fused["router.weight"] = t.at("gate.weight");
    return fused;
  });
  compare_gradients("deepseek_v3", 37, [](const tensors& t) {
    return fused_experts(t, "gate_proj.weight", "up_proj.weight", "down_proj.weight");
  });
}

TEST_CASE("a capacity takes first choices first, in the order of the tokens", "[oracle]") {
  const published::routing wanted{{{0, 0.6}, {1, 0.4}}, {{1, 0.7}, {0, 0.3}}, {{0, 0.9}, {1, 0.1}}, {{0, 1.0}}};
  const published::routing kept = published::within_capacity(wanted, 2, 2);
  REQUIRE(kept.size() == 4);
  CHECK(described(kept[0]) == " expert 0 with 0.6 expert 1 with 0.4");
  CHECK(described(kept[1]) == " expert 1 with 0.7");
  CHECK(described(kept[2]) == " expert 0 with 0.9");
  CHECK(kept[3].empty());
}

TEST_CASE("the largest of equal scores is the one that comes first", "[oracle]") {
  CHECK(published::largest({1, 3, 2, 3, 3}, 3) == std::vector<size_t>{1, 3, 4});
  CHECK(published::largest({0, 0, 0, 0}, 2) == std::vector<size_t>{0, 1});
}

TEST_CASE("groups are limited by the sum of their best members", "[oracle]") {
  const row score{5, 0, 3, 3, 4, 4, -9, -9};
  CHECK(published::limited_to_groups(score, 4, 2, 1, 0) == row{5, 0, 0, 0, 4, 4, 0, 0});
  CHECK(published::limited_to_groups(score, 4, 2, 2, -1) == row{-1, -1, 3, 3, 4, 4, -1, -1});
}

TEST_CASE("GShard's second choice is kept if the draw is below its weight over the threshold", "[oracle]") {
  const tensor router{{2, 1}, {1, 1}};  // both experts get 1/2
  const rows x{{1}, {1}, {1}};
  const published::routing all = published::gshard_routing(router, {.threshold = 1, .draws = {0.4, 0.6, 0.0}}, x);
  CHECK(all[0].size() == 2);
  CHECK(all[1].size() == 1);
  CHECK(all[2].size() == 2);
  CHECK(all[1][0].weight == Approx(0.5));  // what is left is not renormalised
  CHECK(published::gshard_routing(router, {.threshold = 1}, x)[1].size() == 2);
}
