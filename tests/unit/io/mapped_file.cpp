// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/weights.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/io/mapped_file.hpp>
#include <headgate/layer.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#if HEADGATE_HAS_MMAP
#include <sys/stat.h>
#endif

namespace hg = headgate;
namespace fs = std::filesystem;
using headgate_test::contains;

namespace {

/// A file of the test, gone at its end.
struct test_file {
  fs::path path = headgate_test::own_path("headgate_mapped_file_test");

  explicit test_file(const std::string& bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  ~test_file() { fs::remove_all(path); }

  std::string content() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

std::string text_of(const hg::mapped_file& file) {
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  std::transform(file.bytes().begin(), file.bytes().end(), text.begin(),
                 [](std::byte b) { return static_cast<char>(b); });
  return text;
}

std::string pages(std::size_t count) {
  std::string text(count * 4096 + 17, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 >> 4);
  return text;
}

#if HEADGATE_HAS_MMAP && defined(__linux__)
/// Memory of this process that is in use, in bytes.
hg::index resident() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmRSS:") {
      hg::index kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  return -1;
}
#endif

}  // namespace

TEST_CASE("A mapped_file holds the bytes of the file", "[io][mapped_file]") {
  const test_file on_disk(pages(3));
  for (const hg::mapped_file& file : {hg::mapped_file(on_disk.path), hg::mapped_file::read(on_disk.path)}) {
    CHECK(file.path() == on_disk.path.string());
    CHECK(file.size() == 3 * 4096 + 17);
    CHECK(text_of(file) == pages(3));
    CHECK(reinterpret_cast<std::uintptr_t>(file.data()) % 64 == 0);
  }
}

TEST_CASE("An empty file is a file without bytes", "[io][mapped_file]") {
  const test_file on_disk("");
  for (const hg::mapped_file& file : {hg::mapped_file(on_disk.path), hg::mapped_file::read(on_disk.path)}) {
    CHECK(file.size() == 0);
    CHECK(file.bytes().empty());
    CHECK(file.keeper() == nullptr);
  }
}

TEST_CASE("What is written to a mapped_file does not reach the file", "[io][mapped_file]") {
  const test_file on_disk(pages(2));
  for (const hg::mapped_file& file : {hg::mapped_file(on_disk.path), hg::mapped_file::read(on_disk.path)}) {
    for (std::byte& b : file.bytes()) b = std::byte{7};
    CHECK(text_of(file) == std::string(2 * 4096 + 17, 7));
    CHECK(on_disk.content() == pages(2));
    CHECK(text_of(hg::mapped_file(on_disk.path)) == pages(2));
  }
}

TEST_CASE("The bytes live as long as a copy or a keeper, even if the file is gone", "[io][mapped_file]") {
  std::optional<test_file> on_disk(pages(1));
  std::shared_ptr<const void> keeper;
  const std::byte* first = nullptr;
  {
    const hg::mapped_file file(on_disk->path);
    const hg::mapped_file copy = file;
    CHECK(copy.data() == file.data());
    keeper = copy.keeper();
    first = copy.data();
  }
  on_disk.reset();
  CHECK(std::memcmp(first, pages(1).data(), 4096) == 0);
}

TEST_CASE("What is no regular file is refused", "[io][mapped_file]") {
  CHECK_THROWS_WITH(hg::mapped_file("/no/such/file"), "/no/such/file: is not a file that can be read");
  CHECK_THROWS_WITH(hg::mapped_file::read("/no/such/file"), "/no/such/file: is not a file that can be read");
  CHECK_THROWS_WITH(hg::mapped_file(fs::temp_directory_path()), contains("is not a file that can be read"));
#if HEADGATE_HAS_MMAP
  const test_file pipe("");
  fs::remove(pipe.path);
  REQUIRE(::mkfifo(pipe.path.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(hg::mapped_file(pipe.path), contains("is not a file that can be read"));
#endif
}

TEST_CASE("Parameters of a layer may lie in a mapped file and be trained without touching it", "[io][mapped_file]") {
  std::string numbers(2 * 4 * 3 * sizeof(float), '\0');
  for (std::size_t i = 0; i < 24; ++i) {
    const float value = static_cast<float>(i) / 8.0f - 1.0f;
    std::memcpy(&numbers[i * sizeof(float)], &value, sizeof value);
  }
  const test_file on_disk(numbers);
  using layer_type = hg::layer<hg::topk_gate<float>, hg::linear_expert<float>>;
  const auto make = [&] {
    const hg::mapped_file file(on_disk.path);
    layer_type::parameters ready;
    ready.gate.head.weight = hg::matrix<float>::Ones(2, 3);
    ready.experts.resize(2);
    for (hg::index e = 0; e < 2; ++e)
      ready.experts[e].weight =
          hg::weights<float>::borrow(reinterpret_cast<float*>(file.data()) + 12 * e, 4, 3, file.keeper());
    return hg::layer{hg::topk_gate<float>{.head = {.model = 3, .experts = 2}, .select = {.k = 2}},
                     hg::linear_expert<float>{.model = 3, .outputs = 4}, std::move(ready)};
  };
  layer_type layer = make();
  const layer_type untrained = make();
  const hg::matrix<float> x = hg::matrix<float>::Ones(5, 3);
  const hg::matrix<float> before = layer(x);
  layer_type::tape tape;
  hg::matrix<float> y, dx;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, y, tape, dx, grads);
  for (hg::index e = 0; e < 2; ++e) {
    CHECK_FALSE(layer.params().experts[e].weight.owns());
    CHECK(grads.experts[e].weight.owns());
    layer.params().experts[e].weight -= 0.1f * grads.experts[e].weight;
  }
  CHECK(layer(x) != before);
  CHECK(on_disk.content() == numbers);
  CHECK(untrained(x) == before);  // of a mapping of its own
  CHECK(make()(x) == before);
}

TEST_CASE("A file of 2 GiB is mapped without memory for it", "[io][mapped_file]") {
#if HEADGATE_HAS_MMAP && defined(__linux__)
  const test_file on_disk("begin");
  const hg::index size = hg::index{2} << 30;
  fs::resize_file(on_disk.path, static_cast<std::uintmax_t>(size));  // sparse: no room on the disk either
  const hg::index before = resident();
  REQUIRE(before > 0);
  const hg::mapped_file file(on_disk.path);
  CHECK(file.size() == size);
  CHECK(file.data()[2] == std::byte{'g'});
  CHECK(file.data()[size - 1] == std::byte{0});
  file.data()[size / 2] = std::byte{1};
  const auto borrowed =
      hg::weights<float>::borrow(reinterpret_cast<float*>(file.data()), size / 4 / 1024, 1024, file.keeper());
  const auto moved = hg::weights<float>::borrow(const_cast<float*>(borrowed.data()), borrowed.rows(), borrowed.cols());
  CHECK(moved(size / 8192, 0) != 0.0f);
  CHECK(resident() - before < hg::index{16} << 20);
#else
  WARN("skipped: only Linux tells the memory in use by /proc/self/status");
#endif
}

TEST_CASE("Pages that are dropped are read from the file again", "[io][mapped_file]") {
#if HEADGATE_HAS_MMAP
  const test_file on_disk(pages(64));
  const hg::mapped_file file(on_disk.path);
  for (std::byte& b : file.bytes()) b = std::byte{7};
  file.drop_pages(file.size() / 2, file.size());
  CHECK(file.data()[0] == std::byte{7});
  CHECK(file.data()[file.size() / 2 - 1] == std::byte{7});
  CHECK(file.data()[file.size() - 1] == static_cast<std::byte>(pages(64).back()));
  file.drop_pages(1, 2);  // no whole page
  CHECK(file.data()[1] == std::byte{7});
  file.drop_pages(-5, file.size());  // not in the file
  file.drop_pages(0, file.size() + 1);
  CHECK(file.data()[0] == std::byte{7});
  file.drop_pages(0, file.size());
  CHECK(text_of(file) == pages(64));
#else
  WARN("skipped: this system maps no files");
#endif
}
