// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/packed_layer.hpp>

#include "support/packed_checks.hpp"

#include <thread>
#include <vector>

using namespace headgate_test;

namespace {

using gate = hg::topk_gate<float>;
using swiglu = hg::swiglu_expert<float>;
using linear = hg::linear_expert<float>;
using swiglu_layer = hg::layer<gate, swiglu, hg::ffn_expert<float>>;
using linear_layer = hg::layer<gate, linear>;

const gate top_2{.head = {.model = 37, .experts = 5}, .select = {.k = 2}};

swiglu_layer with_shared(std::uint64_t seed = 1) {
  return {top_2, swiglu{.model = 37, .hidden = 63}, hg::ffn_expert<float>{.model = 37, .hidden = 17}, seed};
}

/// A gate that repeats its script for every batch.
struct scripted_gate {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model, experts;
  std::vector<hg::assignment<float>> script;
  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<float>, hg::routing<float>& r, cache&) const {
    for (const auto& a : script) r.assignments.push_back(a);
  }
};

/// A packed layer, and all that a refused call must leave alone.
struct setting {
  const swiglu_layer layer = with_shared();
  const hg::packed_layer<swiglu_layer> packed{layer};
  hg::packed_layer<swiglu_layer>::workspace memory;
  hg::matrix<float> x = random_matrix<float>(7, 37, {1}), y = random_matrix<float>(7, 37, {2});

  /// What forward says, having checked that it left y alone.
  template <class X, class Y>
  std::string refused(const X& bad_x, Y&& bad_y) {
    const hg::matrix<float> before = bad_y;
    const auto said = refusal([&] { packed.forward(bad_x, bad_y, memory); });
    CHECK(same_matrix(bad_y, before));
    return said;
  }
};

}  // namespace

TEST_CASE("a packed layer says its sizes", "[packed_layer]") {
  const linear_layer layer{top_2, linear{.model = 37, .outputs = 21}, 1};
  const hg::packed_layer<linear_layer> packed(layer);
  CHECK((packed.model() == 37 && packed.outputs() == 21 && packed.experts() == 5));
  CHECK(packed.gate().select.k == 2);
  CHECK(packed.bytes() >= hg::index{5 * 37 * 21 * sizeof(float)});
  const hg::packed_layer<linear_layer, hg::bf16> half(layer);
  CHECK(half.bytes() >= hg::index{5 * 37 * 21 * 2});
  CHECK(half.bytes() < packed.bytes());
  const swiglu_layer shared = with_shared();
  CHECK(hg::packed_layer<swiglu_layer>(shared).bytes() >= hg::index{(5 * 3 * 37 * 63 + 2 * 37 * 17) * sizeof(float)});
}

TEST_CASE("a packed layer computes into a new matrix, a resized one and a block of one", "[packed_layer]") {
  setting s;
  const hg::matrix<float> expected = s.layer(s.x);
  CHECK(same_matrix(s.packed(s.x), expected));
  hg::matrix<float> y;
  s.packed.forward(s.x, y, s.memory);
  CHECK(same_matrix(y, expected));
  hg::matrix<float> wide = hg::matrix<float>::Constant(9, 50, 3);
  s.packed.forward(s.x.middleRows(2, 4), wide.block(1, 5, 4, 37), s.memory);
  CHECK(same_matrix(wide.block(1, 5, 4, 37), expected.middleRows(2, 4)));
  wide.block(1, 5, 4, 37).setConstant(3);
  CHECK((wide.array() == 3).all());
  CHECK(s.packed(hg::matrix<float>(0, 37)).rows() == 0);
}

TEST_CASE("a packed layer refuses wrong shapes with one sentence and leaves y alone", "[packed_layer]") {
  setting s;
  CHECK(s.refused(random_matrix<float>(7, 36, {3}), s.y) ==
        "packed_layer::forward: x has 36 columns, the layer was built for model = 37");
  CHECK(s.refused(random_matrix<float>(0, 38, {3}), s.y) ==
        "packed_layer::forward: x has 38 columns, the layer was built for model = 37");
  CHECK(s.refused(s.x, s.y.middleRows(0, 6)).substr(0, 24) == "packed_layer::forward: y");
  CHECK(s.refused(s.x, s.y.leftCols(36)).substr(0, 24) == "packed_layer::forward: y");
  hg::matrix<float> both = s.x;
  CHECK(s.refused(both, both).substr(0, 30) == "packed_layer::forward: x and y");
  s.packed.forward(s.x, s.y, s.memory);  // a refusal leaves nothing behind
  CHECK(same_matrix(s.y, s.layer(s.x)));
}

TEST_CASE("a packed layer refuses what is not finite with its place and leaves y alone", "[packed_layer]") {
  setting s;
  for (const float bad : {not_a_number<float>, infinity<float>, -infinity<float>}) {
    auto x = s.x;
    x(3, 36) = bad;
    CHECK(s.refused(x, s.y) ==
          hg::sentence("packed_layer::forward: x holds ", bad, " at row 3, column 36, values must be finite"));
  }
  auto broken = with_shared();
  broken.params().gate.head.weight(2, 0) = not_a_number<float>;
  const hg::packed_layer<swiglu_layer> packed(broken);
  const auto before = s.y;
  const auto by_packed = refusal([&] { packed.forward(s.x, s.y, s.memory); });
  CHECK(by_packed == refusal([&] { static_cast<void>(broken(s.x)); }));
  CHECK_FALSE(by_packed.empty());
  CHECK(same_matrix(s.y, before));
}

TEST_CASE("changes to the layer after packing are not seen", "[packed_layer]") {
  auto layer = with_shared();
  const hg::packed_layer<swiglu_layer> packed(layer);
  const auto x = random_matrix<float>(20, 37, {4});
  const hg::matrix<float> before = packed(x);
  disturb(layer, 3);
  layer.options().capacity.factor = 0.5;
  layer.gate().select.k = 1;
  CHECK(same_matrix(packed(x), before));
  CHECK_FALSE(same_matrix(layer(x), before));
}

TEMPLATE_TEST_CASE("a packed layer drops what is above the capacity as the layer does", "[packed_layer]", float,
                   hg::bf16) {
  for (const auto rule : {hg::drop::by_position, hg::drop::by_probability})
    for (const double factor : {0.3, 0.9}) {
      const hg::layer_options options{.capacity = {.factor = factor, .drop = rule}};
      const linear_layer layer{top_2, linear{.model = 37, .outputs = 21}, 5, options};
      linear_layer::workspace memory;
      hg::matrix<float> y;
      layer.forward(random_matrix<float>(100, 37, {1}), y, memory);
      REQUIRE(memory.plan.dropped() > 0);
      check_packed<TestType>(layer, 7);
    }
}

TEST_CASE("a packed layer follows any record: tokens without experts, one expert twice, any order", "[packed_layer]") {
  numbers next(8);
  hg::layer layer{scripted_gate{37, 5, {}}, linear{.model = 37, .outputs = 21}, 5};
  const auto x = random_matrix<float>(40, 37, {1});
  const auto check = [&] {
    CHECK(same_matrix(hg::packed_layer<std::remove_cvref_t<decltype(layer)>>(layer)(x), layer(x)));
  };
  check();  // nobody goes anywhere
  auto& script = layer.gate().script;
  for (int a = 0; a < 150; ++a) script.push_back({next.below(30), next.below(4), next.within(1.0F)});
  check();
  for (auto& a : script) a.expert = 2;
  check();  // all to one
  for (auto& a : script) a.token = 39;
  check();
  script.resize(1);
  check();
}

TEST_CASE("threads share one packed layer, each with a workspace and the bits that it gets alone", "[packed_layer]") {
  const swiglu_layer layer = with_shared();
  const hg::packed_layer<swiglu_layer, hg::fp16> packed(layer);
  const hg::thread_pool pool(2);
  std::vector<hg::matrix<float>> x, alone, together(4);
  for (std::uint64_t i = 0; i < 4; ++i) {
    x.push_back(random_matrix<float>(60, 37, {i}));
    alone.push_back(packed(x.back()));
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      hg::packed_layer<swiglu_layer, hg::fp16>::workspace memory;
      for (int pass = 0; pass < 5; ++pass) packed.forward(any_executor(pool), x[i], together[i], memory);
    });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i) CHECK(same_matrix(together[i], alone[i]));
}

TEST_CASE("a workspace serves packed layers of other sizes, one after the other", "[packed_layer]") {
  const linear_layer small{top_2, linear{.model = 37, .outputs = 21}, 1};
  const linear_layer large{gate{.head = {.model = 100, .experts = 9}, .select = {.k = 3}},
                           linear{.model = 100, .outputs = 257}, 2};
  const hg::packed_layer<linear_layer> one(small), two(large);
  hg::packed_layer<linear_layer>::workspace memory;
  hg::matrix<float> y;
  const auto x = random_matrix<float>(5, 37, {1}), wide = random_matrix<float>(31, 100, {2});
  for (int turn = 0; turn < 2; ++turn) {
    one.forward(x, y, memory);
    CHECK(same_matrix(y, small(x)));
    two.forward(wide, y, memory);
    CHECK(same_matrix(y, large(wide)));
  }
}

TEST_CASE("static sizes are packed too", "[packed_layer]") {
  const hg::layer layer{hg::topk_gate<float, 37, 5, 2>{}, hg::swiglu_expert<float, 37, 19>{}, 7};
  const hg::packed_layer<std::remove_cv_t<decltype(layer)>> packed(layer);
  const auto x = random_matrix<float>(11, 37, {1});
  CHECK(same_matrix(packed(x), layer(x)));
}

namespace {

/// A user's: y = (x up')^3 down', on the library's products, and able to be packed.
struct cubic_expert {
  using scalar = float;
  struct params {
    hg::matrix<float> up, down;
  };
  struct cache {
    hg::scratch<float> memory;
  };
  static constexpr auto fields = std::tuple{hg::field{"up", &params::up}, hg::field{"down", &params::down}};
  hg::index model, hidden;

  params init(std::mt19937_64& g) const {
    return {hg::randn<float>(hidden, model, g, 0.3F), hg::randn<float>(model, hidden, g, 0.3F)};
  }
  void forward(const params& p, hg::in<float> x, hg::out<float> y, cache& c) const {
    hg::matrix<float> h(x.rows(), hidden);
    const auto multiply = [&](const auto& product) { hg::kernels::gemm(product, hg::run_sequentially, c.memory); };
    multiply(hg::kernels::times_transposed(hg::view_of(x), nullptr, hg::view_of(p.up), hg::view_of(h)));
    h = h.unaryExpr([this](float sum) { return activate(sum); });
    multiply(hg::kernels::times_transposed<float>(hg::view_of(h), nullptr, hg::view_of(p.down), hg::view_of(y)));
  }

  static auto input_projection(const params& p) { return hg::kernels::of_weight<float>(hg::view_of(p.up)); }
  static auto output_projection(const params& p) { return hg::kernels::of_weight<float>(hg::view_of(p.down)); }
  template <class V>
  V activate(const V& sum) const {
    return sum * sum * sum;
  }
};
static_assert(hg::packable_expert<cubic_expert>);

}  // namespace

TEST_CASE("an expert of the user's is packed as ours are", "[packed_layer]") {
  const hg::layer layer{top_2, cubic_expert{37, 63}, 1};
  const hg::packed_layer packed{layer};
  const auto x = random_matrix<float>(40, 37, {1});
  CHECK(same_matrix(packed(x), layer(x)));
}

namespace {

template <class Storage = float, class Layer>
std::string refusal_to_pack(const Layer& layer) {
  return refusal([&] { static_cast<void>(hg::packed_layer<Layer, Storage>(layer)); });
}

}  // namespace

TEST_CASE("a layer whose parameters do not have the sizes that it says is not packed", "[packed_layer]") {
  const hg::layer layer{top_2, swiglu{.model = 37, .hidden = 19}, 1};
  auto more_experts = layer;
  more_experts.gate().head.experts = 16;
  CHECK(refusal_to_pack(more_experts) == "packed_layer: the gate says experts = 16, the layer has 5");
  auto wider = layer;
  wider.gate().head.model = 38;
  CHECK(refusal_to_pack(wider) == "packed_layer: the gate says model = 38, the layer was built for 37");
  auto odd_one = layer;
  odd_one.params().experts[3] = hg::layer{top_2, swiglu{.model = 37, .hidden = 20}, 1}.params().experts[3];
  CHECK(refusal_to_pack(odd_one) ==
        "packed_layer: expert 3 has hidden = 20 and other biases or sizes than expert 0, which has 19");
  auto narrow = layer;
  narrow.params().experts[2].down.resize(37, 18);
  CHECK(refusal_to_pack(narrow) == "packed_layer: the output projection of expert 2 takes 18 values, there are 19");
}

TEST_CASE("a finite weight that the storage cannot hold is not packed, an infinite one is", "[packed_layer]") {
  hg::layer layer{top_2, hg::linear_expert<float>{.model = 37, .outputs = 3}, 1};
  layer.params().experts[4].weight(2, 36) = 65519.9F;  // rounds to 65504
  CHECK(refusal_to_pack<hg::fp16>(layer).empty());
  layer.params().experts[4].weight(2, 36) = -65520.0F;
  CHECK(refusal_to_pack<hg::fp16>(layer) ==
        "packed_layer: expert 4 has a weight of -65520, beyond the largest number of its storage");
  CHECK(refusal_to_pack<hg::bf16>(layer).empty());
  layer.params().experts[4].weight(2, 36) = std::numeric_limits<float>::infinity();
  CHECK(refusal_to_pack<hg::fp16>(layer).empty());
}

TEST_CASE("either bias of a pair may be missing", "[packed_layer]") {
  for (const bool of_gate : {true, false}) {
    hg::layer layer{top_2,
                    hg::swiglu_expert<float, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 37, .hidden = 19}, 1};
    for (auto& p : layer.params().experts) {
      (of_gate ? p.up_bias : p.gate_bias).resize(0, 0);
      (of_gate ? p.gate_bias : p.up_bias).setConstant(0.5F);
    }
    const auto x = random_matrix<float>(9, 37, {1});
    CHECK(same_matrix(hg::packed_layer(layer)(x), layer(x)));
  }
}
