// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/packed_moe_block.hpp>
#include <headgate/models/gpt_oss.hpp>
#include <headgate/models/longcat_flash.hpp>
#include <headgate/models/mixtral.hpp>
#include <headgate/models/qwen2_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

/// Packed on the way in, and the layer packed after it was loaded.
template <class Family, class Storage>
void compare(const char* folder) {
  INFO(folder);
  const auto block = hg::load_moe_block<Family>(fixture_folder(folder), 0);
  const hg::packed_layer<hg::family_layer<Family>, Storage> afterwards{block};
  const auto packed = hg::load_packed_moe_block<Family, Storage>(fixture_folder(folder), 0);
  hg::safetensors_file io(fixture_folder(folder) / "block_io.safetensors");
  const hg::matrix<float> x = matrix_of(io, "input");
  const hg::matrix<float> y = packed(x);
  CHECK(y == afterwards(x));
  CHECK(relative_error(y, matrix_of(io, "output")) < (sizeof(Storage) == 4 ? 2e-6 : 3e-2));
  CHECK(packed.bytes() == afterwards.bytes());
}

}  // namespace

TEST_CASE("a block packed on the way in is the block loaded and packed", "[io][packed_moe_block]") {
  compare<hg::mixtral, float>("mixtral");  // a tensor for each matrix
  compare<hg::mixtral, hg::bf16>("mixtral");
  compare<hg::gpt_oss, float>("gpt_oss");              // one for all experts, interleaved
  compare<hg::qwen2_moe, float>("qwen2_moe");          // a shared expert with a gate
  compare<hg::longcat_flash, float>("longcat_flash");  // experts without parameters
}

TEST_CASE("a packed block of another family or layer is refused", "[io][packed_moe_block]") {
  CHECK_THROWS_WITH(
      (hg::load_packed_moe_block<hg::mixtral, float>(fixture_folder("gpt_oss"), 0)),
      (fixture_folder("gpt_oss") / "config.json").string() + ": model_type is 'gpt_oss', Mixtral is 'mixtral'");
  CHECK_THROWS_WITH((hg::load_packed_moe_block<hg::mixtral, float>(fixture_folder("mixtral"), 7)),
                    fixture_folder("mixtral").string() +
                        ": layer 7 has no MoE block: no tensor of a Mixtral block begins with "
                        "'model.layers.7.block_sparse_moe.'");
}
