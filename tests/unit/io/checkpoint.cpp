// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/checkpoint.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hg = headgate;
namespace fs = std::filesystem;
using headgate_test::contains;

namespace {

/// The bytes of a safetensors file with these tensors of one byte each, which is the last letter of the name.
std::string file_of(const std::vector<std::string>& names) {
  std::string header = "{", data;
  for (const std::string& name : names) {
    header += (data.empty() ? "\"" : ",\"") + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" +
              std::to_string(data.size()) + "," + std::to_string(data.size() + 1) + "]}";
    data += name.back();
  }
  header += "}";
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return bytes + header + data;
}

/// A folder of the test, gone at its end.
struct test_folder {
  fs::path path;

  explicit test_folder(const std::string& name = "")
      : path(headgate_test::own_path("headgate_checkpoint_test" + name)) {
    fs::remove_all(path);
    fs::create_directory(path);
  }
  ~test_folder() { fs::remove_all(path); }

  void put(const std::string& name, const std::string& bytes) const {
    std::ofstream out(path / name, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  /// Tensors a.b, a.c and z in one file, a.a in another.
  void put_two() const {
    put("1.safetensors", file_of({"z", "a.b", "a.c"}));
    put("2.safetensors", file_of({"a.a"}));
    put("model.safetensors.index.json",
        R"({"metadata":{"total_size":4},"weight_map":{"z":"1.safetensors","a.b":"1.safetensors",)"
        R"("a.c":"1.safetensors","a.a":"2.safetensors"}})");
  }
};

char value_of(const hg::tensor_in_file& tensor) {
  REQUIRE(tensor);
  return static_cast<char>(tensor.file->bytes(*tensor.what)[0]);
}

void check_four(const hg::checkpoint& all) {
  CHECK(all.names() == std::vector<std::string>{"a.a", "a.b", "a.c", "z"});
  for (const char* name : {"a.a", "a.b", "a.c", "z"}) {
    const hg::tensor_in_file tensor = all.find(name);
    CHECK(value_of(tensor) == std::string(name).back());
    CHECK(tensor.what->name == name);
  }
  for (const char* name : {"", "a", "a.", "a.aa", "zz", "__metadata__"}) CHECK_FALSE(all.find(name));
}

}  // namespace

TEST_CASE("A checkpoint is a folder of one file or of many, an index, or a file", "[io][checkpoint]") {
  const test_folder many, one("_one");
  many.put_two();
  one.put("model.safetensors", file_of({"z", "a.b", "a.c", "a.a"}));
  check_four(hg::checkpoint(many.path));
  check_four(hg::checkpoint(many.path / "model.safetensors.index.json"));
  check_four(hg::checkpoint(one.path));
  check_four(hg::checkpoint(one.path / "model.safetensors"));
  const hg::checkpoint part(many.path / "2.safetensors");
  CHECK(part.names() == std::vector<std::string>{"a.a"});
  one.put_two();  // the single file goes first
  CHECK(hg::checkpoint(one.path).find("z").file->path() == (one.path / "model.safetensors").string());
  CHECK(part.path() == (many.path / "2.safetensors").string());
}

TEST_CASE("Tensors with a prefix come in order", "[io][checkpoint]") {
  const test_folder folder;
  folder.put_two();
  const hg::checkpoint all(folder.path);
  const auto names_with = [&](std::string_view prefix) {
    std::string names, values;
    all.for_each_with_prefix(prefix, [&](const std::string& name, const hg::tensor_in_file& tensor) {
      names += name + " ";
      values += value_of(tensor);
    });
    return names + values;
  };
  CHECK(names_with("") == "a.a a.b a.c z abcz");
  CHECK(names_with("a.") == "a.a a.b a.c abc");
  CHECK(names_with("a.b") == "a.b b");
  CHECK(names_with("b").empty());
  CHECK(names_with("zz").empty());
}

TEST_CASE("Files of a checkpoint are opened when they are needed, and once", "[io][checkpoint]") {
  const test_folder folder;
  folder.put_two();
  fs::remove(folder.path / "2.safetensors");
  const hg::checkpoint all(folder.path);
  CHECK(all.names().size() == 4);
  const hg::tensor_in_file first = all.find("a.b");
  CHECK(all.find("z").file == first.file);
  fs::remove(folder.path / "1.safetensors");
  CHECK(value_of(all.find("a.c")) == 'c');
  CHECK(all.find("a.b").what == first.what);
  CHECK_THROWS_WITH(all.find("a.a"), (folder.path / "model.safetensors.index.json").string() +
                                         ": the tensor 'a.a' is in '2.safetensors', which is not in the folder");
  folder.put("2.safetensors", file_of({"a.a"}));
  CHECK(value_of(all.find("a.a")) == 'a');  // a refusal is not remembered
}

TEST_CASE("A checkpoint that is missing, damaged or contradicts itself is refused", "[io][checkpoint]") {
  const test_folder folder;
  CHECK_THROWS_WITH(hg::checkpoint(folder.path),
                    folder.path.string() + ": has neither model.safetensors nor model.safetensors.index.json");
  CHECK_THROWS_WITH(hg::checkpoint("/no/such/folder"), "/no/such/folder: is not a file that can be read");
  CHECK_THROWS_WITH(hg::checkpoint(folder.path / "model.safetensors.index.json"),
                    contains("is not a file that can be read"));
  folder.put_two();
  folder.put("2.safetensors", file_of({"a.b"}));
  CHECK_THROWS_WITH(hg::checkpoint(folder.path).find("a.a"),
                    (folder.path / "2.safetensors").string() + ": has no tensor 'a.a', which the index puts there");
  folder.put("2.safetensors", "1234567");
  CHECK_THROWS_WITH(hg::checkpoint(folder.path).find("a.a"), contains("2.safetensors: has 7 bytes"));
  fs::remove(folder.path / "2.safetensors");
  fs::create_directory(folder.path / "2.safetensors");
  CHECK_THROWS_WITH(hg::checkpoint(folder.path).find("a.a"), contains("is not a file that can be read"));
  folder.put("model.safetensors.index.json", R"({"weight_map":{"a":"../1.safetensors"}})");
  CHECK_THROWS_WITH(hg::checkpoint(folder.path), contains("is no name of a file in the same folder"));
  folder.put("model.safetensors.index.json", "");
  CHECK_THROWS_WITH(hg::checkpoint(folder.path), contains("the index does not begin with '{'"));
  fs::resize_file(folder.path / "model.safetensors.index.json", 100'000'001);
  CHECK_THROWS_WITH(hg::checkpoint(folder.path), contains("the index has 100000001 bytes, at most 100000000"));
}

TEST_CASE("A checkpoint of 100000 tensors is opened and searched at once", "[io][checkpoint]") {
  const test_folder folder;
  const int count = 100'000;
  std::vector<std::string> names;
  std::string index = R"({"weight_map":{)";
  for (int i = 0; i < count; ++i) {
    names.push_back("layers." + std::to_string(i));
    index += (i == 0 ? "\"" : ",\"") + names.back() + R"(":"1.safetensors")";
  }
  folder.put("1.safetensors", file_of(names));
  folder.put("model.safetensors.index.json", index + "}}");
  const auto start = std::chrono::steady_clock::now();
  const hg::checkpoint all(folder.path);
  int found = 0;
  for (const std::string& name : names)
    if (all.find(name)) ++found;
  int with_prefix = 0;
  all.for_each_with_prefix("layers.9999", [&](const std::string&, const hg::tensor_in_file&) { ++with_prefix; });
  CHECK(found == count);
  CHECK(with_prefix == 11);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));  // quadratic search would take minutes
}
