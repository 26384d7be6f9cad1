// SPDX-License-Identifier: BSD-3-Clause
// A file that takes its place when it is complete, or never.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/io/refuse_file.hpp>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#if HEADGATE_HAS_FSYNC
#include <fcntl.h>
#include <unistd.h>
#endif

namespace headgate {
inline namespace HEADGATE_ABI {

/// Waits until the disk has what was handed to the system of an open file or folder. False, and errno, where the disk failed. A
/// file system that cannot do it (EINVAL, ENOTSUP, ENOSYS) has not failed, nor has a system without it (HEADGATE_HAS_FSYNC).
[[nodiscard]] inline bool force_to_disk([[maybe_unused]] int file) {
#if HEADGATE_HAS_FSYNC
  int result = 0;
  do result = fsync(file);
  while (result != 0 && errno == EINTR);
  return result == 0 || errno == EINVAL || errno == ENOTSUP || errno == ENOSYS;
#else
  return true;
#endif
}

/// Writes to a new file beside `path`, which `commit` closes and renames to `path`; without a commit it is removed. Every
/// failure (no such folder, disk full) is a std::runtime_error with the system's reason. Where HEADGATE_HAS_FSYNC a commit forces
/// the bytes to the disk before the rename and the folder after it, so that after a power cut too `path` is the whole old file or
/// the whole new one, and the new one if the commit had returned, as far as the file system and the disk keep what they say;
/// that costs a wait for the disk.
class replacing_file {
 public:
  explicit replacing_file(const std::filesystem::path& path) : path_(path), where_(path.string()) {
    int reason = 0;
    // A name of its own: others may be saving to the same place, or have been cut off.
    for (int attempt = 0; stream_ == nullptr && attempt < 100; ++attempt) {
      partial_ = path;
      partial_ += sentence(".partial", attempt);
      stream_ = std::fopen(partial_.string().c_str(), "wbx");
      reason = errno;
      if (stream_ == nullptr && reason != EEXIST) break;
    }
    if (stream_ == nullptr) refuse_to_write(reason);
  }
  replacing_file(const replacing_file&) = delete;
  replacing_file& operator=(const replacing_file&) = delete;
  ~replacing_file() {
    if (stream_ != nullptr) std::fclose(stream_);
    std::error_code ignored;
    if (!committed_) std::filesystem::remove(partial_, ignored);
  }

  void write(const void* bytes, std::size_t count) {
    if (count > 0 && std::fwrite(bytes, 1, count, stream_) != count) refuse_to_write(errno);
  }

  void commit() {
    // The last buffer goes out here, and may find the disk full.
    if (std::fflush(stream_) != 0 || !is_forced_to_disk()) refuse_to_write(errno);
    const int closed = std::fclose(stream_);
    stream_ = nullptr;
    if (closed != 0) refuse_to_write(errno);
    std::error_code error;
    std::filesystem::rename(partial_, path_, error);
    if (error) refuse_file(where_, "cannot be replaced: ", error.message());
    committed_ = true;
    force_folder_to_disk();
  }

 private:
#if HEADGATE_HAS_FSYNC
  [[nodiscard]] bool is_forced_to_disk() const { return force_to_disk(fileno(stream_)); }
  /// The file is in its place already, and there are file systems that cannot do this: no failure.
  void force_folder_to_disk() const {
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const int opened = open(folder.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0) return;
    static_cast<void>(force_to_disk(opened));
    close(opened);
  }
#else
  [[nodiscard]] static bool is_forced_to_disk() { return true; }
  static void force_folder_to_disk() {}
#endif

  [[noreturn]] void refuse_to_write(int reason) const {
    refuse_file(where_, "cannot be written: ", std::generic_category().message(reason));
  }

  std::filesystem::path path_;
  std::string where_;
  std::filesystem::path partial_;
  std::FILE* stream_ = nullptr;
  bool committed_ = false;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
