// SPDX-License-Identifier: BSD-3-Clause
// A whole file in memory: mapped, so that only what is touched is read; a copy where the system maps no files.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/io/refuse_file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <system_error>

#if HEADGATE_HAS_MMAP
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace headgate {
inline namespace HEADGATE_ABI {

/// All bytes of a regular file. They may be written: a page that is written to becomes memory of this process alone, and
/// the file stays as it is. Copies share the bytes, which live as long as a copy or its `keeper`.
///
/// Nobody may shorten the file meanwhile: the system ends a program that reads beyond its end. Replacing it by another
/// file (as `save` does) is safe. Every failure to open is a std::runtime_error of one sentence.
class mapped_file {
 public:
  explicit mapped_file(const std::filesystem::path& path) : path_(path.string()) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) refuse_file(path_, "is not a file that can be read");
#if HEADGATE_HAS_MMAP
    map();
#else
    read_whole();
#endif
  }

  /// Without a mapping: reads the file into memory at once. What the constructor does where the system maps no files.
  [[nodiscard]] static mapped_file read(const std::filesystem::path& path) {
    mapped_file file;
    file.path_ = path.string();
    file.read_whole();
    return file;
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] index size() const { return size_; }
  /// The first byte, on a cache line; null for an empty file.
  [[nodiscard]] std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data(), static_cast<std::size_t>(size_)}; }
  /// Keeps the bytes alive (`weights::borrow`); null for an empty file.
  [[nodiscard]] std::shared_ptr<const void> keeper() const { return bytes_; }

  /// Gives back the memory of the pages that lie in bytes [begin, end): reading them again reads the file, and what was
  /// written there is lost. For data that are converted once. Does nothing without a mapping.
  void drop_pages([[maybe_unused]] index begin, [[maybe_unused]] index end) const {
#if HEADGATE_HAS_MMAP
    if (!mapped_ || begin < 0 || end > size_ || begin > end) return;
    const index page = static_cast<index>(::sysconf(_SC_PAGESIZE));
    const index first = (begin + page - 1) / page * page, last = end == size_ ? end : end / page * page;
    if (first < last) ::madvise(data() + first, static_cast<std::size_t>(last - first), MADV_DONTNEED);
#endif
  }

 private:
  mapped_file() = default;

#if HEADGATE_HAS_MMAP
  void map() {
    struct descriptor {
      int number;
      ~descriptor() {
        if (number >= 0) ::close(number);
      }
    };
    const descriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a pipe would wait for a writer
    struct stat about {};
    if (file.number < 0 || ::fstat(file.number, &about) != 0) refuse_with("cannot be opened for reading: ", errno);
    if (!S_ISREG(about.st_mode)) refuse_file(path_, "is not a file that can be read");
    check_size(static_cast<std::uintmax_t>(about.st_size));
    if (size_ == 0) return;  // which no system maps

    int how = MAP_PRIVATE;
#if defined(MAP_NORESERVE)
    how |= MAP_NORESERVE;  // a checkpoint may be larger than memory; who writes to all of it needs that much
#endif
    const auto length = static_cast<std::size_t>(size_);
    void* const place = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, how, file.number, 0);
    if (place == MAP_FAILED) refuse_with("cannot be mapped into memory: ", errno);
    bytes_ = {static_cast<std::byte*>(place), [length](std::byte* bytes) { ::munmap(bytes, length); }};
    mapped_ = true;
  }

  [[noreturn]] void refuse_with(const char* what, int reason) const {
    refuse_file(path_, what, std::generic_category().message(reason));
  }
#endif

  void read_whole() {
    std::error_code error;
    const auto file_bytes = std::filesystem::file_size(path_, error);
    if (error) refuse_file(path_, "is not a file that can be read");
    std::ifstream stream(path_, std::ios::binary);
    if (!stream) refuse_file(path_, "cannot be opened for reading");
    check_size(file_bytes);
    if (size_ == 0) return;
    const auto memory = std::make_shared<scratch<std::byte>>();
    memory->resize(1, size_);
    stream.read(reinterpret_cast<char*>(memory->data()), size_);
    if (!stream) refuse_file(path_, "cannot be read to its end (", size_, " bytes wanted)");
    bytes_ = std::shared_ptr<std::byte>(memory, memory->data());
  }

  void check_size(std::uintmax_t file_bytes) {
    if (file_bytes > static_cast<std::uintmax_t>((std::numeric_limits<index>::max)()))
      refuse_file(path_, "has ", file_bytes, " bytes, more than this machine can address");
    size_ = static_cast<index>(file_bytes);
  }

  std::string path_;
  std::shared_ptr<std::byte> bytes_;
  index size_ = 0;
  bool mapped_ = false;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
