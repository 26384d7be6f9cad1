// SPDX-License-Identifier: BSD-3-Clause
// Parameters in a safetensors file: an exact round trip, and a refusal that changes nothing.
#include <headgate/headgate.hpp>
#include <headgate/io/safetensors.hpp>

#include <cstdio>

namespace hg = headgate;

auto make_layer(hg::index hidden, std::uint64_t seed) {
  return hg::layer{hg::topk_gate<float>{.head = {.model = 16, .experts = 4}, .select = {.k = 2}},
                   hg::swiglu_expert<float>{.model = 16, .hidden = hidden}, seed};
}

int main() {
  const auto path = std::filesystem::temp_directory_path() / "headgate_example_07.safetensors";
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(5, 16, random);

  const auto trained = make_layer(32, /*seed=*/1);
  hg::save(trained, path);
  auto restored = make_layer(32, /*seed=*/2);
  hg::load(restored, path);
  const bool same = restored(x) == trained(x);
  std::printf("restored: %s\n", same ? "the same bits" : "different");
  restored.for_each_tensor([](std::string_view name, const auto& w) {
    if (name.starts_with("gate.") || name.starts_with("experts.0."))
      std::printf("  %-16.*s %td x %td\n", static_cast<int>(name.size()), name.data(), w.rows(), w.cols());
  });

  auto wider = make_layer(64, /*seed=*/3);
  const hg::matrix<float> before = wider(x);
  bool refused = false;
  try {
    hg::load(wider, path);
  } catch (const std::runtime_error& error) {
    refused = true;
    std::printf("refused: %s\n", error.what());
  }
  const bool untouched = wider(x) == before;
  std::filesystem::remove(path);
  return same && refused && untouched ? 0 : 1;
}
