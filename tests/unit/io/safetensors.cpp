// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/weights.hpp>
#include <headgate/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace hg = headgate;
namespace fs = std::filesystem;
using headgate_test::contains;

namespace {

/// The path of a file that is gone at the end of the test.
struct test_path {
  fs::path path = headgate_test::own_path("headgate_safetensors_test.safetensors");

  test_path() { fs::remove(path); }
  explicit test_path(const std::string& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  ~test_path() { fs::remove(path); }

  std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

/// Two float matrices and between them one of doubles.
struct mixed_module {
  hg::matrix<float> up = hg::matrix<float>::Constant(2, 3, 7.0f);
  hg::matrix<double> scale = hg::matrix<double>::Constant(1, 2, 8.0);
  hg::matrix<float> bias = hg::matrix<float>::Constant(1, 1, 9.0f);

  template <class F>
  void for_each_tensor(F&& f) {
    walk(*this, f);
  }
  template <class F>
  void for_each_tensor(F&& f) const {
    walk(*this, f);
  }

 private:
  template <class Self, class F>
  static void walk(Self& self, F& f) {
    f("ffn.up", self.up);
    f("scale", self.scale);
    f("ffn.bias", self.bias);
  }
};

/// Any number of matrices of one type under any names.
template <class T>
struct named_module {
  std::vector<std::pair<std::string, hg::matrix<T>>> tensors;

  template <class F>
  void for_each_tensor(F&& f) {
    for (auto& [name, m] : tensors) f(std::string_view(name), m);
  }
  template <class F>
  void for_each_tensor(F&& f) const {
    for (const auto& [name, m] : tensors) f(std::string_view(name), m);
  }
};

/// One matrix of weights.
struct weights_module {
  hg::weights<float> w = hg::matrix<float>::Constant(2, 3, 7.0f);

  template <class F>
  void for_each_tensor(F&& f) {
    f(std::string_view("w"), w);
  }
  template <class F>
  void for_each_tensor(F&& f) const {
    f(std::string_view("w"), w);
  }
};

template <class M>
bool same_bits(const M& a, const M& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         (a.size() == 0 ||
          std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(*a.data())) == 0);
}

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
  return text;
}

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

/// Bytes of one F32, as the format has them.
std::string f32(float value) { return little_endian(std::bit_cast<std::uint32_t>(value), 4); }

/// The header fields of a 1 x 2 tensor of floats at a place in the data.
std::string pair_at(const std::string& name, int begin) {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[" + std::to_string(begin) + "," +
         std::to_string(begin + 8) + "]}";
}

/// A module of 1 x 2 tensors 'a' and 'b', whose refused load must leave it as it is.
struct pair_module : named_module<float> {
  pair_module() {
    tensors = {{"a", hg::matrix<float>::Constant(1, 2, 5.0f)}, {"b", hg::matrix<float>::Constant(1, 2, 6.0f)}};
  }
  [[nodiscard]] bool untouched() const {
    return tensors[0].second == hg::matrix<float>::Constant(1, 2, 5.0f) &&
           tensors[1].second == hg::matrix<float>::Constant(1, 2, 6.0f);
  }
};

/// The message with which a file is refused; also checks that the module is as it was.
std::string refusal(const std::string& bytes) {
  const test_path file(bytes);
  pair_module module;
  std::string message = "loaded";
  try {
    hg::load(module, file.path);
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  CHECK(module.untouched());
  const std::string start = file.path.string() + ": ";
  CHECK(message.substr(0, start.size()) == start);
  return message.substr(start.size());
}

}  // namespace

TEST_CASE("save writes the bytes of the format, wide elements first and aligned", "[io][safetensors]") {
  mixed_module module;
  module.up << 1, 2, 3, 4, 5, 6;
  const test_path file;
  hg::save(module, file.path);
  std::string header = R"({"scale":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},)"
                       R"("ffn.up":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},)"
                       R"("ffn.bias":{"dtype":"F32","shape":[1,1],"data_offsets":[40,44]}})";
  while (header.size() % 8 != 0) header += ' ';
  std::string data;
  for (int i = 0; i < 2; ++i) data += little_endian(std::bit_cast<std::uint64_t>(8.0), 8);
  for (const float value : {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 9.0f}) data += f32(value);
  CHECK(file.content() == file_of(header, data));
}

TEST_CASE("load takes values from a file that another program wrote, in any order", "[io][safetensors]") {
  const test_path file(file_of(
      R"({"ffn.bias":{"shape":[1,1],"dtype":"F32","data_offsets":[0,4]},)"
      R"("__metadata__":{"format":"pt"},)"
      R"("ffn.up":{"dtype":"F32","data_offsets":[4,28],"shape":[2,3]},)"
      R"("scale":{"dtype":"F32","shape":[1,2],"data_offsets":[28,36]}} )",
      f32(-1.0f) + f32(1.0f) + f32(2.0f) + f32(3.0f) + f32(4.0f) + f32(5.0f) + f32(6.0f) + f32(0.1f) + f32(0.2f)));
  mixed_module module;
  const float* const place = module.up.data();
  hg::load(module, file.path);
  CHECK(module.up.data() == place);  // values change, memory does not
  hg::matrix<float> up(2, 3);
  up << 1, 2, 3, 4, 5, 6;
  CHECK(module.up == up);
  CHECK(module.bias(0, 0) == -1.0f);
  CHECK(module.scale(0, 1) == static_cast<double>(0.2f));  // F32 into double: widened
}

TEST_CASE("Every bit survives save and load", "[io][safetensors]") {
  named_module<float> floats{{{"gr\xc3\xb6\xc3\x9f"
                               "e \"\\\n",
                               hg::matrix<float>(3, 3)},
                              {"none", hg::matrix<float>(0, 4)}}};
  floats.tensors[0].second << std::bit_cast<float>(0x7fc12345u), std::bit_cast<float>(0xffa00001u), -0.0f, 0.0f,
      std::numeric_limits<float>::denorm_min(), -std::numeric_limits<float>::infinity(),
      std::numeric_limits<float>::max(), 0.1f, std::numeric_limits<float>::min();
  named_module<double> doubles{{{"x", hg::matrix<double>(1, 4)}}};
  doubles.tensors[0].second << std::bit_cast<double>(0x7ff4000000abcdefull), -0.0,
      std::numeric_limits<double>::denorm_min(), 0.1;

  const auto survives = [](const auto& module) {
    const test_path file;
    hg::save(module, file.path);
    auto copy = module;
    for (auto& [name, m] : copy.tensors) m.setConstant(1);
    hg::load(copy, file.path);
    for (std::size_t i = 0; i < module.tensors.size(); ++i)
      if (!same_bits(copy.tensors[i].second, module.tensors[i].second)) return false;
    return true;
  };
  CHECK(survives(floats));
  CHECK(survives(doubles));
  CHECK(survives(named_module<float>{}));
}

TEST_CASE("Weights are saved and loaded like matrices, and where they lie", "[io][safetensors]") {
  weights_module module, borrowing;
  const test_path file;
  hg::save(module, file.path);
  std::vector<float> memory(6, 1.0f);
  borrowing.w = hg::weights<float>::borrow(memory.data(), 2, 3);
  hg::load(borrowing, file.path);
  CHECK(memory == std::vector<float>(6, 7.0f));
  CHECK_FALSE(borrowing.w.owns());
  hg::save(borrowing, file.path);
  module.w.setZero();
  hg::load(module, file.path);
  CHECK(module.w == borrowing.w);
}

TEST_CASE("Saving again replaces the file", "[io][safetensors]") {
  const test_path file;
  pair_module module;
  hg::save(module, file.path);
  module.tensors[0].second.setZero();
  hg::save(module, file.path);
  pair_module loaded;
  hg::load(loaded, file.path);
  CHECK(loaded.tensors[0].second.isZero(0.0f));
}

TEST_CASE("load refuses a file whose tensors are not the module's, with both shapes, and changes nothing",
          "[io][safetensors]") {
  const std::string two = f32(1) + f32(2), four = two + two;
  CHECK(refusal(file_of("{" + pair_at("a", 0) + "}", two)) == "has no tensor 'b', expected one of shape [1, 2]");
  CHECK(refusal(file_of("{" + pair_at("a", 0) + "," + pair_at("b", 8) + "," + pair_at("c", 16) + "}", four + two)) ==
        "has a tensor 'c' of shape [1, 2], which the module does not have");
  const std::string a = "{" + pair_at("a", 0) + ",";
  CHECK(refusal(file_of(a + R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}})", four)) ==
        "tensor 'b' has shape [2, 1], expected [1, 2]");
  CHECK(refusal(file_of(a + R"("b":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]}})", four + two)) ==
        "tensor 'b' has shape [2, 2], expected [1, 2]");
  CHECK(refusal(file_of(a + R"("b":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}})", two + f32(3))) ==
        "tensor 'b' has shape [1, 1], expected [1, 2]");
  CHECK(refusal(file_of(a + R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", four)) ==
        "tensor 'b' has shape [2], expected [1, 2]");
  CHECK(refusal(file_of(a + R"("b":{"dtype":"F32","shape":[1,1,2],"data_offsets":[8,16]}})", four)) ==
        "tensor 'b' has shape [1, 1, 2], expected [1, 2]");
  CHECK(refusal(file_of(a + R"("b":{"dtype":"F64","shape":[1,2],"data_offsets":[8,24]}})", four + two)) ==
        "tensor 'b' is F64, expected F32 or a narrower float");
  CHECK(refusal(file_of(a + R"("b":{"dtype":"I32","shape":[1,2],"data_offsets":[8,16]}})", four)) ==
        "tensor 'b' is I32, expected F32 or a narrower float");
}

TEST_CASE("load refuses a damaged file and changes nothing", "[io][safetensors]") {
  const std::string header = "{" + pair_at("a", 0) + "," + pair_at("b", 8) + "}";
  const std::string whole = file_of(header, f32(1) + f32(2) + f32(3) + f32(4));
  CHECK(refusal(whole.substr(0, 5)) == "has 5 bytes, a safetensors file has at least 8");
  CHECK_THAT(refusal(whole.substr(0, 20)), contains("the header's length is "));
  CHECK(refusal(whole.substr(0, whole.size() - 1)) == "tensor 'b' has data_offsets [8, 16], the data has 15 bytes");
  CHECK(refusal(whole + "x") == "the tensors end at byte 16 of 17 bytes of data");
  CHECK_THAT(refusal(little_endian(std::uint64_t{1} << 62, 8) + header), contains("at most 100000000 are allowed"));
  CHECK_THAT(refusal(file_of("{" + pair_at("a", 0) + "," + pair_at("b", 4) + "}", f32(1) + f32(2) + f32(3))),
             contains("inside the tensor that ends at 8"));
  CHECK_THAT(refusal(file_of("{" + pair_at("a", 0) + "," + pair_at("a", 8) + "}", f32(1) + f32(2) + f32(3) + f32(4))),
             contains("the header names 'a' twice"));
  // A shape of 2^61 floats over 8 bytes of data: refused by arithmetic, not by running out of memory.
  CHECK_THAT(refusal(file_of(R"({"a":{"dtype":"F32","shape":[1073741824,1073741824],"data_offsets":[0,8]}})",
                             f32(1) + f32(2))),
             contains("has 8 bytes, F32 of shape [1073741824, 1073741824] has 4611686018427387904"));
}

TEST_CASE("load widens 16-bit floats into float", "[io][safetensors]") {
  const test_path file(file_of(R"({"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},)"
                               R"("b":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]}})",
                               little_endian(0xc1003c00, 4) + little_endian(0xc0203f80, 4)));
  pair_module module;
  hg::load(module, file.path);
  for (const auto& [name, m] : module.tensors) {
    CHECK(m(0, 0) == 1.0f);
    CHECK(m(0, 1) == -2.5f);
  }
}

TEST_CASE("save refuses names that the format cannot hold and leaves the old file", "[io][safetensors]") {
  const test_path file("old");
  const auto save_named = [&](const char* one, const char* two) {
    hg::save(named_module<float>{{{one, hg::matrix<float>(1, 1)}, {two, hg::matrix<float>(1, 1)}}}, file.path);
  };
  CHECK_THROWS_WITH(save_named("a", "a"), contains("the tensor name 'a' is taken"));
  CHECK_THROWS_WITH(save_named("a", "__metadata__"), contains("the tensor name '__metadata__' is taken"));
  CHECK_THROWS_WITH(save_named("a", "\xff"), contains("is not UTF-8"));
  CHECK_THROWS_WITH(hg::save(mixed_module{}, "/no/such/folder/file"),
                    contains("/no/such/folder/file: cannot be written: "));
  CHECK(file.content() == "old");
}
