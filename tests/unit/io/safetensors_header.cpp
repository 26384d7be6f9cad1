// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/safetensors_header.hpp>

#include "support/catch.hpp"

#include <initializer_list>
#include <string>

namespace hg = headgate;
using headgate_test::contains;

namespace {

hg::safetensors_header parse(const std::string& text, hg::index data_bytes) {
  return hg::parse_safetensors_header("f", text, data_bytes);
}

/// A header of one tensor 'a' with these fields.
std::string one(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }

}  // namespace

TEST_CASE("A header's tensors come in the order of their data, with all they are described by",
          "[io][safetensors_header]") {
  const auto header = parse(
      R"({"late":{"dtype":"BF16","shape":[2,3],"data_offsets":[9,21]}, "__metadata__":{"format":"pt","who":"me"},)"
      R"( "early":{"data_offsets":[0,8],"shape":[],"dtype":"F64"}, "none":{"dtype":"F32","shape":[0,5],)"
      R"("data_offsets":[8,8]},"flag":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]}}   )",
      21);
  REQUIRE(header.tensors.size() == 4);
  CHECK(header.tensors[0].name == "early");
  CHECK(header.tensors[0].type == hg::dtype::f64);
  CHECK(header.tensors[0].shape.empty());
  CHECK(header.tensors[0].size() == 1);
  CHECK(header.tensors[1].name == "none");
  CHECK(header.tensors[1].size() == 0);
  CHECK(header.tensors[2].name == "flag");
  CHECK(header.tensors[3].name == "late");
  CHECK(hg::shape_text(header.tensors[3].shape) == "[2, 3]");
  CHECK(header.tensors[3].begin == 9);
  CHECK(header.tensors[3].end == 21);
  CHECK(header.tensors[3].size() == 6);
  CHECK(header.metadata.at("format") == "pt");
  CHECK(header.metadata.at("who") == "me");
}

TEST_CASE("A header may be without tensors, and names may be any UTF-8", "[io][safetensors_header]") {
  CHECK(parse("{}", 0).tensors.empty());
  CHECK(parse("{\"__metadata__\":{}}", 0).tensors.empty());
  const auto header =
      parse("{\"gr\xc3\xb6\\u00dfe \\\"x\\\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
  CHECK(header.tensors.at(0).name ==
        "gr\xc3\xb6\xc3\x9f"
        "e \"x\"");
}

TEST_CASE("A header that is not the JSON of the format is refused", "[io][safetensors_header]") {
  for (const char* text : {"", " {}", "[]", "null", "\xef\xbb\xbf{}"})
    CHECK_THROWS_WITH(parse(text, 0), "f: the header does not begin with '{'");
  for (const char* text : {"{", "{}x", "{\"a\"}", "{\"a\":}", "{'a':1}", "{}{}", "{\"a\":{\"dtype\":\"F32\",}}"})
    CHECK_THROWS_WITH(parse(text, 0), contains("f: the header is not JSON at its byte "));
  CHECK_THROWS_WITH(parse(std::string("{}\0{", 4), 0), "f: the header is not JSON at its byte 3: a zero");
  CHECK_THROWS_WITH(parse("{\"\xff\xfe\":1}", 0), contains("ill-formed UTF-8"));
  CHECK_THROWS_WITH(parse("{\"a\":3}", 0), "f: the header has the number 3 at 'a', expected an object");
  CHECK_THROWS_WITH(parse("{\"a\":[]}", 0), "f: the header has an array at 'a', expected an object");
  CHECK_THROWS_WITH(parse("{\"a\":null}", 0), "f: the header has null at 'a', expected an object");
}

TEST_CASE("Metadata that are not texts are refused", "[io][safetensors_header]") {
  CHECK_THROWS_WITH(parse("{\"__metadata__\":{\"n\":1}}", 0),
                    "f: __metadata__ has the number 1 at 'n', expected a text");
  CHECK_THROWS_WITH(parse("{\"__metadata__\":{\"n\":{}}}", 0), "f: __metadata__ has an object at 'n', expected a text");
  CHECK_THROWS_WITH(parse("{\"__metadata__\":{\"n\":\"\",\"n\":\"\"}}", 0), "f: __metadata__ has the key 'n' twice");
  CHECK_THROWS_WITH(parse("{\"__metadata__\":\"x\"}", 0),
                    "f: the header has a text at '__metadata__', expected an object");
}

TEST_CASE("A tensor with missing, unknown or repeated keys is refused", "[io][safetensors_header]") {
  CHECK_THROWS_WITH(parse(one(R"("shape":[1],"data_offsets":[0,4])"), 4), "f: tensor 'a' has no dtype");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","data_offsets":[0,4])"), 4), "f: tensor 'a' has no shape");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1])"), 4), "f: tensor 'a' has no data_offsets");
  CHECK_THROWS_WITH(parse(R"({"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}})", 0),
                    "f: tensor 'a' has no dtype");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":2)"), 4),
                    "f: tensor 'a' has the key 'scale', known are dtype, shape and data_offsets");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4])"), 4),
                    "f: tensor 'a' has the key 'shape' twice");
  CHECK_THROWS_WITH(parse(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                          R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                          0),
                    "f: the header names 'a' twice");
}

TEST_CASE("A tensor whose dtype, shape or offsets are not what they must be is refused", "[io][safetensors_header]") {
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F33","shape":[1],"data_offsets":[0,4])"), 4),
                    "f: tensor 'a' has the unknown dtype 'F33'");
  CHECK_THROWS_WITH(parse(one(R"("dtype":32,"shape":[1],"data_offsets":[0,4])"), 4),
                    "f: tensor 'a' has the number 32 in dtype, expected a text");
  CHECK_THROWS_WITH(parse(one(R"("dtype":["F32"])"), 4), "f: tensor 'a' has an array in dtype, expected a text");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":4)"), 4),
                    "f: tensor 'a' has the number 4 in shape, expected an array of sizes");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[-1])"), 4),
                    "f: tensor 'a' has the number -1 in shape, expected an array of sizes");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1.0])"), 4),
                    "f: tensor 'a' has the number 1.0 in shape, expected an array of sizes");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[true])"), 4), contains("has a boolean in shape"));
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":["1"])"), 4), contains("has a text in shape"));
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[[1]])"), 4), contains("has an array in shape"));
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":{"x":1})"), 4), contains("has an object in shape"));
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4),
                    "f: tensor 'a' has 1 data_offsets, expected 2");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), 4),
                    "f: tensor 'a' has 3 data_offsets, expected 2");
}

TEST_CASE("Numbers that would overflow are refused", "[io][safetensors_header]") {
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4])"), 4),
                    "f: tensor 'a' has the number 9223372036854775808 in shape, more than any file holds");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4])"), 4),
                    contains("has the number 99999999999999999999 in shape"));
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"), 4),
                    contains("has shape [4611686018427387905], more than any file holds"));  // times 4 is 4 modulo 2^64
  CHECK_THROWS_WITH(parse(one(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
                    contains("more than any file holds"));
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,0])"), 4),
                    contains("in data_offsets, more than any file holds"));
}

TEST_CASE("Data ranges that are no exact cover of the data are refused", "[io][safetensors_header]") {
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 4),
                    "f: tensor 'a' has data_offsets [0, 8], the data has 4 bytes");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4),
                    "f: tensor 'a' has data_offsets [4, 0], the data has 4 bytes");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1,3],"data_offsets":[0,8])"), 8),
                    "f: tensor 'a' has 8 bytes, F32 of shape [1, 3] has 12");
  CHECK_THROWS_WITH(parse(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 6),
                    "f: the tensors end at byte 4 of 6 bytes of data");
  CHECK_THROWS_WITH(parse("{}", 1), "f: the tensors end at byte 0 of 1 bytes of data");
  const std::string a = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)";
  CHECK_THROWS_WITH(parse(a + R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6),
                    "f: tensor 'b' begins at byte 2 of the data, inside the tensor that ends at 4");
  CHECK_THROWS_WITH(parse(a + R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4),
                    "f: tensor 'b' begins at byte 0 of the data, inside the tensor that ends at 4");
  CHECK_THROWS_WITH(parse(a + R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})", 4),
                    contains("inside the tensor"));
  CHECK_THROWS_WITH(parse(a + R"("b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})", 6),
                    "f: tensor 'b' begins at byte 5 of the data, behind a hole after the tensor that ends at 4");
}

TEST_CASE("A header that is a bomb is refused without harm", "[io][safetensors_header]") {
  const std::string many(1'000'000, '[');
  CHECK_THROWS_WITH(parse("{\"a\":" + many, 0), contains("has an array at 'a'"));
  CHECK_THROWS_WITH(parse(one("\"shape\":" + many), 0), contains("has an array in shape"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK_THROWS_WITH(parse(objects, 0), contains("has the key 'a', known are"));
  std::string ones = "[1";
  for (int i = 0; i < 100; ++i) ones += ",1";
  CHECK_THROWS_WITH(parse(one("\"shape\":" + ones), 0), "f: tensor 'a' has more than 64 dimensions");
  CHECK_THROWS_WITH(parse("{\"" + std::string(100'000, 'n') + "\":0}", 0), contains(" ..."));
}

TEST_CASE("The bytes of a tensor are those of its elements, or more than any file holds", "[io][safetensors_header]") {
  const auto shape = [](std::initializer_list<hg::index> sizes) {
    hg::array<hg::index> all;
    for (const hg::index size : sizes) all.push_back(size);
    return all;
  };
  CHECK(hg::bytes_of(hg::dtype::f64, shape({})) == 8);
  CHECK(hg::bytes_of(hg::dtype::bf16, shape({3, 5, 2})) == 60);
  CHECK(hg::bytes_of(hg::dtype::f32, shape({0, 5})) == 0);
  CHECK(hg::bytes_of(hg::dtype::u8, shape({-1})) == -1);
  CHECK(hg::bytes_of(hg::dtype::u8, shape({hg::index{1} << 32, hg::index{1} << 31})) == -1);
  CHECK(hg::bytes_of(hg::dtype::f32, shape({hg::index{1} << 61})) == -1);
}
