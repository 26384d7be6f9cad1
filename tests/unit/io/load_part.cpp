// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/io/load_part.hpp>
#include <headgate/layer.hpp>

#include "support/layer_checks.hpp"
#include "support/own_path.hpp"

#include <cstdint>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

using namespace headgate_test;
namespace fs = std::filesystem;

namespace {

using gate = hg::topk_gate<float>;
using expert = hg::linear_expert<float>;
using whole_layer = hg::layer<gate, expert, expert>;
using part = hg::expert_parallel_layer<gate, expert, expert>;

const gate top_2{.head = {.model = 6, .experts = 5}, .select = {.k = 2}};
const expert linear{.model = 6, .outputs = 4};

whole_layer make_whole(std::uint64_t seed) { return {top_2, linear, linear, seed}; }
part make_part(std::uint64_t seed, const hg::expert_placement& placement, hg::index rank) {
  return {top_2, linear, linear, seed, placement, rank};
}

/// A folder that is gone at the end of the test.
struct test_folder {
  fs::path path = own_path("headgate_load_part");

  test_folder() { fs::create_directory(path); }
  ~test_folder() { fs::remove_all(path); }

  /// What the ranks of this seed and placement save.
  [[nodiscard]] std::vector<fs::path> save_ranks(std::uint64_t seed, const hg::expert_placement& placement) const {
    std::vector<fs::path> files;
    for (hg::index rank = 0; rank < placement.ranks(); ++rank) {
      files.push_back(path / ("rank-" + std::to_string(rank) + ".safetensors"));
      hg::save(make_part(seed, placement, rank), files.back());
    }
    return files;
  }
};

const hg::expert_placement by_map(std::vector<hg::index>{1, 0, 1, 1, 0}, 2);

/// The sentence with which the load is refused, without the folder; checks that the module is as it was.
template <class Module>
std::string refused(const test_folder& folder, Module module, const std::vector<fs::path>& files) {
  const Module before = module;
  std::string sentence = "loaded";
  try {
    hg::load_part(module, files);
  } catch (const std::exception& e) {
    sentence = e.what();
  }
  CHECK(same_parameters(module.params(), before.params()));
  for (std::size_t at; (at = sentence.find(folder.path.string() + "/")) != std::string::npos;)
    sentence.erase(at, folder.path.string().size() + 1);
  return sentence;
}

}  // namespace

TEST_CASE("each rank takes its own part of a whole layer's file", "[io][load_part][expert_parallel]") {
  const test_folder folder;
  const fs::path file = folder.path / "whole.safetensors";
  hg::save(make_whole(3), file);
  for (const hg::expert_placement& placement : {hg::expert_placement(5, 1), hg::expert_placement(5, 3), by_map})
    for (hg::index rank = 0; rank < placement.ranks(); ++rank) {
      part loaded = make_part(8, placement, rank);
      hg::load_part(loaded, {file});
      CHECK(same_parameters(loaded.params(), make_part(3, placement, rank).params()));
    }
}

TEST_CASE("a whole layer, and ranks of any other placement, come from the files of ranks",
          "[io][load_part][expert_parallel]") {
  const test_folder folder;
  const std::vector<fs::path> files = folder.save_ranks(3, by_map);
  whole_layer whole = make_whole(8);
  hg::load_part(whole, files);
  CHECK(same_parameters(whole.params(), make_whole(3).params()));
  for (hg::index rank = 0; rank < 3; ++rank) {
    part loaded = make_part(8, {5, 3}, rank);
    hg::load_part(loaded, files);
    CHECK(same_parameters(loaded.params(), make_part(3, {5, 3}, rank).params()));
  }
}

TEST_CASE("a rank's file is loaded by that rank, and on one rank it is the whole layer's",
          "[io][load_part][expert_parallel]") {
  const test_folder folder;
  const std::vector<fs::path> files = folder.save_ranks(3, by_map);
  for (hg::index rank = 0; rank < 2; ++rank) {
    part loaded = make_part(8, by_map, rank);
    hg::load(loaded, files[static_cast<std::size_t>(rank)]);
    CHECK(same_parameters(loaded.params(), make_part(3, by_map, rank).params()));
  }
  whole_layer whole = make_whole(8);
  hg::load(whole, folder.save_ranks(4, {5, 1}).front());
  CHECK(same_parameters(whole.params(), make_whole(4).params()));
}

TEST_CASE(
    "load_part refuses tensors that are missing, of another shape, or not the same in all files, and changes nothing",
    "[io][load_part]") {
  const test_folder folder;
  std::vector<fs::path> files = folder.save_ranks(3, by_map);
  const whole_layer whole = make_whole(8);
  CHECK(refused(folder, whole, {files[0]}) ==
        "rank-0.safetensors: has no tensor 'experts.0.weight', expected one of shape [4, 6]");
  CHECK(refused(folder, whole, {files[0], files[0]}) ==
        "rank-0.safetensors: has no tensor 'experts.0.weight', nor has any of the 1 files after it");
  CHECK(refused(folder, whole, {}) == "load_part: there are no files");

  hg::save(make_part(4, by_map, 1), files[1]);  // of another step
  CHECK(refused(folder, whole, files) ==
        "rank-1.safetensors: tensor 'gate.weight' is not the one of rank-0.safetensors");

  hg::save(hg::layer{top_2, expert{.model = 6, .outputs = 5}, 3}, files[1]);
  CHECK(refused(folder, make_part(8, by_map, 0), {files[1]}) ==
        "rank-1.safetensors: tensor 'experts.1.weight' has shape [5, 6], expected [4, 6]");
}
