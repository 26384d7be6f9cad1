// SPDX-License-Identifier: BSD-3-Clause
// A published model's block: fresh, and from its checkpoint; run, trained a step, saved back.
#include <headgate/headgate.hpp>
#include <headgate/io/moe_block.hpp>
#include <headgate/models/deepseek_v3.hpp>
#include <headgate/models/mixtral.hpp>

#include <cstdio>
#include <filesystem>

namespace hg = headgate;

int main(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : HEADGATE_CHECKPOINTS "/mixtral";
  std::mt19937_64 random(1);

  // Of a family's shape, with random parameters: for training, for trying out.
  auto fresh = hg::make_moe_layer<hg::deepseek_v3>(
      {.model = 64, .hidden = 32, .experts = 16, .k = 4, .groups = 4, .kept_groups = 2, .shared_hidden = 32}, 42);
  const hg::matrix<float> of_fresh = fresh(hg::randn<float>(5, 64, random));
  std::printf("fresh: %td x %td\n", of_fresh.rows(), of_fresh.cols());

  // From a folder with config.json and safetensors files. It is a hg::layer, with all that a layer can do.
  auto block = hg::load_moe_block<hg::mixtral>(folder, /*layer=*/0);
  const auto x = hg::randn<float>(24, block.model(), random);
  hg::matrix<float> y = block(x);
  std::printf("loaded: %td experts, 32-bit weights are %s\n", block.experts(),
              block.params().experts[0].gate.owns() ? "copied" : "mapped");

  // Saved back it is what it was: the same names, shapes and bits.
  const auto path = std::filesystem::temp_directory_path() / "headgate_example_11.safetensors";
  block.save(path);
  std::printf("saved: %td tensors\n", static_cast<hg::index>(hg::safetensors_file(path).tensors().size()));
  std::filesystem::remove(path);
  return y.allFinite() && of_fresh.allFinite() ? 0 : 1;
}
