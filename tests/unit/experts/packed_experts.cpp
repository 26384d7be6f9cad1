// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/experts/packed_experts.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/expert_checks.hpp"
#include "support/product_checks.hpp"
#include "support/shuffled.hpp"

using namespace headgate_test;

namespace {

/// The weight at depth l and column j of the first B of a packed operand, or of the second.
template <class T, class Storage>
T unpacked(const k::product<T, Storage>& p, hg::index l, hg::index j, bool second = false) {
  const hg::index per_panel = k::panel_cols<arch>(p);
  const hg::index column = j % per_panel + (second ? per_panel : 0);
  return static_cast<T>(
      p.panels[(j / per_panel * p.depth + l) * panel<T> + k::panel_storage<arch, T, Storage>::position(column)]);
}

/// True if p holds w (cols x depth), rounded to its storage, and its bias or none.
template <class T, class Storage>
bool holds(const k::product<T, Storage>& p, const hg::weights<T>& w, const hg::matrix<T>& bias, bool second = false) {
  if (p.cols != w.rows() || p.depth != w.cols() || reinterpret_cast<std::uintptr_t>(p.panels) % 64 != 0) return false;
  for (hg::index j = 0; j < p.cols; ++j)
    for (hg::index l = 0; l < p.depth; ++l)
      if (!same_bits(unpacked(p, l, j, second), through<Storage>(w(j, l)))) return false;
  const T* const kept = second ? p.bias_pair : p.bias;
  if (bias.size() == 0) return kept == nullptr;
  for (hg::index j = 0; j < p.cols; ++j)
    if (!same_bits(kept[j], bias(0, j))) return false;
  return true;
}

const auto glu = []<class T>(T) {
  return hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 37, .hidden = 63};
};

}  // namespace

TEMPLATE_TEST_CASE("packed experts hold gate and up side by side and down, each with its bias",
                   "[experts][packed_experts]", HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  const auto check = [](auto expert) {
    bank b(expert);
    const hg::packed_experts<decltype(expert), Storage> packed(expert, b.params, hg::run_sequentially);
    CHECK(packed.count() == 3);
    CHECK(packed.hidden() == 63);
    for (hg::index e = 0; e < 3; ++e) {
      const auto& p = b.params[static_cast<std::size_t>(e)];
      const auto in = packed.input_projection(e), out = packed.output_projection(e);
      CHECK((in.paired && holds(in, p.gate, p.gate_bias) && holds(in, p.up, p.up_bias, true)));
      CHECK((!out.paired && holds(out, p.down, p.down_bias)));
      CHECK((!in.accumulate && !out.accumulate && in.rows == 0 && !in.a && !in.c));
    }
    // Both projections, each rounded up to whole panels and cache lines.
    const hg::index most = 3 * (2 * 37 * (63 + panel<T>)+(63 + 1) * (37 + panel<T>)) + 6 * 64;
    CHECK(packed.bytes() >= 3 * (3 * 37 * 63) * hg::index{sizeof(Storage)});
    CHECK(packed.bytes() <= most * hg::index{sizeof(Storage)});
  };
  check(glu(T{}));
  check(hg::reglu_expert<T>{.model = 37, .hidden = 63});
}

TEMPLATE_TEST_CASE("packed experts of other kinds hold their projections", "[experts][packed_experts]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  {
    bank b(hg::ffn_expert<T, hg::relu, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 5, .hidden = 100});
    const hg::packed_experts<decltype(b.expert), Storage> packed(b.expert, b.params, hg::run_sequentially);
    CHECK(packed.hidden() == 100);
    CHECK(
        (holds(packed.input_projection(2), b.params[2].up, b.params[2].up_bias) && !packed.input_projection(2).paired));
    CHECK(holds(packed.output_projection(2), b.params[2].down, b.params[2].down_bias));
  }
  {
    bank b(hg::linear_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 17, .outputs = 3});
    const hg::packed_experts<decltype(b.expert), Storage> packed(b.expert, b.params, hg::run_sequentially);
    CHECK_FALSE(packed.has_input_projection);
    CHECK(packed.hidden() == 0);
    CHECK(holds(packed.output_projection(1), b.params[1].weight, b.params[1].bias));
  }
  {
    bank b(hg::lora_expert<T>{.model = 17, .outputs = 33, .rank = 3});
    const hg::packed_experts<decltype(b.expert), Storage> packed(b.expert, b.params, hg::run_sequentially);
    CHECK(holds(packed.input_projection(0), b.params[0].down, {}));
    CHECK(holds(packed.output_projection(0), b.params[0].up, {}));
  }
}

TEST_CASE("a frozen expert is packed as the expert it holds", "[experts][packed_experts]") {
  bank b(hg::frozen{glu(float{})});
  const hg::packed_experts<decltype(b.expert), float> packed(b.expert, b.params, hg::run_sequentially);
  CHECK((packed.input_projection(1).paired &&
         holds(packed.input_projection(1), b.params[1].up, b.params[1].up_bias, true)));
  CHECK(holds(packed.output_projection(1), b.params[1].down, b.params[1].down_bias));
  using frozen_linear = hg::frozen<hg::linear_expert<float>>;
  CHECK_FALSE(hg::packed_experts<frozen_linear, float>::has_input_projection);
  CHECK(hg::packable_expert<frozen_linear>);
}

TEST_CASE("any executor packs the same bits, and a copy is a copy", "[experts][packed_experts]") {
  bank b(glu(float{}));
  using weights = hg::packed_experts<decltype(b.expert), hg::bf16>;
  const weights alone(b.expert, b.params, hg::run_sequentially);
  const auto check = [&](const weights& other) {
    for (hg::index e = 0; e < 3; ++e) {
      const auto& p = b.params[static_cast<std::size_t>(e)];
      CHECK((holds(other.input_projection(e), p.gate, p.gate_bias) &&
             holds(other.output_projection(e), p.down, p.down_bias)));
      CHECK(other.input_projection(e).panels != alone.input_projection(e).panels);
    }
    CHECK(other.bytes() == alone.bytes());
  };
  check(weights(b.expert, b.params, shuffled{3, 7}));
  check(weights(b.expert, b.params, hg::thread_pool(2)));
  check(weights(alone));
}

TEST_CASE("no experts take no memory", "[experts][packed_experts]") {
  const hg::linear_expert<float> expert{.model = 4, .outputs = 2};
  const hg::packed_experts<hg::linear_expert<float>, float> none(expert, {}, hg::run_sequentially);
  CHECK((none.count() == 0 && none.bytes() == 0));
}

namespace {

struct opaque_expert {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model;
  params init(std::mt19937_64&) const { return {}; }
  void forward(const params&, hg::in<float>, hg::out<float>, cache&) const {}
};

static_assert(hg::expert_policy<opaque_expert> && !hg::packable_expert<opaque_expert>);
static_assert(hg::packable_expert<hg::swiglu_expert<float>> && hg::packable_expert<hg::ffn_expert<double>> &&
              hg::packable_expert<hg::linear_expert<float>> && hg::packable_expert<hg::lora_expert<float>> &&
              hg::packable_expert<hg::frozen<hg::ffn_expert<float>>>);

}  // namespace
