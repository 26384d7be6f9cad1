// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/safetensors_file.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

namespace {

/// A file of the test, gone at its end. Bytes are put together by hand here, independently of the library's writer.
struct test_file {
  std::filesystem::path path = headgate_test::own_path("headgate_safetensors_file_test.safetensors");

  test_file(const std::string& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  ~test_file() { std::filesystem::remove(path); }
};

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
  return text;
}

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

void open(const std::string& bytes) { hg::safetensors_file file(test_file(bytes).path); }

}  // namespace

TEST_CASE("A file's tensors are listed and found by name", "[io][safetensors_file]") {
  const test_file on_disk(file_of(R"({"b":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"__metadata__":{"k":"v"},)"
                                  R"("a":{"dtype":"I8","shape":[1],"data_offsets":[2,3]}})",
                                  "xyz"));
  hg::safetensors_file file(on_disk.path);
  REQUIRE(file.tensors().size() == 2);
  CHECK(file.tensors()[0].name == "b");
  CHECK(file.find("a") == &file.tensors()[1]);
  CHECK(file.find("b") == &file.tensors()[0]);
  CHECK(file.find("c") == nullptr);
  CHECK(file.find("") == nullptr);
  CHECK(file.find("__metadata__") == nullptr);
  CHECK(file.metadata().at("k") == "v");
  char bytes[2];
  file.read_raw(*file.find("a"), bytes);
  CHECK(bytes[0] == 'z');
  file.read_raw(*file.find("b"), bytes);
  CHECK(std::string(bytes, 2) == "xy");
}

TEST_CASE("Elements are read as they are or widened exactly", "[io][safetensors_file]") {
  // 1, -2.5, smallest denormal, -0 in each type
  std::string data;
  for (const std::uint64_t bits : {0x3ff0000000000000ull, 0xc004000000000000ull, 0x1ull, 0x8000000000000000ull})
    data += little_endian(bits, 8);
  for (const std::uint64_t bits : {0x3f800000u, 0xc0200000u, 0x1u, 0x80000000u}) data += little_endian(bits, 4);
  for (const std::uint64_t bits : {0x3c00u, 0xc100u, 0x1u, 0x8000u}) data += little_endian(bits, 2);
  for (const std::uint64_t bits : {0x3f80u, 0xc020u, 0x1u, 0x8000u}) data += little_endian(bits, 2);
  data += little_endian(7, 4);
  const test_file on_disk(file_of(R"({"f64":{"dtype":"F64","shape":[4],"data_offsets":[0,32]},)"
                                  R"("f32":{"dtype":"F32","shape":[2,2],"data_offsets":[32,48]},)"
                                  R"("f16":{"dtype":"F16","shape":[4],"data_offsets":[48,56]},)"
                                  R"("bf16":{"dtype":"BF16","shape":[4],"data_offsets":[56,64]},)"
                                  R"("i32":{"dtype":"I32","shape":[],"data_offsets":[64,68]}})",
                                  data));
  hg::safetensors_file file(on_disk.path);
  const auto check = [&]<class T>(const char* name, T smallest) {
    T values[4];
    file.read(*file.find(name), values);
    CAPTURE(name);
    CHECK(values[0] == T(1));
    CHECK(values[1] == T(-2.5));
    CHECK(values[2] == smallest);
    CHECK((values[3] == T(0) && std::signbit(values[3])));
  };
  check("f64", std::numeric_limits<double>::denorm_min());
  check("f32", std::numeric_limits<float>::denorm_min());
  check("f32", static_cast<double>(std::numeric_limits<float>::denorm_min()));
  check("f16", std::ldexp(1.0f, -24));
  check("f16", std::ldexp(1.0, -24));
  check("bf16", std::ldexp(1.0f, -133));
  check("bf16", std::ldexp(1.0, -133));

  float narrow[4];
  CHECK_THROWS_WITH(file.read(*file.find("f64"), narrow),
                    contains("tensor 'f64' is F64, expected F32 or a narrower float"));
  CHECK_THROWS_WITH(file.read(*file.find("i32"), narrow), contains("tensor 'i32' is I32, expected F32"));
}

TEST_CASE("A file of 10^5 tensors is opened, and each is found and read", "[io][safetensors_file]") {
  const int count = 100'000;
  std::string header = "{", data;
  for (int i = count - 1; i >= 0; --i) {  // in the order of no name and no place
    header += (header.size() == 1 ? "\"t" : ",\"t") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + "," + std::to_string(i + 1) +
              "]}";
    data += static_cast<char>((count - 1 - i) % 251);
  }
  const test_file on_disk(file_of(header + "}", data));
  hg::safetensors_file file(on_disk.path);
  REQUIRE(file.tensors().size() == static_cast<std::size_t>(count));
  int wrong = 0;
  for (int i = 0; i < count; i += 97) {
    const hg::tensor_description* const tensor = file.find("t" + std::to_string(i));
    REQUIRE(tensor != nullptr);
    char byte = 0;
    file.read_raw(*tensor, &byte);
    if (byte != static_cast<char>(i % 251)) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(file.find("t100000") == nullptr);
  CHECK_THROWS_WITH(open(file_of(header + R"(,"t7":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", data)),
                    contains("the header names 't7' twice"));
  CHECK_THROWS_WITH(open(file_of(header + R"(,"x":{"dtype":"U8","shape":[2],"data_offsets":[5000,5002]}})", data)),
                    contains("of the data, inside the tensor that ends at 500"));
}

TEST_CASE("Widening reads tensors longer than its buffer", "[io][safetensors_file]") {
  const int count = 10001;
  std::string data;
  for (int i = 0; i < count; ++i) data += little_endian(static_cast<std::uint64_t>(0x3f80 + i % 100), 2);
  const test_file on_disk(file_of(R"({"a":{"dtype":"BF16","shape":[10001],"data_offsets":[0,20002]}})", data));
  hg::safetensors_file file(on_disk.path);
  std::vector<float> values(count);
  file.read(file.tensors()[0], values.data());
  int wrong = 0;
  for (int i = 0; i < count; ++i)
    if (values[static_cast<std::size_t>(i)] != 1.0f + static_cast<float>(i % 100) / 128.0f) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("A file that is missing, too short or lies about its header is refused", "[io][safetensors_file]") {
  const std::string whole = file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234");
  CHECK_NOTHROW(open(whole));
  CHECK_THROWS_WITH(hg::safetensors_file("/no/such/file.safetensors"),
                    "/no/such/file.safetensors: is not a file that can be read");
  CHECK_THROWS_WITH(hg::safetensors_file(std::filesystem::temp_directory_path()),
                    contains("is not a file that can be read"));
  CHECK_THROWS_WITH(open(""), contains("has 0 bytes, a safetensors file has at least 8"));
  CHECK_THROWS_WITH(open("1234567"), contains("has 7 bytes, a safetensors file has at least 8"));
  CHECK_THROWS_WITH(open(little_endian(0, 8)), contains("the header does not begin with '{'"));
  CHECK_THROWS_WITH(open(little_endian(3, 8) + "{}"),
                    contains("the header's length is 3, the file has 2 bytes after it"));
  CHECK_THROWS_WITH(open(little_endian(100'000'001, 8) + "{}"),
                    contains("the header's length is 100000001, at most 100000000 are allowed"));
  CHECK_THROWS_WITH(open(little_endian(~std::uint64_t{0}, 8) + "{}"),
                    contains("length is 18446744073709551615, at most"));
  CHECK_THROWS_WITH(open(whole + "!"), contains("the tensors end at byte 4 of 5 bytes of data"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(open(whole.substr(0, length)), std::runtime_error);
  }
}

TEST_CASE("Every damaged byte of a header is refused or harmless", "[io][safetensors_file]") {
  const std::string whole = file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234");
  int accepted = 0;
  for (std::size_t position = 0; position < whole.size() - 4; ++position)
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string damaged = whole;
      damaged[position] = static_cast<char>(static_cast<unsigned char>(damaged[position]) ^ flip);
      const test_file on_disk(damaged);
      try {
        hg::safetensors_file file(on_disk.path);
        ++accepted;  // another name, or another type of the same size
        char bytes[4];
        for (const auto& tensor : file.tensors()) file.read_raw(tensor, bytes);
      } catch (const std::runtime_error&) {
      }
    }
  CHECK(accepted > 0);
  CHECK(accepted < 20);
}

TEST_CASE("A tensor's bytes lie where the file is mapped", "[io][safetensors_file]") {
  std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("flag":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]},)"
                       R"("odd":{"dtype":"F32","shape":[1],"data_offsets":[9,13]},)"
                       R"("none":{"dtype":"F32","shape":[0],"data_offsets":[13,13]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data =
      little_endian(0x3f800000, 4) + little_endian(0xc0200000, 4) + "\1" + little_endian(0x40400000, 4);
  const test_file on_disk(file_of(header, data));
  std::shared_ptr<const void> keeper;
  float* a = nullptr;
  {
    const hg::safetensors_file file(on_disk.path);
    CHECK(file.bytes(*file.find("a")).size() == 8);
    CHECK(file.bytes(*file.find("flag"))[0] == std::byte{1});
    CHECK(file.bytes(*file.find("none")).empty());
    a = file.elements<float>(*file.find("a"));
    REQUIRE(a != nullptr);
    CHECK(reinterpret_cast<std::byte*>(a) == file.bytes(*file.find("a")).data());
    CHECK(file.elements<double>(*file.find("a")) == nullptr);
    CHECK(file.elements<float>(*file.find("flag")) == nullptr);
    CHECK(file.elements<float>(*file.find("odd")) == nullptr);  // at an address for no float
    float odd = 0;
    double wide = 0;
    file.read(*file.find("odd"), &odd);
    CHECK(odd == 3.0f);
    file.read(*file.find("odd"), &wide);
    CHECK(wide == 3.0);
    keeper = file.keeper();
  }
  CHECK(a[1] == -2.5f);
  a[1] = 4.0f;
  hg::safetensors_file again(on_disk.path);
  CHECK(again.elements<float>(*again.find("a"))[1] == -2.5f);
}

TEST_CASE("A description that is not of this file is refused", "[io][safetensors_file]") {
  const test_file on_disk(file_of(R"({"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}})", "xyz"));
  const hg::safetensors_file file(on_disk.path);
  char bytes[8];
  for (const auto& [begin, end] : {std::pair{hg::index{0}, hg::index{4}}, {-1, 2}, {2, 1}, {4, 4}}) {
    const hg::tensor_description foreign{"b", hg::dtype::i8, {}, begin, end};
    CHECK_THROWS_WITH(file.read_raw(foreign, bytes), contains("cannot be read at byte "));
  }
}

TEST_CASE("A file of 100000 tensors is opened and searched at once", "[io][safetensors_file]") {
  std::string header = "{";
  const int count = 100'000;
  for (int i = 0; i < count; ++i)
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" +
              std::to_string(i) + "," + std::to_string(i + 1) + "]}";
  const test_file on_disk(file_of(header + "}", std::string(count, 'x')));
  const auto start = std::chrono::steady_clock::now();
  const hg::safetensors_file file(on_disk.path);
  int found = 0;
  for (int i = 0; i < count; ++i)
    if (const auto* const tensor = file.find("t" + std::to_string(i)); tensor && tensor->begin == i) ++found;
  CHECK(found == count);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));  // quadratic search would take minutes
}
