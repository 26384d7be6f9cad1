// SPDX-License-Identifier: BSD-3-Clause
// The log of a run: JSON lines that can be taken back to an earlier length.
#pragma once

#include "domains.hpp"
#include "records.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace specialise {

/// Keeps other programs off a run for as long as it lives; a program that is killed keeps nobody off. Makes the log if there is
/// none, as that is what it locks; where files cannot be locked it does nothing. Refuses a run that another program has
/// (std::runtime_error).
class run_lock {
 public:
  explicit run_lock(const std::filesystem::path& log);
  run_lock(const run_lock&) = delete;
  run_lock& operator=(const run_lock&) = delete;
  ~run_lock();

 private:
  int file_;
};

class run_log {
 public:
  /// Opens the file, cut to its first `length` bytes. Refuses one that is shorter.
  run_log(const std::filesystem::path& path, std::uintmax_t length);

  void write_line(const std::string& json);
  void write(const step_record& record, double tokens_per_second);
  void write(const validation_record& record);
  /// A checkpoint that could not be used.
  void write_refusal(const std::string& reason);
  /// Why the run ends before its end; a log that cannot be written stays as it is. The next start cuts the line off.
  void write_failure(const std::string& reason) noexcept;
  void write_done(double seconds, const std::string& weights_checksum);

  /// Does not return before all bytes so far are on the disk: a checkpoint that counts on them must not survive them.
  void force_to_disk();
  /// Bytes so far, all of them handed to the system.
  [[nodiscard]] std::uintmax_t length() const { return length_; }

 private:
  struct close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string where_;
  std::unique_ptr<std::FILE, close> file_;
  std::uintmax_t length_ = 0;
};

/// The first line, {"run": ...}: all that decides what comes after.
[[nodiscard]] std::string describe(const settings& how, const text& data, index ranks, index parameters);

/// True if the log's last line says that the run is done. Refuses a log whose first line is not this description.
[[nodiscard]] bool is_done(const std::filesystem::path& log, const std::string& run);

}  // namespace specialise
