// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/model_config_file.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

namespace {

hg::model_config parse(const std::string& text) { return hg::parse_model_config("f", text); }

std::string repeated(const std::string& piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

std::vector<hg::index> plain(const hg::array<hg::index>& list) { return {list.begin(), list.end()}; }

}  // namespace

TEST_CASE("The scalars of a config.json are found, nested ones by names with dots", "[io][model_config_file]") {
  const auto config = parse(R"({
    "model_type": "x\u00e9\n", "num_experts": 128, "top_k": 8.0, "big": 1e3, "scale": -2.5, "n_group": null,
    "norm_topk_prob": true, "": 5, "text_config": {"hidden_size": 16, "rope": {"theta": 10000.0}, "empty": {}},
    "num_experts_per_tok": 2, "a.b": 3
  })");
  CHECK(config.source() == "f");
  CHECK(config.text("model_type") == "x\xc3\xa9\n");
  CHECK(config.integer("num_experts") == 128);
  CHECK(config.integer("top_k") == 8);
  CHECK(config.integer("big") == 1000);
  CHECK(config.number("scale") == -2.5);
  CHECK(config.flag("norm_topk_prob"));
  CHECK(config.integer("") == 5);
  CHECK_FALSE(config.has("n_group"));
  CHECK(config.integer("n_group", 4) == 4);
  CHECK(config.integer("text_config.hidden_size") == 16);
  CHECK(config.number("text_config.rope.theta") == 10000.0);
  CHECK(config.integer("num_experts_per_tok") == 2);  // after an object the names are the outer ones again
  CHECK(config.inside("text_config").integer("hidden_size") == 16);
  CHECK_FALSE(config.has("text_config.empty"));
  CHECK_FALSE(config.has("hidden_size"));
  CHECK(config.integer("a.b") == 3);
}

TEST_CASE("Lists of numbers and of texts are found, others are known as such", "[io][model_config_file]") {
  const auto config = parse(R"({"layers": [0, 2.0, 5], "none": [], "architectures": ["A", "B"], "outer": {"list": [1]},
    "mixed": [1, "a"], "texts_first": ["a", 1], "deep": [[1], [2]], "objects": [{"id": 1, "x": {"id": [2, {}]}}, 3],
    "flags": [true], "nulls": [null], "after": 7})");
  CHECK(plain(config.integers("layers")) == std::vector<hg::index>{0, 2, 5});
  CHECK(config.integers("none").empty());
  CHECK(config.texts("none").empty());
  CHECK(config.texts("architectures") == std::vector<std::string>{"A", "B"});
  CHECK(plain(config.integers("outer.list")) == std::vector<hg::index>{1});
  CHECK(config.integer("after") == 7);
  CHECK_FALSE(config.has("id"));
  CHECK_FALSE(config.has("objects.id"));
  for (const char* name : {"mixed", "texts_first", "deep", "objects", "flags", "nulls"}) {
    CAPTURE(name);
    CHECK(config.has(name));
    CHECK_THROWS_WITH(config.integers(name), contains("is a list of something else, expected a list of whole"));
    CHECK_THROWS_WITH(config.texts(name), contains("is a list of something else, expected a list of texts"));
  }
}

TEST_CASE("A name that comes twice is refused on every level", "[io][model_config_file]") {
  CHECK_THROWS_WITH(parse(R"({"a": 1, "b": 2, "a": 1})"), "f: names 'a' twice");
  CHECK_THROWS_WITH(parse(R"({"a": null, "a": 1})"), "f: names 'a' twice");
  CHECK_THROWS_WITH(parse(R"({"a": {"x": 1}, "a": {"y": 1}})"), "f: names 'a' twice");
  CHECK_THROWS_WITH(parse(R"({"t": {"a": 1, "a": 1}})"), "f: names 'a' twice");
  CHECK_THROWS_WITH(parse(R"({"t": [{"a": 1, "a": 1}]})"), "f: names 'a' twice");
  CHECK_THROWS_WITH(parse(R"({"t.a": 1, "t": {"a": 1}})"), "f: names 't.a' twice");
  CHECK(parse(R"({"a": 1, "t": {"a": 2}, "l": [{"a": 3}, {"a": 4}]})").integer("t.a") == 2);
}

TEST_CASE("What is not a JSON object is refused in one sentence", "[io][model_config_file]") {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{'a':1}",
                           "{} {}",
                           "{\"a\":1,}",
                           "{\"a\":NaN}",
                           "{\"a\":Infinity}",
                           "{\"a\":-Infinity}",
                           "{\"a\":01}",
                           "{\"a\":+1}",
                           "{\"a\":.5}",
                           "{\"a\":0x8}",
                           "{\"a\":True}",
                           "{/**/}",
                           "{\"a\":\"\xff\"}",
                           "{\"\xc3\":1}",
                           "{\"a\":\"\\ud800\"}",
                           "{\"a\":\"\n\"}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse(text), std::runtime_error);
    CHECK_THROWS_WITH(parse(text), contains("f: is not JSON at its byte "));
  }
  CHECK_THROWS_WITH(parse("[]"), "f: is a list, expected an object");
  CHECK_THROWS_WITH(parse("3"), "f: is a number, expected an object");
  CHECK_THROWS_WITH(parse("-3"), "f: is a number, expected an object");
  CHECK_THROWS_WITH(parse("true"), "f: is a boolean, expected an object");
  CHECK_THROWS_WITH(parse("null"), "f: is null, expected an object");
  CHECK_THROWS_WITH(parse("\"x\""), "f: is a text, expected an object");
  CHECK_THROWS_WITH(parse(std::string("{}\0{", 4)), "f: is not JSON at its byte 3: a zero");
}

TEST_CASE("A config.json that ends anywhere but at its end is refused", "[io][model_config_file]") {
  const std::string whole = R"({"a": [1, {"b": "c\n"}], "d": {"e": 1.5e3, "f": true}, "g": null})";
  CHECK_NOTHROW(parse(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_WITH(parse(whole.substr(0, length)), contains("f: is not JSON at its byte "));
  }
}

TEST_CASE("Huge numbers are refused where they are parsed or asked for", "[io][model_config_file]") {
  CHECK_THROWS_WITH(parse("{\"a\":1e999}"), contains("f: is not JSON at its byte "));
  CHECK_THROWS_WITH(parse("{\"a\":-1e999}"), contains("number overflow"));
  CHECK_THROWS_WITH(parse("{\"a\":18446744073709551615}").integer("a"), contains("expected a whole number from 0 to"));
  CHECK_THROWS_WITH(parse("{\"a\":-9223372036854775808}").integer("a"),
                    contains("a is -9.2233720368547758e+18, expected"));
  CHECK_THROWS_WITH(parse("{\"a\":" + std::string(300, '9') + "}").integer("a"), contains("expected a whole number"));
  CHECK(parse("{\"a\":1e-400}").number("a") == 0.0);
}

TEST_CASE("A config.json that is a bomb is refused without harm", "[io][model_config_file]") {
  CHECK_THROWS_WITH(parse("{\"a\":" + repeated("[", 1'000'000)),
                    "f: has a list on level 65, at most 64 levels are read");
  CHECK_THROWS_WITH(parse(repeated("{\"a\":", 100'000)), "f: has an object on level 65, at most 64 levels are read");
  CHECK_THROWS_WITH(parse(repeated("{\"a\":[", 100'000)), contains("level 65"));
  CHECK(parse(repeated("{\"a\":", 64) + "1" + repeated("}", 64)).integer(repeated("a.", 63) + "a") == 1);

  std::string many = "{";
  for (int i = 0; i < 100'000; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  CHECK(parse(many + "}").has("99999"));
  CHECK_THROWS_WITH(parse(many + ",\"x\":0}"), "f: has more than 100000 names and elements of lists");
  CHECK_THROWS_WITH(parse("{\"a\":[1" + repeated(",1", 100'000) + "]}"), contains("more than 100000 names and"));
  CHECK_THROWS_WITH(parse("{\"a\":[\"\"" + repeated(",\"\"", 100'000) + "]}"), contains("more than 100000 names and"));

  const std::string long_name(600, 'n');
  CHECK_THROWS_WITH(parse("{\"" + long_name + "\":{\"" + long_name + "\":1}}"),
                    contains("f: has a name of 1201 letters, at most 1000 are read"));
}

TEST_CASE("read_model_config reads a file and names it in errors", "[io][model_config_file]") {
  const auto path = headgate_test::own_path("headgate_config_test.json");
  std::ofstream(path, std::ios::binary) << "{\"num_experts\": \"four\"}";
  const auto config = hg::read_model_config(path);
  CHECK_THROWS_WITH(config.integer("num_experts"), path.string() + ": num_experts is 'four', expected a whole number");
  CHECK_THROWS_WITH(config.integer("num_experts_per_tok"), path.string() + ": has no num_experts_per_tok");
  std::ofstream(path, std::ios::binary) << std::string((16 << 20) + 1, ' ');
  CHECK_THROWS_WITH(hg::read_model_config(path), path.string() + ": has 16777217 bytes, at most 16777216 are read");
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(hg::read_model_config(path), path.string() + ": is not a file that can be read");
}
