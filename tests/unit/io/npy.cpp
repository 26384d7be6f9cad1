// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/npy.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <bit>
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

/// A file of the test, gone at its end. Bytes are put together by hand here, independently of the library's writer.
struct test_file {
  fs::path path = headgate_test::own_path("headgate_npy_test.npy");

  test_file() = default;
  explicit test_file(const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  ~test_file() { fs::remove(path); }

  std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
  return text;
}

std::string f32(const std::vector<float>& values) {
  std::string text;
  for (const float value : values) text += little_endian(std::bit_cast<std::uint32_t>(value), 4);
  return text;
}

/// Version 1: magic, version, length of the dictionary in two bytes, dictionary, data.
std::string file_of(const std::string& descr, const std::string& order, const std::string& shape,
                    const std::string& data) {
  const std::string dictionary =
      "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\x01\0", 8) + little_endian(dictionary.size(), 2) + dictionary + data;
}

/// Reads from memory and from a file, which must agree.
template <class T>
hg::matrix<T> read(const std::string& bytes, hg::narrowing rounding = hg::narrowing::refused) {
  const hg::matrix<T> m = hg::parse_npy<T>("f", bytes, rounding);
  const hg::matrix<T> from_file = hg::read_npy<T>(test_file(bytes).path, rounding);
  REQUIRE((m.rows() == from_file.rows() && m.cols() == from_file.cols()));
  if (m.size() > 0) CHECK(std::memcmp(m.data(), from_file.data(), sizeof(T) * static_cast<std::size_t>(m.size())) == 0);
  return m;
}

}  // namespace

TEST_CASE("A matrix is read in C and in Fortran order", "[io][npy]") {
  hg::matrix<float> expected(2, 3);
  expected << 1, 2, 3, 4, 5, 6;
  CHECK(read<float>(file_of("<f4", "False", "(2, 3)", f32({1, 2, 3, 4, 5, 6}))) == expected);
  CHECK(read<float>(file_of("<f4", "True", "(2, 3)", f32({1, 4, 2, 5, 3, 6}))) == expected);
}

TEST_CASE("Vectors become one row and the leading dimensions of arrays are folded", "[io][npy]") {
  CHECK(read<float>(file_of("<f4", "False", "()", f32({7}))) == hg::matrix<float>::Constant(1, 1, 7));
  CHECK(read<float>(file_of("<f4", "True", "()", f32({7}))) == hg::matrix<float>::Constant(1, 1, 7));
  hg::matrix<float> row(1, 3);
  row << 1, 2, 3;
  CHECK(read<float>(file_of("<f4", "False", "(3,)", f32({1, 2, 3}))) == row);
  CHECK(read<float>(file_of("<f4", "True", "(3,)", f32({1, 2, 3}))) == row);

  // Element (i, j, k) of a 2 x 3 x 4 array is 100 i + 10 j + k and belongs in row 3 i + j, column k.
  std::vector<float> last_fastest, first_fastest;
  hg::matrix<float> folded(6, 4);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k) {
        folded(3 * i + j, k) = static_cast<float>(100 * i + 10 * j + k);
        last_fastest.push_back(folded(3 * i + j, k));
      }
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) first_fastest.push_back(folded(3 * i + j, k));
  CHECK(read<float>(file_of("<f4", "False", "(2, 3, 4)", f32(last_fastest))) == folded);
  CHECK(read<float>(file_of("<f4", "True", "(2, 3, 4)", f32(first_fastest))) == folded);
}

TEST_CASE("Arrays without elements keep their rows and columns", "[io][npy]") {
  for (const char* order : {"True", "False"}) {
    const auto no_columns = read<float>(file_of("<f4", order, "(2, 3, 0)", ""));
    CHECK((no_columns.rows() == 6 && no_columns.cols() == 0));
    const auto no_rows = read<double>(file_of("<f4", order, "(0, 5)", ""));
    CHECK((no_rows.rows() == 0 && no_rows.cols() == 5));
  }
}

TEST_CASE("Narrower floats are widened exactly, wider ones rounded on request only", "[io][npy]") {
  std::string half, doubles;
  for (const std::uint64_t bits : {0x3c00u, 0xc100u, 0x1u, 0x8000u, 0x7c00u}) half += little_endian(bits, 2);
  const std::string half_file = file_of("<f2", "False", "(5,)", half);
  const auto as_float = read<float>(half_file);
  CHECK(as_float(0, 0) == 1.0f);
  CHECK(as_float(0, 1) == -2.5f);
  CHECK(as_float(0, 2) == 0x1p-24f);
  CHECK((as_float(0, 3) == 0.0f && std::signbit(as_float(0, 3))));
  CHECK(as_float(0, 4) == std::numeric_limits<float>::infinity());
  CHECK(read<double>(half_file) == as_float.cast<double>());
  CHECK(read<double>(file_of("<f4", "False", "(1,)", f32({0.1f})))(0, 0) == static_cast<double>(0.1f));

  for (const double value : {0.1, 1.0 + 0x1p-24, 1.0 + 0x1.8p-23})
    doubles += little_endian(std::bit_cast<std::uint64_t>(value), 8);
  const std::string double_file = file_of("<f8", "False", "(3,)", doubles);
  CHECK(read<double>(double_file)(0, 0) == 0.1);
  CHECK_THROWS_WITH(read<float>(double_file),
                    "f: has elements of type <f8, expected <f4 or narrower (or narrowing::rounded)");
  CHECK_THROWS_WITH(hg::read_npy<float>(test_file(double_file).path), contains("has elements of type <f8, expected"));
  const auto rounded = read<float>(double_file, hg::narrowing::rounded);
  CHECK(rounded(0, 0) == 0.1f);
  CHECK(rounded(0, 1) == 1.0f);             // half way: to even
  CHECK(rounded(0, 2) == 1.0f + 0x1p-22f);  // half way: to even
}

TEST_CASE("write_npy writes the bytes of the format, with elements from a multiple of 64", "[io][npy]") {
  hg::matrix<float> m(2, 3);
  m << 1, 2, 3, 4, 5, 6;
  const test_file file;
  hg::write_npy(file.path, m);
  std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  dictionary.resize(128 - 10 - 1, ' ');
  const std::string start = std::string("\x93NUMPY\x01\0", 8) + little_endian(118, 2) + dictionary + "\n";
  CHECK(start.size() == 128);
  CHECK(file.content() == start + f32({1, 2, 3, 4, 5, 6}));

  hg::write_npy(file.path, m.leftCols(2));  // rows that do not follow one another in memory; replaces the file
  CHECK(file.content().substr(128) == f32({1, 2, 4, 5}));
}

TEST_CASE("Every length of a written header ends at a multiple of 64", "[io][npy]") {
  for (hg::index rows = 1; rows < 1'000'000'000'000'000'000; rows *= 10)
    for (hg::index cols = 1; cols < 1'000'000'000'000'000'000; cols *= 10)
      if (hg::npy_header_text(hg::dtype::f64, rows, cols).size() % 64 != 0) FAIL(rows << " x " << cols);
}

TEST_CASE("Every bit survives write_npy and read_npy", "[io][npy]") {
  const auto survives = []<class T>(const hg::matrix<T>& m) {
    const test_file file;
    hg::write_npy(file.path, m);
    const auto back = hg::read_npy<T>(file.path);
    return back.rows() == m.rows() && back.cols() == m.cols() &&
           (m.size() == 0 || std::memcmp(back.data(), m.data(), static_cast<std::size_t>(m.size()) * sizeof(T)) == 0);
  };
  hg::matrix<float> floats(2, 4);
  floats << std::bit_cast<float>(0x7fc12345u), std::bit_cast<float>(0xffa00001u), -0.0f, 0.0f,
      std::numeric_limits<float>::denorm_min(), -std::numeric_limits<float>::infinity(),
      std::numeric_limits<float>::max(), 0.1f;
  hg::matrix<double> doubles(1, 4);
  doubles << std::bit_cast<double>(0x7ff4000000abcdefull), -0.0, std::numeric_limits<double>::denorm_min(), 0.1;
  CHECK(survives(floats));
  CHECK(survives(doubles));
  CHECK(survives(hg::matrix<float>(0, 3)));
  CHECK(survives(hg::matrix<double>(3, 0)));
  hg::matrix<float> large(300, 257);  // more than one piece, and no whole number of them
  for (hg::index i = 0; i < large.size(); ++i) large.data()[i] = static_cast<float>(i);
  CHECK(survives(large));
}

TEST_CASE("A large array in Fortran order is put together from pieces", "[io][npy]") {
  const hg::index rows = 301, cols = 259;
  std::string data;
  for (hg::index col = 0; col < cols; ++col)
    for (hg::index row = 0; row < rows; ++row) data += f32({static_cast<float>(1000 * row + col)});
  const auto m = read<float>(file_of("<f4", "True", "(301, 259)", data));
  hg::index wrong = 0;
  for (hg::index row = 0; row < rows; ++row)
    for (hg::index col = 0; col < cols; ++col)
      if (m(row, col) != static_cast<float>(1000 * row + col)) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("A .npy file that is missing, cut off or longer than it says is refused with its path", "[io][npy]") {
  CHECK_THROWS_WITH(hg::read_npy<float>("/no/such/file.npy"), "/no/such/file.npy: is not a file that can be read");
  CHECK_THROWS_WITH(hg::read_npy<float>(fs::temp_directory_path()), contains("is not a file that can be read"));
  const std::string whole = file_of("<f4", "False", "(2,)", f32({1, 2}));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    const test_file file(whole.substr(0, length));
    CHECK_THROWS_WITH(hg::read_npy<float>(file.path), contains(file.path.string() + ": "));
  }
  CHECK_THROWS_WITH(hg::read_npy<float>(test_file(whole + "x").path),
                    contains("<f4 of shape (2,) has 8 bytes, the file has 9 after its header"));
}
