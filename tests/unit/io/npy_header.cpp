// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/npy_header.hpp>

#include "support/catch.hpp"

#include <stdexcept>
#include <string>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

namespace {

/// The beginning of a file with this dictionary: magic, version, length in 2 bytes (version 1) or 4, dictionary.
std::string start_of(const std::string& dictionary, int version = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(version);
  text += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) text += static_cast<char>((dictionary.size() >> (8 * i)) & 0xff);
  return text + dictionary;
}

hg::npy_header parse(const std::string& dictionary, hg::index data_bytes, int version = 1) {
  const std::string start = start_of(dictionary, version);
  return hg::parse_npy_header("f", start, static_cast<hg::index>(start.size()) + data_bytes);
}

hg::npy_header with_shape(const std::string& shape, hg::index data_bytes) {
  return parse("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }", data_bytes);
}

std::vector<hg::index> plain(const hg::array<hg::index>& list) { return {list.begin(), list.end()}; }

}  // namespace

TEST_CASE("A .npy header is read in every version of the format", "[io][npy_header]") {
  for (const int version : {1, 2, 3}) {
    CAPTURE(version);
    const std::string dictionary = "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3, 4), }      \n";
    const auto header = parse(dictionary, 192, version);
    CHECK(header.type == hg::dtype::f64);
    CHECK(header.fortran);
    CHECK(plain(header.shape) == std::vector<hg::index>{2, 3, 4});
    CHECK(header.rows() == 6);
    CHECK(header.cols() == 4);
    CHECK(header.data == static_cast<hg::index>(dictionary.size()) + (version == 1 ? 10 : 12));
  }
}

TEST_CASE("A .npy dictionary may have its keys in any order, any quotes and any white space", "[io][npy_header]") {
  for (const char* dictionary : {"{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f2\"}",
                                 " {\n\t'shape' : ( 2 , 3 , ) , 'descr' : '<f2' , 'fortran_order' : False , } \r\n"}) {
    const auto header = parse(dictionary, 12);
    CHECK(header.type == hg::dtype::f16);
    CHECK_FALSE(header.fortran);
    CHECK(plain(header.shape) == std::vector<hg::index>{2, 3});
  }
}

TEST_CASE("Arrays of every number of dimensions have rows and columns", "[io][npy_header]") {
  const auto check = [](const std::string& shape, hg::index elements, hg::index rows, hg::index cols) {
    CAPTURE(shape);
    const auto header = with_shape(shape, 4 * elements);
    CHECK(header.rows() == rows);
    CHECK(header.cols() == cols);
    CHECK(hg::npy_shape_text(header.shape) == shape);
  };
  check("()", 1, 1, 1);
  check("(5,)", 5, 1, 5);
  check("(0,)", 0, 1, 0);
  check("(2, 3)", 6, 2, 3);
  check("(2, 0, 3)", 0, 0, 3);
  check("(2, 3, 0)", 0, 6, 0);
  check("(2, 1, 3, 4)", 24, 6, 4);
}

TEST_CASE("What is no .npy file is refused", "[io][npy_header]") {
  const auto refused = [](const std::string& bytes) {
    return hg::parse_npy_header("f", bytes, static_cast<hg::index>(bytes.size()));
  };
  CHECK_THROWS_AS(refused(""), std::runtime_error);
  CHECK_THROWS_WITH(refused(""), "f: does not begin as a .npy file");
  CHECK_THROWS_WITH(refused("PK\x03\x04 and so on"), "f: does not begin as a .npy file");
  CHECK_THROWS_WITH(refused("\x93NUMPX\x01"), "f: does not begin as a .npy file");
  CHECK_THROWS_WITH(refused("\x93NUMPY\x01"), "f: has 7 bytes, a .npy file has at least 10");
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x02\0\0\0", 10)), "f: has 10 bytes, the header begins at byte 12");
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x00\0\0\0", 10)), contains("is of format version 0.0, known are"));
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x04\0\0\0\0\0", 12)), contains("is of format version 4.0, known"));
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x01\x02\0\0", 10)), contains("is of format version 1.2, known"));
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x01\0\x03\x01{}", 12)),
                    "f: the header's length is 259, the file has 2 bytes after it");
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12)),
                    "f: the header's length is 4294967295, at most 65536 are read");
  CHECK_THROWS_WITH(refused(std::string("\x93NUMPY\x01\0\0\0", 10)), contains("the header ends at its byte 1"));
}

TEST_CASE("A .npy dictionary that is not the one of the format is refused", "[io][npy_header]") {
  const auto refusal = [](const std::string& dictionary, const std::string& message) {
    CAPTURE(dictionary);
    CHECK_THROWS_WITH(parse(dictionary, 4), "f: the header" + message);
  };
  refusal("[]", " has '[' at its byte 1, expected '{'");
  refusal("{", " ends at its byte 2, expected a key");
  refusal("{}", " has no descr");
  refusal("{,}", " has ',' at its byte 2, expected a key");
  refusal("{descr: '<f4'}", " has 'd' at its byte 2, expected a key");
  refusal("{'descr'}", " has '}' at its byte 9, expected ':'");
  refusal("{'descr", "'s text at its byte 2 has no end");
  refusal("{'descr': '<f4' 'shape': ()}", " has ''' at its byte 17, expected ',' or '}'");
  refusal("{'descr': '<f4', 'descr': '<f4'}", " has the key 'descr' twice");
  refusal("{'size': 4}", " has the key 'size', known are descr, fortran_order and shape");
  refusal("{'descr': '<f4', 'shape': ()}", " has no fortran_order");
  refusal("{'descr': '<f4', 'fortran_order': False}", " has no shape");
  refusal("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", " has 'x' at its byte 55, expected the end");
  refusal("{'descr': '<f4', 'fortran_order': false}", " has 'f' at its byte 35, expected True or False");
  refusal("{'fortran_order': 0}", " has '0' at its byte 19, expected True or False");
  refusal("{'descr': [('a', '<f4')]}", "'s descr is a list of fields, expected '<f2', '<f4' or '<f8'");
  refusal("{'descr': 4}", " has '4' at its byte 11, expected a type in quotes");
  for (const char* type : {">f4", "<i4", "f4", "|O", "<V2", "<c8", "<f16", ""})
    refusal("{'descr': '" + std::string(type) + "'}",
            "'s descr is '" + std::string(type) + "', expected '<f2', '<f4' or '<f8'");
  refusal(std::string("{\0}", 3), " has a zero at its byte 2");
}

TEST_CASE("A shape that no array has is refused", "[io][npy_header]") {
  const auto refusal = [](const std::string& shape, const std::string& message) {
    CAPTURE(shape);
    CHECK_THROWS_WITH(with_shape(shape, 4), contains(message));
  };
  refusal("4", "expected '('");
  refusal("[4]", "expected '('");
  refusal("(4)", "f: the header's shape is a number in brackets, expected a tuple");
  refusal("(-1,)", "has '-' at its byte 52, expected a size");
  refusal("(1.0,)", "expected ',' or ')'");
  refusal("(1 1)", "has '1' at its byte 54, expected ',' or ')'");
  refusal("(,)", "expected a size");
  refusal("(1,,)", "expected a size");
  refusal("(True,)", "expected a size");
  refusal("(1,", "expected a size");
  refusal("((1,),)", "expected a size");
  refusal("(9223372036854775808,)", "f: the header's shape has a size of more than 9223372036854775807");
  refusal("(99999999999999999999999999,)", "f: the header's shape has a size of more than 9223372036854775807");
  std::string ones = "(";
  for (int i = 0; i < 65; ++i) ones += "1,";
  refusal(ones + ")", "f: the header's shape has more than 64 dimensions");
}

TEST_CASE("A shape whose elements do not fill the file exactly is refused, overflows included", "[io][npy_header]") {
  CHECK_THROWS_WITH(with_shape("(2, 3)", 23), "f: <f4 of shape (2, 3) has 24 bytes, the file has 23 after its header");
  CHECK_THROWS_WITH(with_shape("(2, 3)", 25), "f: <f4 of shape (2, 3) has 24 bytes, the file has 25 after its header");
  CHECK_THROWS_WITH(with_shape("()", 0), "f: <f4 of shape () has 4 bytes, the file has 0 after its header");
  CHECK_THROWS_WITH(with_shape("(0,)", 4), "f: <f4 of shape (0,) has 0 bytes, the file has 4 after its header");
  // Products that are 4, 0 and 0 modulo 2^64.
  for (const char* shape : {"(4611686018427387905,)", "(4294967296, 4294967296)", "(4611686018427387904,)",
                            "(4294967296, 4294967296, 0)", "(0, 4294967296, 4294967296)"})
    for (const hg::index bytes : {0, 4}) {
      CAPTURE(shape, bytes);
      CHECK_THROWS_WITH(with_shape(shape, bytes),
                        "f: the header's shape is " + std::string(shape) + ", more than any file holds");
    }
}

TEST_CASE("A .npy header that ends anywhere but at its end is refused", "[io][npy_header]") {
  const std::string whole = start_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}");
  CHECK_NOTHROW(hg::parse_npy_header("f", whole, static_cast<hg::index>(whole.size()) + 4));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(hg::parse_npy_header("f", whole.substr(0, length), static_cast<hg::index>(length)),
                    std::runtime_error);
  }
}
