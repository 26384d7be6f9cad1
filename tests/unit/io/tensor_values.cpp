// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/tensor_values.hpp>

#include "support/catch.hpp"
#include "support/checkpoint_edit.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace headgate_test;

namespace {

/// A tensor "t" of this type and shape whose elements hold 0, 1, 2 ...
template <class Stored>
stored_tensor counting(hg::dtype type, std::initializer_list<hg::index> extents) {
  stored_tensor t{type, hg::detail::shape_of(extents), {}};
  hg::index size = 1;
  for (const hg::index extent : extents) size *= extent;
  t.bytes.resize(static_cast<std::size_t>(size) * sizeof(Stored));
  for (hg::index i = 0; i < size; ++i) {
    Stored value;
    if constexpr (std::is_same_v<Stored, double>)
      value = static_cast<double>(i);
    else
      value = Stored(static_cast<float>(i));
    std::memcpy(t.bytes.data() + i * static_cast<hg::index>(sizeof value), &value, sizeof value);
  }
  return t;
}

/// A checkpoint of one tensor "p.t".
struct one_tensor {
  own_folder folder{"tensor_values"};
  hg::checkpoint from;

  explicit one_tensor(const stored_tensor& tensor) : from(written(folder, tensor)) {}
  [[nodiscard]] hg::tensor_in_file get() const { return from.find("p.t"); }

  static std::filesystem::path written(const own_folder& into, const stored_tensor& tensor) {
    write_tensors(into.path / "model.safetensors", {{"p.t", tensor}});
    return into.path;
  }
};

template <class T>
hg::matrix<T> expected(const hg::tensor_part& part) {
  hg::matrix<T> m(part.rows, part.cols);
  for (hg::index r = 0; r < part.rows; ++r)
    for (hg::index c = 0; c < part.cols; ++c) m(r, c) = static_cast<T>(part.position(r, c));
  return m;
}

/// Parts of a tensor [3, 4, 5] of all layouts.
std::vector<hg::tensor_part> layouts() {
  const hg::tensor_part second = hg::stack_of("t", 3, 4, 5, 1);
  return {second, second.transposed(), second.middle_rows(1, 2), second.every_other_row(1),
          second.transposed().every_other_row(0)};
}

}  // namespace

TEST_CASE("parts of a tensor are read, whatever their layout and their number format", "[io][tensor_values]") {
  const auto check = [](const stored_tensor& stored) {
    const one_tensor file(stored);
    for (const hg::tensor_part& part : layouts()) {
      INFO(hg::describe(stored.type).name << " first " << part.first << " strides " << part.row_stride << " "
                                          << part.col_stride);
      hg::weights<double> wide;
      hg::read_part(file.get(), part, wide);
      CHECK((wide == expected<double>(part)));
      if (stored.type == hg::dtype::f64) continue;  // which no float holds
      hg::weights<float> values;
      hg::matrix<float> plain;
      hg::read_part(file.get(), part, values);
      hg::read_part(file.get(), part, plain);
      CHECK((values == expected<float>(part)));
      CHECK((plain == expected<float>(part)));
    }
  };
  check(counting<float>(hg::dtype::f32, {3, 4, 5}));
  check(counting<double>(hg::dtype::f64, {3, 4, 5}));
  check(counting<hg::bf16>(hg::dtype::bf16, {3, 4, 5}));
  check(counting<hg::fp16>(hg::dtype::f16, {3, 4, 5}));
}

TEST_CASE("tensors larger than a square of the walk are read and written whole", "[io][tensor_values]") {
  const one_tensor file(counting<float>(hg::dtype::f32, {150, 70}));
  const hg::tensor_part part = hg::whole("t", 150, 70).transposed();
  hg::matrix<float> values;
  hg::read_part(file.get(), part, values);
  CHECK((values == expected<float>(part)));
  std::vector<std::byte> bytes(150 * 70 * 4);
  hg::write_part<float>("file", "t", file.get().what->type, part, hg::view_of(std::as_const(values)), bytes.data());
  const auto stored = file.get().file->bytes(*file.get().what);
  CHECK(std::equal(bytes.begin(), bytes.end(), stored.begin(), stored.end()));
}

TEST_CASE("weights borrow a part of their own type that lies row after row", "[io][tensor_values]") {
  const one_tensor file(counting<float>(hg::dtype::f32, {3, 4, 5}));
  const auto borrowed = [&]<class T>(const hg::tensor_part& part, hg::weights<T> to) {
    hg::read_part(file.get(), part, to);
    return !to.owns();
  };
  const hg::tensor_part second = hg::stack_of("t", 3, 4, 5, 1);
  CHECK(borrowed(second, hg::weights<float>()));
  CHECK(borrowed(second.middle_rows(1, 2), hg::weights<float>()));
  CHECK_FALSE(borrowed(second.transposed(), hg::weights<float>()));
  CHECK_FALSE(borrowed(second.every_other_row(0), hg::weights<float>()));
  CHECK_FALSE(borrowed(second, hg::weights<double>()));
}

TEST_CASE("what does not lie where a float may lie is copied", "[io][tensor_values]") {
  const own_folder folder("tensor_values_odd");
  const std::string header = R"({"p.u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("p.t":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]}})";
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  bytes += header + "x";
  for (const float value : {1.5F, -2.0F}) {
    char raw[4];
    std::memcpy(raw, &value, 4);
    bytes.append(raw, 4);
  }
  for (int shift = 0; shift < 4; ++shift) {  // one of them is aligned by chance
    folder.put("model.safetensors", bytes);
    const hg::checkpoint from(folder.path);
    hg::weights<float> values;
    hg::read_part(from.find("p.t"), hg::whole("t", 1, 2), values);
    CHECK(values(0, 0) == 1.5F);
    CHECK(values(0, 1) == -2.0F);
    const auto place = reinterpret_cast<std::uintptr_t>(from.find("p.t").file->bytes(*from.find("p.t").what).data());
    CHECK(values.owns() == (place % alignof(float) != 0));
    bytes[0] = static_cast<char>(static_cast<unsigned char>(bytes[0]) + 1);  // a longer header, by one space
    bytes.insert(8 + header.size() + static_cast<std::size_t>(shift), " ");
  }
}

TEST_CASE("what was read is written back to the same bits, everything else is rounded to nearest",
          "[io][tensor_values]") {
  const auto check = [](hg::dtype type, const std::vector<std::uint16_t>& bits) {
    stored_tensor stored{type, hg::detail::shape_of({1, static_cast<hg::index>(bits.size())}), {}};
    stored.bytes.resize(2 * bits.size());
    std::memcpy(stored.bytes.data(), bits.data(), stored.bytes.size());
    const one_tensor file(stored);
    const hg::tensor_part part = hg::whole("t", 1, static_cast<hg::index>(bits.size()));
    hg::matrix<float> values;
    hg::read_part(file.get(), part, values);
    std::vector<std::byte> bytes(stored.bytes.size());
    hg::write_part<float>("file", "t", file.get().what->type, part, hg::view_of(std::as_const(values)), bytes.data());
    CHECK((bytes == stored.bytes));
    return values;
  };
  // 1, -0, the largest, the smallest denormal, infinity
  (void)check(hg::dtype::bf16, {0x3f80, 0x8000, 0x7f7f, 0x0001, 0x7f80});
  (void)check(hg::dtype::f16, {0x3c00, 0x8000, 0x7bff, 0x0001, 0x7c00});

  const one_tensor file(counting<hg::bf16>(hg::dtype::bf16, {1, 3}));
  hg::matrix<float> values(1, 3);
  values << 1 + 0x1p-9F, 1 + 0x1.8p-8F, -3;  // below half of bf16's last place, above half, exact
  std::vector<std::byte> bytes(6);
  hg::write_part<float>("file", "t", file.get().what->type, hg::whole("t", 1, 3), hg::view_of(std::as_const(values)),
                        bytes.data());
  std::uint16_t bits[3];
  std::memcpy(bits, bytes.data(), 6);
  CHECK(bits[0] == 0x3f80);
  CHECK(bits[1] == 0x3f81);
  CHECK(bits[2] == 0xc040);
}

TEST_CASE("writing a part touches nothing beside it", "[io][tensor_values]") {
  const one_tensor file(counting<float>(hg::dtype::f32, {3, 4, 5}));
  const hg::tensor_part part = hg::stack_of("t", 3, 4, 5, 1).transposed().every_other_row(1);
  std::vector<std::byte> bytes(3 * 4 * 5 * 4, std::byte{0xff});
  const hg::matrix<float> zero = hg::matrix<float>::Zero(part.rows, part.cols);
  hg::write_part<float>("file", "t", file.get().what->type, part, hg::view_of(zero), bytes.data());
  std::size_t touched = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 4) touched += bytes[i] == std::byte{0};
  CHECK(touched == static_cast<std::size_t>(part.rows * part.cols));
  for (hg::index r = 0; r < part.rows; ++r)
    for (hg::index c = 0; c < part.cols; ++c)
      CHECK(bytes[static_cast<std::size_t>(4 * part.position(r, c))] == std::byte{0});
}

TEST_CASE("a tensor that is missing, of another shape or of no floating-point type is refused", "[io][tensor_values]") {
  const one_tensor file(counting<float>(hg::dtype::f32, {4, 5}));
  CHECK(hg::find_tensor(file.from, "p.", hg::whole("t", 4, 5)).what->name == "p.t");
  CHECK_THROWS_WITH(hg::find_tensor(file.from, "q.", hg::whole("t", 4, 5)),
                    contains("has no tensor 'q.t', expected one of shape [4, 5]"));
  CHECK_THROWS_WITH(hg::find_tensor(file.from, "p.", hg::whole("t", 5, 4)),
                    contains("tensor 'p.t' has shape [4, 5], expected [5, 4]"));
  CHECK_THROWS_WITH(hg::find_tensor(file.from, "p.", hg::vector_of("t", 20)),
                    contains("tensor 'p.t' has shape [4, 5], expected [20]"));

  const one_tensor wide(counting<double>(hg::dtype::f64, {1, 2}));
  hg::weights<float> values;
  CHECK_THROWS_WITH(hg::read_part(wide.get(), hg::whole("t", 1, 2), values),
                    contains("tensor 'p.t' is F64, expected F32 or a narrower float"));
  const one_tensor blocks(stored_tensor{hg::dtype::u8, hg::detail::shape_of({1, 2}), std::vector<std::byte>(2)});
  CHECK_THROWS_WITH(hg::read_part(blocks.get(), hg::whole("t", 1, 2), values),
                    contains("tensor 'p.t' is U8, weights must be F32, BF16, F16 or F64"));
}
