// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/any_moe_block.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/catch.hpp"
#include "support/checkpoint_edit.hpp"
#include "support/conformance.hpp"
#include "support/own_path.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace headgate_test;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> all_fixtures() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(fixture_folder("")))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

hg::matrix<float> io_matrix(const fs::path& folder, const std::string& name) {
  hg::safetensors_file io(folder / "block_io.safetensors");
  return matrix_of(io, name);
}

}  // namespace

TEST_CASE("a block of every family opens, and computes what the family's own code computes", "[io][any_moe_block]") {
  const auto folders = all_fixtures();
  REQUIRE(folders.size() == 14);
  std::set<std::string> families;
  hg::any_moe_block::workspace memory;  // goes from family to family
  for (const fs::path& folder : folders) {
    INFO(folder.filename().string());
    const hg::any_moe_block block = hg::open_moe_block(folder, 0);
    families.emplace(block.family());
    const hg::matrix<float> x = io_matrix(folder, "input");
    hg::matrix<float> y;
    block.forward(x, y, memory);
    CHECK(relative_error(y, io_matrix(folder, "output")) <= 2e-6);
    CHECK(block(x) == y);
    CHECK(block.model() == x.cols());
    CHECK(block.outputs() == y.cols());
    CHECK(memory.routing().tokens == x.rows());
    CHECK(memory.routing().experts == block.experts());
    CHECK(memory.plan().slots() + memory.plan().dropped() == memory.routing().assignments.size());
  }
  CHECK(families.size() == folders.size());
}

TEST_CASE("a block of every family is saved as it came, byte for byte", "[io][any_moe_block]") {
  const fs::path saved = own_path("headgate_any_block.safetensors");
  for (const fs::path& folder : all_fixtures()) {
    INFO(folder.filename().string());
    const hg::any_moe_block block = hg::open_moe_block(folder, 0);
    block.save(saved);
    const auto before = tensors_of(folder, block.prefix());
    CHECK(!before.empty());
    CHECK((tensors_of(saved) == before));
  }
  fs::remove(saved);
}

TEST_CASE("a block says its family, its prefix and its sizes", "[io][any_moe_block]") {
  hg::any_moe_block block = hg::open_moe_block(fixture_folder("mixtral"), 0);
  CHECK(block.family() == "Mixtral");
  CHECK(block.prefix() == "model.layers.0.block_sparse_moe.");
  CHECK(block.experts() == 8);
  CHECK(block.parameters() == 8 * 16 + 8 * 3 * 16 * 20);
  REQUIRE(block.get<hg::mixtral>() != nullptr);
  CHECK(block.get<hg::mixtral>()->shape().hidden == 20);
  CHECK(block.get<hg::olmoe>() == nullptr);
}

TEST_CASE("a pass on threads has the bits of one without", "[io][any_moe_block]") {
  const hg::any_moe_block block = hg::open_moe_block(fixture_folder("deepseek_v3"), 0);
  const hg::matrix<float> x = io_matrix(fixture_folder("deepseek_v3"), "input");
  const hg::thread_pool pool(3);
  hg::any_moe_block::workspace memory;
  hg::matrix<float> y;
  block.forward(pool, x, y, memory);
  CHECK(y == block(x));
}

TEST_CASE("steering of a workspace reaches the block", "[io][any_moe_block]") {
  const hg::any_moe_block block = hg::open_moe_block(fixture_folder("mixtral"), 0);
  const hg::matrix<float> x = io_matrix(fixture_folder("mixtral"), "input");
  hg::any_moe_block::workspace memory;
  hg::matrix<float> y;
  memory.steering.k = 1;
  memory.steering.off = {2, 5};
  block.forward(x, y, memory);
  CHECK(memory.routing().assignments.size() == x.rows());
  for (const auto& one : memory.routing().assignments) CHECK((one.expert != 2 && one.expert != 5));
  memory.steering = {};
  block.forward(x, y, memory);
  CHECK(memory.routing().assignments.size() == 2 * x.rows());
  CHECK(y == block(x));
}

TEST_CASE("a workspace without a pass has no routing to show", "[io][any_moe_block]") {
  const hg::any_moe_block::workspace memory;
  CHECK_THROWS_WITH(memory.routing(), contains("holds no pass yet"));
  CHECK_THROWS_WITH(memory.plan(), contains("holds no pass yet"));
}

TEST_CASE("layers with an MoE block are told from layers without", "[io][any_moe_block]") {
  const hg::model_folder model(fixture_folder("mixtral"));
  CHECK(hg::family_of(model) == "Mixtral");
  CHECK(hg::has_moe_block(model, 0));
  CHECK_FALSE(hg::has_moe_block(model, 1));
  CHECK_THROWS_WITH(hg::open_moe_block(model, 1), contains("layer 1 has no MoE block"));
}

TEST_CASE("a type that no family answers to is refused with those that are known", "[io][any_moe_block]") {
  const own_folder folder("any_block_unknown");
  fs::copy_file(fixture_folder("mixtral") / "model.safetensors", folder.path / "model.safetensors");
  folder.put("config.json", R"({"model_type":"dense_thing"})");
  std::string message;
  try {
    (void)hg::open_moe_block(folder.path, 0);
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  CHECK(message.find((folder.path / "config.json").string()) == 0);
  CHECK(message.find("model_type is 'dense_thing', known are dbrx, deepseek_v2, ") != message.npos);
  for (const char* known : {"mixtral", "minimax", "gpt_oss", "llama4_text", "switch_transformers"})
    CHECK(message.find(known) != message.npos);
  CHECK(message.find('\n') == message.npos);
  CHECK_THROWS_AS(hg::has_moe_block(hg::model_folder(folder.path), 0), std::runtime_error);
}
