// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/safetensors_file.hpp>
#include <headgate/io/safetensors_writer.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

namespace hg = headgate;
namespace fs = std::filesystem;
using headgate_test::contains;

namespace {

/// A path that is gone at the end of the test, at first with a file that says "old".
struct test_path {
  fs::path path = headgate_test::own_path("headgate_safetensors_writer_test");

  test_path() { std::ofstream(path, std::ios::binary) << "old"; }
  ~test_path() { fs::remove(path); }

  std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

hg::tensor_outline outline(const std::string& name, hg::dtype type, const std::vector<hg::index>& shape) {
  hg::tensor_outline one{name, type, {}};
  for (const hg::index size : shape) one.shape.push_back(size);
  return one;
}

/// Tensors of all widths and ranks; the bytes of number i are all 'a' + i.
const std::vector<hg::tensor_outline> mixed{
    outline("bytes", hg::dtype::f8_e4m3, {2, 1, 3}), outline("half", hg::dtype::bf16, {3}),
    outline("scalar", hg::dtype::f64, {}), outline("none", hg::dtype::f32, {0, 4}),
    outline("long", hg::dtype::i64, {1, 1, 1, 1})};

const auto letters = [](hg::index i, const auto& put) {
  const hg::tensor_outline& one = mixed[static_cast<std::size_t>(i)];
  const std::string letter(1, static_cast<char>('a' + i));
  for (hg::index b = 0; b < hg::bytes_of(one.type, one.shape); ++b) put(letter.data(), 1);
};

}  // namespace

TEST_CASE("A writer puts wide elements first and keeps the order otherwise", "[io][safetensors_writer]") {
  const test_path file;
  hg::write_safetensors(file.path, mixed, letters);
  std::string header = R"({"scalar":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                       R"("long":{"dtype":"I64","shape":[1,1,1,1],"data_offsets":[8,16]},)"
                       R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[16,16]},)"
                       R"("half":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},)"
                       R"("bytes":{"dtype":"F8_E4M3","shape":[2,1,3],"data_offsets":[22,28]}})";
  while (header.size() % 8 != 0) header += ' ';
  std::string expected;
  for (int i = 0; i < 8; ++i) expected += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  CHECK(file.content() == expected + header + "cccccccceeeeeeeebbbbbbaaaaaa");
}

TEST_CASE("What a writer writes, metadata too, is read back", "[io][safetensors_writer]") {
  const test_path file;
  hg::write_safetensors(file.path, mixed, letters, {{"format", "pt"}, {"who \"\\", "gr\xc3\xb6\xc3\x9f"}});
  const hg::safetensors_file read(file.path);
  CHECK(read.metadata().size() == 2);
  CHECK(read.metadata().at("format") == "pt");
  CHECK(read.metadata().at("who \"\\") == "gr\xc3\xb6\xc3\x9f");
  REQUIRE(read.tensors().size() == mixed.size());
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    const hg::tensor_description* const tensor = read.find(mixed[i].name);
    REQUIRE(tensor != nullptr);
    CHECK(tensor->type == mixed[i].type);
    CHECK(hg::shape_text(tensor->shape) == hg::shape_text(mixed[i].shape));
    for (const std::byte b : read.bytes(*tensor)) CHECK(b == static_cast<std::byte>('a' + i));
  }
  hg::write_safetensors(file.path, {}, letters);
  CHECK(hg::safetensors_file(file.path).tensors().empty());
  hg::write_safetensors(file.path, {}, letters, {{"k", "v"}});
  CHECK(hg::safetensors_file(file.path).metadata().at("k") == "v");
}

TEST_CASE("A writer that gets too many bytes or too few leaves the old file", "[io][safetensors_writer]") {
  const test_path file;
  const std::vector<hg::tensor_outline> two{outline("a", hg::dtype::u8, {3}), outline("b", hg::dtype::u8, {2})};
  const auto write = [&](std::size_t of_a, std::size_t of_b) {
    hg::write_safetensors(file.path, two, [&](hg::index i, const auto& put) { put("xxxxxx", i == 0 ? of_a : of_b); });
  };
  CHECK_THROWS_WITH(write(4, 2), contains("tensor 'a' gets 4 bytes, U8 of shape [3] has 3"));
  CHECK_THROWS_WITH(write(4, 1), contains("tensor 'a' gets 4 bytes"));  // as many in all, but not in their places
  CHECK_THROWS_WITH(write(3, 1), contains("tensor 'b' gets 1 bytes, U8 of shape [2] has 2"));
  CHECK_THROWS_WITH(write(3, 6), contains("tensor 'b' gets 6 bytes"));
  {
    hg::safetensors_writer by_hand(file.path, two);
    by_hand.write("xxxx", 4);
    CHECK_THROWS_WITH(by_hand.write("xx", 2), contains("gets 6 bytes of data, the tensors have 5"));
    CHECK_THROWS_WITH(by_hand.commit(), contains("got 4 bytes of data, the tensors have 5"));
    CHECK(file.content() == "old");
    by_hand.write("x", 1);
    by_hand.commit();
  }
  CHECK(hg::safetensors_file(file.path).tensors().size() == 2);
}

TEST_CASE("A writer refuses names, texts and shapes that no file holds", "[io][safetensors_writer]") {
  const test_path file;
  const auto write = [&](const std::vector<hg::tensor_outline>& tensors,
                         const std::map<std::string, std::string>& metadata = {}) {
    hg::safetensors_writer writer(file.path, tensors, metadata);
  };
  const hg::tensor_outline a = outline("a", hg::dtype::u8, {1});
  CHECK_THROWS_WITH(write({a, outline("a", hg::dtype::f64, {1})}), contains("the tensor name 'a' is taken"));
  CHECK_THROWS_WITH(write({outline("__metadata__", hg::dtype::u8, {})}), contains("name '__metadata__' is taken"));
  CHECK_THROWS_WITH(write({outline("\xff", hg::dtype::u8, {})}), contains("the tensor name '\xff' is not UTF-8"));
  CHECK_THROWS_WITH(write({a}, {{"\xff", ""}}), contains("the metadata key '\xff' is not UTF-8"));
  CHECK_THROWS_WITH(write({a}, {{"", "\xff"}}), contains("the metadata text '\xff' is not UTF-8"));
  const hg::index most = std::numeric_limits<hg::index>::max();
  CHECK_THROWS_WITH(write({outline("b", hg::dtype::u8, {-1})}), contains("tensor 'b' has shape [-1], which no file"));
  CHECK_THROWS_WITH(write({outline("b", hg::dtype::f32, {most / 2, 1})}), contains("which no file can hold"));
  CHECK_THROWS_WITH(write({a, outline("b", hg::dtype::u8, {most})}), contains("tensor 'b' has shape ["));
  CHECK_THROWS_WITH(hg::safetensors_writer("/no/such/folder/file", {}), contains("cannot be written: "));
  CHECK(file.content() == "old");
}
