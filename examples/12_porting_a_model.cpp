// SPDX-License-Identifier: BSD-3-Clause
// A model that the library does not know, expressed with its public pieces: Ling 2.0 (Ant Group 2025, arXiv:2510.22115).
#include <headgate/headgate.hpp>
#include <headgate/io/moe_block.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/testing/conformance.hpp>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace hg = headgate;

struct ling2 {
  static constexpr std::string_view name = "Ling 2.0";
  static constexpr std::array<std::string_view, 1> model_types{"bailing_moe_v2"};

  struct shape {
    hg::index model = 2048, hidden = 512, experts = 256, k = 8, groups = 8, kept_groups = 4;
    double scale = 2.5;
  };

  template <class T>
  using gate =
      hg::gate<hg::linear_head<T>, hg::sigmoid_score,
               hg::adjusted<hg::selection_bias<T>, hg::adjusted<hg::group_limit<hg::top_two_sum>, hg::top_k<>>>,
               hg::scaled<T, hg::renormalised_plus<T>>>;

  template <class T>
  static auto policies(const shape& s) {
    return hg::moe_policies<gate<T>, hg::swiglu_expert<T>, hg::swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.select = {.adjust = {.groups = s.groups, .keep = s.kept_groups}, .select = {.k = s.k}}},
                 .weigh = {.weigh = {.epsilon = T(1e-20)}, .factor = static_cast<T>(s.scale)}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .hidden = s.hidden}};
  }

  static shape read(const hg::model_config& c, hg::index /*layer*/) {
    hg::expect(c, "hidden_act", "silu");
    hg::expect(c, "score_function", "sigmoid");
    hg::expect(c, "num_shared_experts", 1);
    hg::expect_off(c, "use_bias");
    if (!c.flag("norm_topk_prob", true)) hg::refuse_file(c.source(), "norm_topk_prob is false, this port divides");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("moe_intermediate_size"),
            .experts = c.integer("num_experts"),
            .k = c.integer("num_experts_per_tok"),
            .groups = c.integer("n_group"),
            .kept_groups = c.integer("topk_group"),
            .scale = c.number("routed_scaling_factor")};
  }

  static std::array<std::string, 1> prefixes(hg::index layer) {
    return {hg::sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
    f(p.gate.select.adjust.selection_bias, hg::vector_of("gate.expert_bias", s.experts));
    hg::glu_tensors_of_each(p.experts, hg::proj_names, s.model, s.hidden, f);
    hg::glu_tensors(p.shared, "shared_experts.", hg::proj_names, s.model, s.hidden, f);
  }
};
static_assert(hg::loadable_family<ling2>);  // keep this line next to the family

int main() {
  const ling2::shape small{.model = 16, .hidden = 12, .experts = 16, .k = 4, .groups = 4, .kept_groups = 2};

  // The gate alone: gradients against differences, the same bits for a token alone and in a batch.
  const auto report = hg::testing::check_gate(ling2::policies<double>(small).gate);
  std::printf("gate: %s\n", report ? "right" : report.text().c_str());

  // A checkpoint as the model's own code would write it.
  const auto folder = std::filesystem::temp_directory_path() / "headgate_example_12";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json")
      << R"({"model_type": "bailing_moe_v2", "hidden_size": 16, "moe_intermediate_size": 12, "num_experts": 16,
             "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5,
             "num_shared_experts": 1, "hidden_act": "silu"})";
  const auto written = hg::make_moe_layer<ling2>(small, /*seed=*/1);
  hg::save_moe_layer<ling2>(written, small, folder / "model.safetensors");

  const auto block = hg::load_moe_block<ling2>(folder, /*layer=*/0);
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(24, 16, random);
  const bool same = block(x) == written(x);
  std::printf("loaded: %s\n", same ? "the same bits" : "different");
  std::filesystem::remove_all(folder);
  return report && same ? 0 : 1;
}
