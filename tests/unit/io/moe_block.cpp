// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/moe_block.hpp>
#include <headgate/models/granite_moe.hpp>
#include <headgate/models/mixtral.hpp>
#include <headgate/models/olmoe.hpp>
#include <headgate/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/checkpoint_edit.hpp"
#include "support/conformance.hpp"

#if defined(__linux__)
#include <sys/stat.h>
#endif

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace headgate_test;
namespace fs = std::filesystem;

namespace {

const std::string prefix = "model.layers.0.block_sparse_moe.";

fs::path mixtral_folder() { return fixture_folder("mixtral"); }

hg::matrix<float> mixtral_io(const char* name) {
  hg::safetensors_file io(mixtral_folder() / "block_io.safetensors");
  return matrix_of(io, name);
}

/// A folder with Mixtral's config.json and these tensors.
void write_mixtral(const own_folder& folder, const stored_tensors& tensors) {
  fs::copy_file(mixtral_folder() / "config.json", folder.path / "config.json", fs::copy_options::overwrite_existing);
  write_tensors(folder.path / "model.safetensors", tensors);
}

/// What loading says of a checkpoint with a change.
template <class Change>
std::string refusal_of(const Change& change) {
  const own_folder folder("moe_block_refusals");
  stored_tensors tensors = tensors_of(mixtral_folder());
  change(tensors);
  write_mixtral(folder, tensors);
  try {
    (void)hg::load_moe_block<hg::mixtral>(folder.path, 0);
  } catch (const std::runtime_error& error) {
    const std::string message = error.what();
    CHECK(message.find(folder.path.string()) == 0);
    CHECK(message.find('\n') == message.npos);
    return message.substr((std::min)(message.size(), folder.path.string().size()));
  }
  return "nothing";
}

/// The tensor in 16 bits, rounded towards zero.
stored_tensor as_bf16(const stored_tensor& tensor) {
  stored_tensor half{hg::dtype::bf16, tensor.shape, {}};
  for (std::size_t i = 0; i < tensor.bytes.size(); i += 4)
    half.bytes.insert(half.bytes.end(), {tensor.bytes[i + 2], tensor.bytes[i + 3]});
  return half;
}

/// Writes a checkpoint of zeros, as a file without blocks on the disk.
void write_sparse(const own_folder& folder, const std::string& config, const std::vector<hg::tensor_outline>& tensors) {
  folder.put("config.json", config);
  std::string header = "{";
  hg::index end = 0;
  for (const hg::tensor_outline& one : tensors) {
    const hg::index begin = std::exchange(end, end + hg::bytes_of(one.type, one.shape));
    header += hg::sentence(header.size() > 1 ? "," : "", "\"", one.name, "\":{\"dtype\":\"",
                           hg::describe(one.type).name, "\",\"shape\":[");
    for (hg::index d = 0; d < one.shape.size(); ++d) header += hg::sentence(d == 0 ? "" : ",", one.shape[d]);
    header += hg::sentence("],\"data_offsets\":[", begin, ",", end, "]}");
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string start;
  for (int i = 0; i < 8; ++i) start += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  folder.put("model.safetensors", start + header);
  fs::resize_file(folder.path / "model.safetensors",
                  static_cast<std::uintmax_t>(end) + static_cast<std::uintmax_t>(8 + header.size()));
}

void write_sparse_mixtral(const own_folder& folder, const hg::mixtral::shape& s, hg::dtype type) {
  using hg::detail::shape_of;
  std::vector<hg::tensor_outline> tensors{{prefix + "gate.weight", type, shape_of({s.experts, s.model})}};
  for (hg::index e = 0; e < s.experts; ++e) {
    const std::string expert = hg::sentence(prefix, "experts.", e, ".");
    tensors.push_back({expert + "w1.weight", type, shape_of({s.hidden, s.model})});
    tensors.push_back({expert + "w2.weight", type, shape_of({s.model, s.hidden})});
    tensors.push_back({expert + "w3.weight", type, shape_of({s.hidden, s.model})});
  }
  write_sparse(folder,
               hg::sentence(R"({"model_type":"mixtral","hidden_act":"silu","hidden_size":)", s.model,
                            R"(,"intermediate_size":)", s.hidden, R"(,"num_local_experts":)", s.experts,
                            R"(,"num_experts_per_tok":)", s.k, R"(,"num_hidden_layers":1})"),
               tensors);
}

/// The same size of block with all experts in two tensors.
void write_sparse_granite(const own_folder& folder, hg::dtype type) {
  using hg::detail::shape_of;
  const std::string at = "model.layers.0.block_sparse_moe.";
  write_sparse(folder,
               R"({"model_type":"granitemoe","hidden_act":"silu","hidden_size":1024,"intermediate_size":2048,)"
               R"("num_local_experts":4,"num_experts_per_tok":2,"num_hidden_layers":1})",
               {{at + "router.layer.weight", type, shape_of({4, 1024})},
                {at + "input_linear.weight", type, shape_of({4, 4096, 1024})},
                {at + "output_linear.weight", type, shape_of({4, 1024, 2048})}});
}

/// Memory of the process that is resident, in MiB.
double resident_now() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kibibytes = 0;
    if (word == "VmRSS:" && status >> kibibytes) return kibibytes / 1024;
  }
  return -1;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("weights that lie in the file as the layer wants them are mapped, not copied", "[io][moe_block]") {
  const auto block = hg::load_moe_block<hg::mixtral>(mixtral_folder(), 0);
  for (hg::index e = 0; e < block.experts(); ++e) {
    CHECK_FALSE(block.params().experts[e].gate.owns());
    CHECK_FALSE(block.params().experts[e].up.owns());
    CHECK_FALSE(block.params().experts[e].down.owns());
  }
  CHECK(block.prefix() == prefix);
  CHECK(block.shape().experts == 8);
  CHECK(relative_error(block(mixtral_io("input")), mixtral_io("output")) <= 2e-6);
}

TEST_CASE("a block keeps its mapping alive, and a moved one too", "[io][moe_block]") {
  auto loaded = [] {
    const hg::model_folder model(mixtral_folder());
    return hg::load_moe_block<hg::mixtral>(model, 0);
  }();
  const hg::matrix<float> y = loaded(mixtral_io("input"));
  const auto moved = std::move(loaded);
  CHECK_FALSE(moved.params().experts[0].gate.owns());
  CHECK(moved(mixtral_io("input")) == y);
}

TEST_CASE("a checkpoint of 16-bit floats is widened, and saved as it came", "[io][moe_block]") {
  const own_folder folder("moe_block_bf16");
  stored_tensors half;
  for (const auto& [name, tensor] : tensors_of(mixtral_folder())) half[name] = as_bf16(tensor);
  write_mixtral(folder, half);
  const auto block = hg::load_moe_block<hg::mixtral>(folder.path, 0);
  const auto& up = block.params().experts[3].up;
  CHECK(up.owns());
  const auto& stored = half.at(prefix + "experts.3.w3.weight").bytes;
  for (hg::index i = 0; i < up.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, stored.data() + 2 * i, 2);
    REQUIRE(up.data()[i] == hg::widen_bf16(bits));
  }
  block.save(folder.path / "saved.safetensors");
  CHECK((tensors_of(folder.path / "saved.safetensors") == tensors_of(folder.path, prefix)));
  CHECK((tensors_of(folder.path / "saved.safetensors") == half));
}

TEST_CASE("saving keeps tensors under the prefix that the layer does not use, and leaves out the others",
          "[io][moe_block]") {
  const own_folder folder("moe_block_extra");
  stored_tensors tensors = tensors_of(mixtral_folder());
  const stored_tensor extra{hg::dtype::u8, hg::detail::shape_of({3}), std::vector<std::byte>(3, std::byte{7})};
  tensors[prefix + "z_extra"] = extra;
  tensors["model.norm.weight"] = extra;
  write_mixtral(folder, tensors);
  hg::load_moe_block<hg::mixtral>(folder.path, 0).save(folder.path / "saved.safetensors");
  tensors.erase("model.norm.weight");
  CHECK((tensors_of(folder.path / "saved.safetensors") == tensors));
}

TEST_CASE("training a mapped block changes the memory and not the file", "[io][moe_block]") {
  const own_folder folder("moe_block_training");
  write_mixtral(folder, tensors_of(mixtral_folder()));
  const fs::path file = folder.path / "model.safetensors";
  const std::string before = bytes_of_file(file);
  const hg::matrix<float> x = mixtral_io("input"), dy = mixtral_io("grad_output");

  auto block = hg::load_moe_block<hg::mixtral>(folder.path, 0);
  decltype(block)::tape tape;
  auto grads = block.zero_gradients();
  hg::matrix<float> y, dx;
  block.forward(x, y, tape);
  block.backward(x, dy, tape, dx, grads);
  hg::sgd<float>{.rate = 1e-1}.step(block, grads);

  CHECK_FALSE(block.params().experts[0].gate.owns());
  CHECK(block(x) != y);
  CHECK(bytes_of_file(file) == before);
  CHECK(hg::load_moe_block<hg::mixtral>(folder.path, 0)(x) == y);

  block.save(folder.path / "trained.safetensors");
  CHECK(bytes_of_file(file) == before);
  const own_folder again("moe_block_trained");
  write_mixtral(again, tensors_of(folder.path / "trained.safetensors"));
  CHECK(hg::load_moe_block<hg::mixtral>(again.path, 0)(x) == block(x));
}

TEST_CASE("a block whose tensors are spread over two files is the same block", "[io][moe_block]") {
  const own_folder folder("moe_block_shards");
  const stored_tensors tensors = tensors_of(mixtral_folder());
  const char* const files[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  stored_tensors parts[2];
  std::string map;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t part = (parts[0].size() + parts[1].size()) % 2;  // experts are torn apart
    parts[part][name] = tensor;
    map += hg::sentence(map.empty() ? "" : ",", "\"", name, "\":\"", files[part], "\"");
  }
  for (const std::size_t part : {0u, 1u}) write_tensors(folder.path / files[part], parts[part]);
  folder.put("model.safetensors.index.json", R"({"metadata":{},"weight_map":{)" + map + "}}");
  fs::copy_file(mixtral_folder() / "config.json", folder.path / "config.json");

  const auto block = hg::load_moe_block<hg::mixtral>(folder.path, 0);
  const hg::matrix<float> x = mixtral_io("input");
  CHECK(block(x) == hg::load_moe_block<hg::mixtral>(mixtral_folder(), 0)(x));
  CHECK_FALSE(block.params().experts[7].down.owns());
  block.save(folder.path / "saved.safetensors");
  CHECK((tensors_of(folder.path / "saved.safetensors") == tensors));

  fs::remove(folder.path / files[1]);
  CHECK_THROWS_WITH(hg::load_moe_block<hg::mixtral>(folder.path, 0),
                    contains("is in 'model-00002-of-00002.safetensors', which is not in the folder"));
}

TEST_CASE("what is wrong with a checkpoint is said in one sentence", "[io][moe_block]") {
  const std::string up = prefix + "experts.2.w3.weight";
  CHECK(refusal_of([&](stored_tensors& all) { all.erase(up); }) ==
        ": has no tensor '" + up + "', expected one of shape [20, 16]");
  CHECK(refusal_of([&](stored_tensors& all) {
          all[up].shape = hg::detail::shape_of({16, 20});
        }) == "/model.safetensors: tensor '" + up + "' has shape [16, 20], expected [20, 16]");
  CHECK(refusal_of([&](stored_tensors& all) { all[up].shape = hg::detail::shape_of({320}); }) ==
        "/model.safetensors: tensor '" + up + "' has shape [320], expected [20, 16]");
  for (const auto& [type, name] : {std::pair{hg::dtype::u8, "U8"}, {hg::dtype::f8_e4m3, "F8_E4M3"}})
    CHECK(refusal_of([&, type = type](stored_tensors& all) {
            all[up].type = type;
            all[up].bytes.resize(320);
          }) == hg::sentence("/model.safetensors: tensor '", up, "' is ", name,
                             ", weights must be F32, BF16, F16 or F64; convert quantised checkpoints first"));
  CHECK(refusal_of([&](stored_tensors& all) {
          all[up].type = hg::dtype::f64;
          all[up].bytes.resize(320 * 8);
        }) == "/model.safetensors: tensor '" + up + "' is F64, expected F32 or a narrower float");
  CHECK(refusal_of([&](stored_tensors& all) {
          all = {{"model.norm.weight", all[up]}};
        }) == ": layer 0 has no MoE block: no tensor of a Mixtral block begins with '" + prefix + "'");
  CHECK(refusal_of([](stored_tensors&) {}) == "nothing");
}

TEST_CASE("a config.json of whose numbers no layer can be made is refused by its name", "[io][moe_block][hostile]") {
  const own_folder folder("moe_block_config");
  write_mixtral(folder, tensors_of(mixtral_folder()));
  const auto said = [&](hg::index model, hg::index hidden, hg::index experts, hg::index k, const char* more = "") {
    std::ofstream(folder.path / "config.json")
        << hg::sentence("{\"model_type\": \"mixtral\", \"hidden_size\": ", model, ", \"intermediate_size\": ", hidden,
                        ", \"num_local_experts\": ", experts, ", \"num_experts_per_tok\": ", k, more, "}");
    try {
      (void)hg::load_moe_block<hg::mixtral>(folder.path, 0);
    } catch (const std::runtime_error& error) {
      return std::string(error.what()).substr(folder.path.string().size());
    }
    return std::string("nothing");
  };
  CHECK(said(16, 20, 8, 2) == "nothing");
  CHECK(said(16, 20, 8, 0) == "/config.json: top_k: k is 0, it must be at least 1");
  CHECK(said(16, 20, 8, 9) == "/config.json: top_k: k is 9, the gate has 8 experts");
  CHECK(said(0, 20, 8, 2) == "/config.json: layer: model is 0, it must be at least 1");
  CHECK(said(16, 0, 8, 2) == "/config.json: glu_expert: hidden is 0, it must be at least 1");
  CHECK(said(16, 20, 1000000000, 2) ==
        "/config.json: num_local_experts is 1000000000, expected a whole number from 0 to 1048576");
  CHECK(said(16, 20, 1048576, 2) ==
        "/model.safetensors: tensor '" + prefix + "gate.weight' has shape [8, 16], expected [1048576, 16]");
  CHECK(said(1048576, 1048576, 8, 2) ==
        "/model.safetensors: tensor '" + prefix + "gate.weight' has shape [8, 16], expected [8, 1048576]");
  CHECK(said(16, 20, 8, 2, ", \"scoring_func\": \"sigmoid\"") ==  // MiniMax-M2 under its first name
        "/config.json: scoring_func is 'sigmoid', this family computes 'softmax' only");
}

TEST_CASE("a bias that the family does not have and weights in 4 bits are refused", "[io][moe_block]") {
  const std::string bias = prefix + "e_score_correction_bias";
  CHECK(refusal_of([&](stored_tensors& all) {
          all[bias] = {hg::dtype::f32, hg::detail::shape_of({8}), std::vector<std::byte>(32)};
        }) == "/model.safetensors: has a tensor '" + bias + "', which this family does not compute with");
  const std::string up = prefix + "experts.2.w3.";
  CHECK(refusal_of([&](stored_tensors& all) {
          all[up + "qweight"] = all[up + "weight"];
          all.erase(up + "weight");
        }) == ": has no tensor '" + up + "weight' but '" + up +
                  "qweight': quantised weights have to be converted to BF16, F16 or F32 first");
}

TEST_CASE("saving keeps the bits of a signalling NaN", "[io][moe_block]") {
  const own_folder folder("moe_block_nan");
  stored_tensors all = tensors_of(mixtral_folder());
  stored_tensor& up = all[prefix + "experts.2.w3.weight"];
  up.type = hg::dtype::bf16;
  up.bytes.assign(640, std::byte{0x3f});
  up.bytes[6] = std::byte{0x81}, up.bytes[7] = std::byte{0x7f};  // 0x7f81
  write_mixtral(folder, all);
  hg::load_moe_block<hg::mixtral>(folder.path, 0).save(folder.path / "saved.safetensors");
  CHECK(tensors_of(folder.path / "saved.safetensors", prefix) == tensors_of(folder.path / "model.safetensors", prefix));
}

TEST_CASE("a second load, in another type, leaves what the first has trained", "[io][moe_block]") {
  const own_folder folder("moe_block_twice");
  write_mixtral(folder, tensors_of(mixtral_folder()));
  const hg::model_folder from(folder.path);
  auto block = hg::load_moe_block<hg::mixtral>(from, 0);
  block.params().experts[0].gate(0, 0) = 42;
  (void)hg::load_moe_block<hg::mixtral, double>(from, 0);
  CHECK(block.params().experts[0].gate(0, 0) == 42);
}

TEST_CASE("a layer without an MoE block and a model of another family are refused", "[io][moe_block]") {
  const hg::model_folder model(mixtral_folder());
  CHECK(hg::has_moe_block<hg::mixtral>(model, 0));
  CHECK_FALSE(hg::has_moe_block<hg::mixtral>(model, 1));
  CHECK_THROWS_WITH(hg::load_moe_block<hg::mixtral>(model, 1), contains("layer 1 has no MoE block"));
  CHECK_THROWS_WITH(hg::load_moe_block<hg::olmoe>(model, 0),
                    contains("config.json: model_type is 'mixtral', OLMoE is 'olmoe'"));
  CHECK(hg::answers_to<hg::mixtral>("minimax"));
  CHECK_FALSE(hg::answers_to<hg::mixtral>("mixtral_"));
}

TEST_CASE("loading a block of 2 GB maps it", "[io][moe_block]") {
#if !defined(__linux__)
  WARN("skipped: only Linux says in /proc/self/status how much memory is resident");
#else
  const own_folder folder("moe_block_2gb");
  const hg::mixtral::shape shape{.model = 4096, .hidden = 7168, .experts = 6, .k = 2};
  try {
    write_sparse_mixtral(folder, shape, hg::dtype::f32);
  } catch (const std::system_error& error) {
    WARN("skipped: the disk takes no file of 2 GB: " << error.what());
    return;
  }
  const fs::path file = folder.path / "model.safetensors";
  struct ::stat about {};
  REQUIRE(::stat(file.c_str(), &about) == 0);
  if (about.st_blocks * 512 > (64 << 20)) {
    WARN("skipped: the disk takes no sparse file, 2 GB would be written");
    return;
  }
  const double before = resident_now();
  const auto start = std::chrono::steady_clock::now();
  const auto block = hg::load_moe_block<hg::mixtral>(folder.path, 0);
  const double seconds = seconds_since(start), grown = resident_now() - before;
  std::printf("a block of %.2f GB is loaded in %.1f ms, resident memory grows by %.1f MiB\n",
              static_cast<double>(about.st_size) / 1e9, 1e3 * seconds, grown);
  CHECK(about.st_size > 2'000'000'000);
  CHECK(grown < 64);
  CHECK_FALSE(block.params().experts[5].down.owns());
#endif
}

TEST_CASE("loading a block of 16-bit floats leaves nothing of the file in memory", "[io][moe_block]") {
#if !defined(__linux__)
  WARN("skipped: only Linux says in /proc/self/status how much memory is resident");
#else
  const own_folder apart("moe_block_16bit"), stacked("moe_block_16bit_stacked");
  write_sparse_mixtral(apart, {.model = 1024, .hidden = 2048, .experts = 4, .k = 2}, hg::dtype::bf16);  // 48 MiB
  write_sparse_granite(stacked, hg::dtype::bf16);
  constexpr double most = 96 + 24;  // MiB: the widened block, and less than half of the file
  {
    const double before = resident_now();
    const auto block = hg::load_moe_block<hg::mixtral>(apart.path, 0);
    CHECK(resident_now() - before < most);
    CHECK(block.params().experts[3].down.owns());
  }
  const double before = resident_now();
  const auto block = hg::load_moe_block<hg::granite_moe>(stacked.path, 0);
  CHECK(resident_now() - before < most);
  CHECK(block.params().experts[3].down.owns());
#endif
}
