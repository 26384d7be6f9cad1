// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/optim/clip_gradient_norm.hpp>

#include <headgate/communicators/single_rank.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/expert_parallel_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/error_of.hpp"
#include "support/on_threads.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace hg = headgate;

namespace {

struct module {
  hg::matrix<float> up = hg::matrix<float>::Ones(3, 7), bias = hg::matrix<float>::Ones(1, 3);
  struct gradients {
    hg::matrix<float> up, bias;
  };

  template <class G, class F>
  void for_each_parameter(G& grads, F&& f) {
    f("up", up, grads.up);
    f("bias", bias, grads.bias);
  }
};

module::gradients filled(float up, float bias) {
  return {hg::matrix<float>::Constant(3, 7, up), hg::matrix<float>::Constant(1, 3, bias)};
}

}  // namespace

TEST_CASE("gradient_norm is the norm over all parameters together", "[optim][clip_gradient_norm]") {
  module m;
  auto grads = filled(1.0f, 0.0f);
  grads.up(2, 6) = 4.0f;
  grads.bias << 8.0f, -16.0f, 0.5f;
  const double norm = hg::gradient_norm([&](auto&& visit) { m.for_each_parameter(grads, visit); });
  CHECK(norm == std::sqrt(20.0 + 16.0 + 64.0 + 256.0 + 0.25));
  CHECK(hg::gradient_norm([](auto&&) {}) == 0.0);
}

TEST_CASE("clip_gradient_norm returns the norm before and leaves the norm at the limit",
          "[optim][clip_gradient_norm]") {
  module m;
  auto grads = filled(2.0f, -3.0f);
  const double before = std::sqrt(21 * 4.0 + 3 * 9.0);
  CHECK(hg::clip_gradient_norm(0.5, m, grads) == before);
  CHECK(hg::gradient_norm([&](auto&& visit) { m.for_each_parameter(grads, visit); }) == Approx(0.5).epsilon(1e-6));
  CHECK(static_cast<double>(grads.bias(0, 0) / grads.up(0, 0)) == Approx(-1.5).epsilon(1e-6));  // the direction stays
  CHECK((m.up.array() == 1.0f).all());
}

TEST_CASE("clip_gradient_norm leaves a gradient within the limit as it is, bit for bit",
          "[optim][clip_gradient_norm]") {
  module m;
  auto grads = filled(0.1f, 0.3f);
  CHECK(hg::clip_gradient_norm(1.0, m, grads) == Approx(std::sqrt(21 * 0.01 + 3 * 0.09)).epsilon(1e-6));
  CHECK((grads.up.array() == 0.1f).all());
  auto zero = filled(0.0f, 0.0f);
  CHECK(hg::clip_gradient_norm(1.0, m, zero) == 0.0);
  CHECK(zero.up.isZero(0.0f));
}

TEST_CASE("clip_gradient_norm does not overflow where float squares would", "[optim][clip_gradient_norm]") {
  module m;
  auto grads = filled(1e30f, 0.0f);
  CHECK(hg::clip_gradient_norm(1.0, m, grads) == Approx(1e30 * std::sqrt(21.0)).epsilon(1e-6));
  CHECK(static_cast<double>(grads.up(1, 1)) == Approx(1 / std::sqrt(21.0)).epsilon(1e-6));
}

TEST_CASE("clip_gradient_norm hands back a norm that is not finite and scales nothing", "[optim][clip_gradient_norm]") {
  module m;
  auto grads = filled(2.0f, 2.0f);
  grads.bias(0, 1) = std::numeric_limits<float>::infinity();
  CHECK(std::isinf(hg::clip_gradient_norm(1.0, m, grads)));
  grads.bias(0, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(hg::clip_gradient_norm(1.0, m, grads)));
  CHECK((grads.up.array() == 2.0f).all());
}

TEST_CASE("clip_gradient_norm refuses a limit that is not above zero", "[optim][clip_gradient_norm]") {
  module m;
  auto grads = filled(2.0f, 2.0f);
  CHECK_THROWS_WITH(hg::clip_gradient_norm(0.0, m, grads), "clip_gradient_norm: max_norm is 0, it must be above 0");
  CHECK_THROWS_AS(hg::clip_gradient_norm(std::nan(""), m, grads), std::invalid_argument);
  CHECK((grads.up.array() == 2.0f).all());
}

TEST_CASE("a module that all ranks have is clipped over ranks as it is alone", "[optim][clip_gradient_norm]") {
  module m;
  auto expected = filled(2.0f, -3.0f), grads = expected;
  const double norm = hg::clip_gradient_norm(0.5, m, expected);
  hg::single_rank rank;
  CHECK(hg::clip_gradient_norm(rank, 0.5, m, grads) == norm);
  CHECK(headgate_test::same_matrix(grads.up, expected.up));
  CHECK(headgate_test::same_matrix(grads.bias, expected.bias));
  CHECK_THROWS_WITH(hg::clip_gradient_norm(rank, 0.0, m, grads),
                    "clip_gradient_norm: max_norm is 0, it must be above 0");
}

TEST_CASE("gradients of a whole module that differ between ranks are refused", "[optim][clip_gradient_norm]") {
  using namespace headgate_test;
  CHECK(on_threads(3, [](hg::thread_rank& rank) {
          complaints all;
          module m;
          auto grads = filled(rank.rank() == 1 ? 2.5f : 2.0f, -3.0f);
          const auto before = grads;
          const std::string said = error_of([&] {
            hg::clip_gradient_norm(rank, 0.5, m, grads);
            rank.barrier();
          });
          const char* const sentence = "clip_gradient_norm: the norm is ";
          all.expect(said.find(sentence) != std::string::npos, "it said: " + said);
          all.expect(rank.rank() != 1 || same_matrix(grads.up, before.up), "a refused gradient has changed");
          return all.text;
        }) == "");
}

namespace {

/// What three ranks complain of after clip_gradient_norm(ranks, max_norm, ...) of gradients that spoil(rank, grads) has changed, all
/// 0.5 before: is_right(norm) says whether the norm is right; no gradient may have changed.
template <class Spoil, class Is>
std::string clipped_on_ranks(double max_norm, const Spoil& spoil, const Is& is_right) {
  using namespace headgate_test;
  const hg::topk_gate<float> gate{.head = {.model = 4, .experts = 3}, .select = {.k = 1}};
  const hg::linear_expert<float> linear{.model = 4, .outputs = 3};
  return on_threads(3, [&](hg::thread_rank& rank) {
    complaints all;
    hg::expert_parallel_layer part{gate, linear, 1, hg::expert_placement(3, 3), rank.rank()};
    auto grads = part.zero_gradients();
    part.for_each_parameter(grads, [](std::string_view, auto&, auto& dw) { dw.setConstant(0.5f); });
    spoil(rank.rank(), grads);
    const auto before = grads;
    all.expect(is_right(hg::clip_gradient_norm(rank, max_norm, part, grads)), "the norm is another");
    const auto same = [&](const auto& a, const auto& b) {  // NaN too
      return std::memcmp(a.data(), b.data(), sizeof(float) * static_cast<std::size_t>(a.size())) == 0;
    };
    all.expect(same(grads.gate.head.weight, before.gate.head.weight), "the gate's gradient has changed");
    all.expect(same(grads.experts[0].weight, before.experts[0].weight), "an expert's gradient has changed");
    return all.text;
  });
}

}  // namespace

TEST_CASE("a gradient of one rank that is not finite is the norm of all ranks, and nothing is scaled on any",
          "[optim][clip_gradient_norm]") {
  const auto bad_expert = [](float value) {
    return [value](hg::index rank, auto& grads) {
      if (rank == 1) grads.experts[0].weight(2, 3) = value;
    };
  };
  CHECK(clipped_on_ranks(1.0, bad_expert(std::numeric_limits<float>::quiet_NaN()),
                         [](double norm) { return std::isnan(norm); }) == "");
  CHECK(clipped_on_ranks(1.0, bad_expert(-std::numeric_limits<float>::infinity()),
                         [](double norm) { return std::isinf(norm); }) == "");
}

TEST_CASE("with experts on ranks a norm within the limit leaves all bits as they are", "[optim][clip_gradient_norm]") {
  const double norm = std::sqrt(4 * 12 * 0.25);  // three experts and the gate, each 12 values of 0.5
  CHECK(clipped_on_ranks(
            norm * 1.001, [](hg::index, auto&) {},
            [&](double found) { return found == Approx(norm).epsilon(1e-12); }) == "");
}

TEST_CASE("with experts on ranks a limit that is not above zero is refused before anything is sent",
          "[optim][clip_gradient_norm]") {
  using namespace headgate_test;
  CHECK(on_threads(2, [](hg::thread_rank& rank) {
          complaints all;
          hg::expert_parallel_layer part{hg::topk_gate<float>{.head = {.model = 4, .experts = 2}, .select = {.k = 1}},
                                         hg::linear_expert<float>{.model = 4, .outputs = 3}, 1,
                                         hg::expert_placement(2, 2), rank.rank()};
          auto grads = part.zero_gradients();
          grads.gate.head.weight.setOnes();
          for (const double limit : {0.0, -1.0, std::nan("")}) {
            try {
              hg::clip_gradient_norm(rank, limit, part, grads);
              all.expect(false, "it was not refused");
            } catch (const std::invalid_argument& error) {
              all.expect(std::string(error.what()).find("max_norm is ") != std::string::npos, error.what());
            }
          }
          all.expect((grads.gate.head.weight.array() == 1.0f).all(), "a gradient has changed");
          rank.barrier();  // the group goes on
          return all.text;
        }) == "");
}

TEST_CASE("with experts on ranks the norm is that of the whole layer, the same on all ranks",
          "[optim][clip_gradient_norm]") {
  using namespace headgate_test;
  const hg::topk_gate<float> gate{.head = {.model = 4, .experts = 5}, .select = {.k = 1}};
  const hg::linear_expert<float> linear{.model = 4, .outputs = 3};
  const hg::layer whole{gate, linear, linear, 1};
  auto grads = whole.zero_gradients();
  decltype(grads)::walk<hg::fields_of::training>(disturb_all{{3}}, grads);
  auto walked = whole;
  const double norm = hg::gradient_norm([&](auto&& visit) { walked.for_each_parameter(grads, visit); });
  CHECK(on_threads(3, [&](hg::thread_rank& rank) {
          complaints all;
          hg::expert_parallel_layer part{gate, linear, linear, 1, hg::expert_placement(5, 3), rank.rank()};
          auto mine = part.zero_gradients();
          mine.gate = grads.gate;
          mine.shared = grads.shared;
          for (hg::index i = 0; i < mine.ids.size(); ++i) mine.experts[i] = grads.experts[mine.ids[i]];
          const auto before = mine;
          const double found = hg::clip_gradient_norm(rank, norm / 2, part, mine);
          all.expect(std::fabs(found - norm) < 1e-12 * norm, "the norm is another");
          double of_root = found;
          rank.broadcast(std::span(&of_root, 1), 0);
          all.expect(found == of_root, "ranks differ");
          all.expect(relative_distance(mine.gate.head.weight, before.gate.head.weight / 2) < 1e-6, "the gate's");
          all.expect(relative_distance(mine.experts[0].weight, before.experts[0].weight / 2) < 1e-6, "an expert's");
          return all.text;
        }) == "");
}
