// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/array.hpp>
#include <headgate/models/expert_tensors.hpp>

#include "support/catch.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace hg = headgate;

namespace {

struct named_expert {
  std::string gate, up, down;
};

constexpr hg::index model = 3, hidden = 2;

hg::array<named_expert> two_experts() {
  hg::array<named_expert> all(2);
  for (hg::index e = 0; e < 2; ++e) {
    const std::string number = std::to_string(e);
    all[e] = {"gate" + number, "up" + number, "down" + number};
  }
  return all;
}

/// What a layout visits: every element of its tensors once, and each matrix with its own shape.
struct visits {
  std::map<std::string, hg::tensor_part> part_of;
  std::map<std::string, std::set<hg::index>> covered;
  std::map<std::string, hg::index> size;

  void operator()(const std::string& matrix, const hg::tensor_part& part) {
    CHECK(part_of.emplace(matrix, part).second);
    const bool down = matrix.starts_with("down");
    CHECK(part.rows == (down ? model : hidden));
    CHECK(part.cols == (down ? hidden : model));
    size[part.name] = part.tensor_size();
    for (hg::index r = 0; r < part.rows; ++r)
      for (hg::index c = 0; c < part.cols; ++c) CHECK(covered[part.name].insert(part.position(r, c)).second);
  }
  void check_whole(std::size_t matrices) const {
    CHECK(part_of.size() == matrices);
    for (const auto& [name, positions] : covered) {
      INFO(name);
      CHECK(static_cast<hg::index>(positions.size()) == size.at(name));
      CHECK(*positions.rbegin() == size.at(name) - 1);
    }
  }
};

}  // namespace

TEST_CASE("experts of matrices of their own", "[models][expert_tensors]") {
  visits seen;
  auto experts = two_experts();
  hg::glu_tensors_of_each(experts, hg::w_names, model, hidden, [&](auto& m, const auto& part) { seen(m, part); });
  seen.check_whole(6);
  CHECK(seen.part_of.at("gate1").name == "experts.1.w1.weight");
  CHECK(seen.part_of.at("up1").name == "experts.1.w3.weight");
  CHECK(seen.part_of.at("down0").name == "experts.0.w2.weight");
}

TEST_CASE("experts stacked, gate over up", "[models][expert_tensors]") {
  visits seen;
  auto experts = two_experts();
  hg::glu_tensors_stacked(experts, "gu", "d", model, hidden, [&](auto& m, const auto& part) { seen(m, part); });
  seen.check_whole(6);
  CHECK(seen.part_of.at("up0").position(0, 0) == hidden * model);
  CHECK(seen.part_of.at("gate1").position(0, 0) == 2 * hidden * model);
  CHECK(seen.part_of.at("up1").is_contiguous());
  CHECK(seen.part_of.at("down1").is_contiguous());
}

TEST_CASE("experts stacked and transposed, gate beside up", "[models][expert_tensors]") {
  visits seen;
  auto experts = two_experts();
  hg::glu_tensors_transposed(experts, "gu", "d", model, hidden, [&](auto& m, const auto& part) { seen(m, part); });
  seen.check_whole(6);
  CHECK(seen.part_of.at("up0").position(0, 0) == hidden);
  CHECK(seen.part_of.at("up0").position(0, 1) == 3 * hidden);  // the next row of [model, 2 hidden]
  CHECK(seen.part_of.at("down0").position(1, 0) == 1);
}
