// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/model_config.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace hg = headgate;

namespace {

hg::model_config example() {
  hg::model_config config("d/config.json");
  config.set("num_local_experts", 8)
      .set("norm_topk_prob", false)
      .set("scale", 2.5)
      .set("model_type", "mixtral")
      .set("text_config.hidden_size", 16)
      .set("hidden_size", 99)
      .set("text_config.vision.depth", 3)
      .set("vision.width", 4)
      .set_list("layers", std::vector<double>{0, 1, 7})
      .set_list("kinds", std::vector<std::string>{"dense", "sparse"});
  return config;
}

std::vector<hg::index> plain(const hg::array<hg::index>& list) { return {list.begin(), list.end()}; }

}  // namespace

TEST_CASE("A model_config answers what was set", "[models][model_config]") {
  const hg::model_config config = example();
  CHECK(config.source() == "d/config.json");
  CHECK(config.integer("num_local_experts") == 8);
  CHECK(config.number("num_local_experts") == 8.0);
  CHECK(config.number("scale") == 2.5);
  CHECK(config.number("scale", 1.0) == 2.5);
  CHECK_FALSE(config.flag("norm_topk_prob"));
  CHECK_FALSE(config.flag("norm_topk_prob", true));
  CHECK(config.text("model_type") == "mixtral");
  CHECK(config.text("model_type", "none") == "mixtral");
  CHECK(config.integer(std::string("text_config.") + "hidden_size") == 16);
  CHECK(plain(config.integers("layers")) == std::vector<hg::index>{0, 1, 7});
  CHECK(plain(config.integers("num_local_experts")) == std::vector<hg::index>{8});
  CHECK(config.texts("kinds") == std::vector<std::string>{"dense", "sparse"});
  CHECK(config.texts("model_type") == std::vector<std::string>{"mixtral"});
  CHECK(config.has("scale"));
  CHECK_FALSE(config.has("scal"));
  CHECK(hg::model_config(config).set("scale", 3).integer("scale") == 3);
}

TEST_CASE("insert keeps the value that is there", "[models][model_config]") {
  hg::model_config config;
  CHECK(config.insert("a", 1.0));
  CHECK_FALSE(config.insert("a", 2.0));
  CHECK(config.integer("a") == 1);
}

TEST_CASE("A default answers for a name that is not there, and for no other", "[models][model_config]") {
  const hg::model_config config = example();
  CHECK(config.integer("n_group", 1) == 1);
  CHECK(config.number("factor", 0.5) == 0.5);
  CHECK(config.flag("bias", true));
  CHECK(config.text("act", "silu") == "silu");
  CHECK(plain(config.integers("others", hg::array<hg::index>(2, 5))) == std::vector<hg::index>{5, 5});
  CHECK(config.texts("others", {"x"}) == std::vector<std::string>{"x"});
  CHECK_THROWS_WITH(config.integer("model_type", 1), "d/config.json: model_type is 'mixtral', expected a whole number");
}

TEST_CASE("Of alternative names the first that is there counts", "[models][model_config]") {
  const hg::model_config config = example();
  CHECK(config.integer({"num_experts", "num_local_experts"}) == 8);
  CHECK(config.integer({"hidden_size", "num_local_experts"}) == 99);
  CHECK(config.integer({"num_local_experts", "hidden_size"}) == 8);
  CHECK(config.integer({"a", "b"}, 7) == 7);
  CHECK(config.has({"a", "scale"}));
  CHECK_FALSE(config.has({"a", "b"}));
  CHECK_THROWS_WITH(config.integer({"a", "b", "c"}), "d/config.json: has no a or b or c");
}

TEST_CASE("Inside an object its values come first, and those outside after them", "[models][model_config]") {
  const hg::model_config inner = example().inside("text_config");
  CHECK(inner.integer("hidden_size") == 16);
  CHECK(inner.integer("num_local_experts") == 8);
  CHECK(inner.integer({"num_local_experts", "hidden_size"}) == 16);  // the object before the order of names
  CHECK(inner.integer("text_config.hidden_size") == 16);
  CHECK(example().inside("no_such").integer("hidden_size") == 99);
  const hg::model_config depth = inner.inside("vision");
  CHECK(depth.integer("depth") == 3);
  CHECK(depth.integer("width") == 4);
  CHECK(depth.integer("hidden_size") == 16);
  CHECK_THROWS_WITH(inner.integer("n"), "d/config.json: has no n, neither in text_config nor outside it");
  CHECK_THROWS_WITH(hg::model_config(inner).set("text_config.n", "x").flag("n"),
                    "d/config.json: text_config.n is 'x', expected true or false");
}

TEST_CASE("An object is there if something is in it, and is no value", "[models][model_config]") {
  const hg::model_config config = example();
  CHECK(config.has("text_config"));
  CHECK(config.has("text_config.vision"));
  CHECK_FALSE(config.has("text"));
  CHECK_THROWS_WITH(config.integer("text_config"), "d/config.json: text_config is an object, expected a whole number");
  CHECK_THROWS_WITH(config.text("text_config", "x"), "d/config.json: text_config is an object, expected a text");
}

TEST_CASE("A value of another kind is refused with what it is and what was expected", "[models][model_config]") {
  const hg::model_config config = example();
  CHECK_THROWS_AS(config.integer("no"), std::runtime_error);
  CHECK_THROWS_WITH(config.integer("no"), "d/config.json: has no no");
  CHECK_THROWS_WITH(config.integer("scale"), "d/config.json: scale is 2.5, expected a whole number");
  CHECK_THROWS_WITH(config.integer("norm_topk_prob"),
                    "d/config.json: norm_topk_prob is false, expected a whole number");
  CHECK_THROWS_WITH(config.integer("layers"), "d/config.json: layers is a list, expected a whole number");
  CHECK_THROWS_WITH(config.number("model_type"), "d/config.json: model_type is 'mixtral', expected a number");
  CHECK_THROWS_WITH(config.flag("scale"), "d/config.json: scale is 2.5, expected true or false");
  CHECK_THROWS_WITH(config.text("num_local_experts"), "d/config.json: num_local_experts is 8, expected a text");
  CHECK_THROWS_WITH(config.integers("scale"), "d/config.json: scale is 2.5, expected a list of whole numbers");
  CHECK_THROWS_WITH(config.integers("kinds"),
                    "d/config.json: kinds is a list of something else, expected a list of whole numbers");
  CHECK_THROWS_WITH(config.texts("layers"),
                    "d/config.json: layers is a list of something else, expected a list of texts");
  CHECK_THROWS_WITH(config.texts("scale"), "d/config.json: scale is 2.5, expected a list of texts");
  CHECK_THROWS_WITH(hg::model_config("f").set_list("a", std::vector<double>{1, 2.5}).integers("a"),
                    "f: a[1] is 2.5, expected a whole number");
}

TEST_CASE("Whole numbers are those from 0 to 2^20", "[models][model_config]") {
  const auto read = [](double what) { return hg::model_config("f").set("n", what).integer("n"); };
  CHECK(read(0.0) == 0);
  CHECK(read(-0.0) == 0);
  CHECK(read(1048576.0) == hg::model_config::most);
  CHECK_THROWS_WITH(read(1048577.0), "f: n is 1048577, expected a whole number from 0 to 1048576");
  CHECK_THROWS_WITH(read(-1), "f: n is -1, expected a whole number from 0 to 1048576");
  CHECK_THROWS_WITH(read(1e300), "f: n is 1.0000000000000001e+300, expected a whole number from 0 to 1048576");
  CHECK_THROWS_WITH(read(std::nan("")), "f: n is nan, expected a whole number");
  CHECK_THROWS_WITH(read(std::numeric_limits<double>::infinity()), "f: n is inf, expected a whole number");
  CHECK_THROWS_WITH(hg::model_config("f").set_list("a", std::vector<double>{0, -2}).integers("a"),
                    "f: a[1] is -2, expected a whole number from 0 to 1048576");
}
