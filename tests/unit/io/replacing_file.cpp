// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/replacing_file.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#if __has_include(<sys/resource.h>)
#include <sys/resource.h>
#include <csignal>
#endif

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#endif

namespace hg = headgate;
namespace fs = std::filesystem;
using headgate_test::contains;

namespace {

struct test_folder {
  fs::path path = headgate_test::own_path("headgate_replacing_file_test");

  test_folder() {
    fs::remove_all(path);
    fs::create_directory(path);
  }
  ~test_folder() { fs::remove_all(path); }

  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }
};

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

}  // namespace

TEST_CASE("A replacing_file takes its place when it is committed", "[io][replacing_file]") {
  const test_folder folder;
  put(folder.path / "a", "old");
  {
    hg::replacing_file file(folder.path / "a");
    file.write("new", 3);
    file.write(nullptr, 0);
    file.write("er", 2);
    CHECK(content(folder.path / "a") == "old");
    file.commit();
  }
  CHECK(content(folder.path / "a") == "newer");
  CHECK(folder.files() == 1);
}

TEST_CASE("A replacing_file that is not committed leaves no trace", "[io][replacing_file]") {
  const test_folder folder;
  put(folder.path / "a", "old");
  { hg::replacing_file(folder.path / "a").write("new", 3); }
  CHECK(content(folder.path / "a") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("A replacing_file touches no other that is being written or was cut off", "[io][replacing_file]") {
  const test_folder folder;
  put(folder.path / "a.partial0", "somebody's");
  hg::replacing_file one(folder.path / "a"), two(folder.path / "a");
  one.write("1", 1);
  two.write("2", 1);
  one.commit();
  two.commit();
  CHECK(content(folder.path / "a") == "2");
  CHECK(content(folder.path / "a.partial0") == "somebody's");
}

TEST_CASE("A replacing_file reports a folder that is missing or in its place", "[io][replacing_file]") {
  const test_folder folder;
  CHECK_THROWS_WITH(hg::replacing_file(folder.path / "no" / "a"), contains("no/a: cannot be written: "));
  fs::create_directory(folder.path / "b");
  put(folder.path / "b" / "c", "");
  CHECK_THROWS_WITH(hg::replacing_file(folder.path / "b").commit(), contains("b: cannot be replaced: "));
  CHECK(folder.files() == 1);
}

#if __has_include(<sys/resource.h>)
TEST_CASE("A replacing_file reports a write that fails and leaves the old file whole", "[io][replacing_file]") {
  const test_folder folder;
  put(folder.path / "a", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 4096;  // as if the disk were full after 4 KiB
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string while_writing, while_closing;
  try {
    hg::replacing_file file(folder.path / "a");
    file.write(std::string(1 << 20, 'x').data(), 1 << 20);
  } catch (const std::runtime_error& error) {
    while_writing = error.what();
  }
  try {
    hg::replacing_file file(folder.path / "a");
    for (int i = 0; i < 4097; ++i) file.write("x", 1);  // the last byte waits in the buffer until the file is closed
    file.commit();
  } catch (const std::runtime_error& error) {
    while_closing = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_THAT(while_writing, contains("a: cannot be written: "));
  CHECK_THAT(while_closing, contains("a: cannot be written: "));
  CHECK(content(folder.path / "a") == "old");
  CHECK(folder.files() == 1);
}
#endif

#if defined(__linux__)
namespace {

/// What is forced to the disk while an object lives; or, with a reason, is not.
struct disk {
  struct forced {
    fs::path file;
    std::string in_place;  // the content of what is replaced, at that moment
  };
  fs::path place;
  int reason = 0;
  std::vector<forced> order = {};

  static inline disk* watching = nullptr;
  disk(fs::path replaced, int failure) : place(std::move(replaced)), reason(failure) { watching = this; }
  disk(const disk&) = delete;
  disk& operator=(const disk&) = delete;
  ~disk() { watching = nullptr; }
};

}  // namespace

// Takes the place of the system's in this program.
extern "C" int fsync(int file) {
  if (disk* const now = disk::watching; now != nullptr) {
    now->order.push_back({fs::read_symlink("/proc/self/fd/" + std::to_string(file)), content(now->place)});
    if (now->reason != 0) {
      errno = now->reason;
      return -1;
    }
  }
  return static_cast<int>(syscall(SYS_fsync, file));
}

TEST_CASE("A replacing_file is on the disk before it takes its place, and its name afterwards",
          "[io][replacing_file]") {
  const test_folder folder;
  const fs::path path = fs::canonical(folder.path) / "a";
  put(path, "old");
  const disk watched(path, 0);
  hg::replacing_file file(path);
  file.write("new", 3);
  file.commit();
  REQUIRE(watched.order.size() == 2);
  CHECK(watched.order[0].file == path.string() + ".partial0");
  CHECK(watched.order[0].in_place == "old");
  CHECK(watched.order[1].file == path.parent_path());
  CHECK(watched.order[1].in_place == "new");
}

TEST_CASE("A replacing_file that the disk does not take leaves the old file whole", "[io][replacing_file]") {
  const test_folder folder;
  put(folder.path / "a", "old");
  {
    const disk failing(folder.path / "a", EIO);
    hg::replacing_file file(folder.path / "a");
    file.write("new", 3);
    CHECK_THROWS_WITH(file.commit(), contains("a: cannot be written: "));
  }
  CHECK(content(folder.path / "a") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("A file system that cannot force a file to the disk is no failure", "[io][replacing_file]") {
  for (const int reason : {EINVAL, ENOTSUP, ENOSYS}) {
    const test_folder folder;
    put(folder.path / "a", "old");
    const disk unable(folder.path / "a", reason);
    hg::replacing_file file(folder.path / "a");
    file.write("new", 3);
    CHECK_NOTHROW(file.commit());
    CHECK(content(folder.path / "a") == "new");
  }
}
#endif
