// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/checkpoint_index.hpp>

#include "support/catch.hpp"

#include <string>

namespace hg = headgate;
using headgate_test::contains;

namespace {

hg::checkpoint_index parse(const std::string& text) { return hg::parse_checkpoint_index("i", text); }

/// An index of one tensor 'a' in this file, which is given as JSON.
std::string in(const std::string& file) { return R"({"weight_map":{"a":)" + file + "}}"; }

}  // namespace

TEST_CASE("An index tells the file of each tensor, sorted by name", "[io][checkpoint_index]") {
  const auto index = parse(R"({"metadata":{"total_size":12},"weight_map":{"b":"two","a.x":"one","a":"two"}} )");
  REQUIRE(index.tensors.size() == 3);
  CHECK(index.files == std::vector<std::string>{"two", "one"});
  CHECK(index.tensors[0].name == "a");
  CHECK(index.tensors[0].file == 0);
  CHECK(index.tensors[1].name == "a.x");
  CHECK(index.tensors[1].file == 1);
  CHECK(index.tensors[2].name == "b");
  CHECK(index.tensors[2].file == 0);
  CHECK(parse(R"({"weight_map":{}})").tensors.empty());
}

TEST_CASE("Metadata and unknown keys are passed over, whatever they hold", "[io][checkpoint_index]") {
  const std::string inner = R"({"a":[1,-2,3.5,{"b":null,"weight_map":{"x":1}},[]],"c":true,"d":"t","weight_map":{}})";
  const auto index = parse("{\"metadata\":" + inner + R"(,"weight_map":{"a":"f"},"more":)" + inner +
                           R"(,"list":[{}],"n":1,"f":1.5,"i":-1,"z":null,"t":"","b":false})");
  REQUIRE(index.tensors.size() == 1);
  CHECK(index.tensors[0].name == "a");
  CHECK(index.files == std::vector<std::string>{"f"});
}

TEST_CASE("An index that is not the JSON of the format is refused", "[io][checkpoint_index]") {
  for (const char* text : {"", " {}", "[]", "null"})
    CHECK_THROWS_WITH(parse(text), "i: the index does not begin with '{'");
  for (const char* text : {"{", "{}x", "{\"a\"}", "{'a':1}", "{}{}", "{\"metadata\":{]}"})
    CHECK_THROWS_WITH(parse(text), contains("i: the index is not JSON at its byte "));
  CHECK_THROWS_WITH(parse(std::string("{}\0{", 4)), "i: the index is not JSON at its byte 3: a zero");
  CHECK_THROWS_WITH(parse("{}"), "i: the index has no weight_map");
  CHECK_THROWS_WITH(parse(R"({"metadata":{"weight_map":{}}})"), "i: the index has no weight_map");
  CHECK_THROWS_WITH(parse(R"({"weight_map":{},"weight_map":{}})"), "i: the index has a weight_map twice");
  CHECK_THROWS_WITH(parse(R"({"weight_map":[]})"), "i: the index has an array at 'weight_map', expected an object");
  CHECK_THROWS_WITH(parse(R"({"weight_map":"x"})"), "i: the index has a text at 'weight_map', expected an object");
  CHECK_THROWS_WITH(parse(R"({"weight_map":{"a":"f","b":"f","a":"g"}})"), "i: weight_map names 'a' twice");
  CHECK_THROWS_WITH(parse(in("1")), "i: weight_map has a number at 'a', expected a file name");
  CHECK_THROWS_WITH(parse(in("-1.5")), "i: weight_map has a number at 'a', expected a file name");
  CHECK_THROWS_WITH(parse(in("null")), "i: weight_map has null at 'a', expected a file name");
  CHECK_THROWS_WITH(parse(in("true")), "i: weight_map has a boolean at 'a', expected a file name");
  CHECK_THROWS_WITH(parse(in("{}")), "i: weight_map has an object at 'a', expected a file name");
  CHECK_THROWS_WITH(parse(in("[\"f\"]")), "i: weight_map has an array at 'a', expected a file name");
}

TEST_CASE("File names that may lead out of the folder are refused", "[io][checkpoint_index]") {
  CHECK_THROWS_WITH(parse(in(R"("../f")")),
                    "i: the tensor 'a' is in '../f', which is no name of a file in the same folder");
  for (const char* name :
       {"", ".", "..", "/f", "/etc/passwd", "d/f", "f/", "\\\\f", "d\\\\f", "C:f", "f\\u0000x", "f\\n"})
    CHECK_THROWS_WITH(parse(in("\"" + std::string(name) + "\"")), contains("which is no name of a file"));
  for (const char* name : {"...", "f..g", ".f",
                           "gr\xc3\xb6\xc3\x9f"
                           "e",
                           "a b"})
    CHECK(parse(in("\"" + std::string(name) + "\"")).files.at(0) == name);
}

TEST_CASE("An index that is large or a bomb does no harm", "[io][checkpoint_index]") {
  std::string text = R"({"weight_map":{)", names = text;
  for (int i = 0; i < 100'000; ++i) {
    const std::string number = std::to_string(i);
    text += (i == 0 ? "\"t" : ",\"t") + number + "\":\"f" + number + "\"";  // a file for each
  }
  const auto index = parse(text + "}}");
  CHECK(index.tensors.size() == 100'000);
  CHECK(index.files.size() == 100'000);
  CHECK(index.files[index.tensors[12'345].file] == "f" + index.tensors[12'345].name.substr(1));

  const std::string deep(1'000'000, '[');
  CHECK_THROWS_WITH(parse("{\"metadata\":" + deep), contains("is not JSON"));
  CHECK(parse("{\"metadata\":" + deep + std::string(1'000'000, ']') + R"(,"weight_map":{}})").tensors.empty());
  CHECK_THROWS_WITH(parse(in(deep)), contains("has an array at 'a'"));
  CHECK_THROWS_WITH(parse(in("\"/" + std::string(100'000, 'n') + "\"")), contains(" ..."));
}
