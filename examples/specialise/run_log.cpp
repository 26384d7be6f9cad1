// SPDX-License-Identifier: BSD-3-Clause
#include "run_log.hpp"

#include <headgate/io/refuse_file.hpp>
#include <headgate/io/replacing_file.hpp>

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace specialise {

using json = nlohmann::ordered_json;

run_lock::run_lock(const std::filesystem::path& log) : file_(open(log.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_ < 0) hg::refuse_file(log.string(), "the log cannot be written: ", std::generic_category().message(errno));
  if (flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) return;  // a file system without locks
  close(file_);
  hg::refuse_file(log.string(), "another program is at this run");
}

run_lock::~run_lock() { close(file_); }

run_log::run_log(const std::filesystem::path& path, std::uintmax_t length) : where_(path.string()) {
  std::error_code error;
  const std::uintmax_t there = std::filesystem::exists(path, error) ? std::filesystem::file_size(path, error) : 0;
  if (error) hg::refuse_file(where_, "the log cannot be read: ", error.message());
  if (there < length)
    hg::refuse_file(where_, "the log has ", there, " bytes, the checkpoint was written when it had ", length);
  if (there > length) std::filesystem::resize_file(path, length, error);
  if (error) hg::refuse_file(where_, "the log cannot be cut to ", length, " bytes: ", error.message());
  file_.reset(std::fopen(where_.c_str(), "ab"));
  if (!file_) hg::refuse_file(where_, "the log cannot be written: ", std::generic_category().message(errno));
  length_ = length;
}

void run_log::write_line(const std::string& line) {
  const std::string bytes = line + "\n";
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size() || std::fflush(file_.get()) != 0)
    hg::refuse_file(where_, "the log cannot be written: ", std::generic_category().message(errno));
  length_ += bytes.size();
}

void run_log::force_to_disk() {
  if (!hg::force_to_disk(fileno(file_.get())))
    hg::refuse_file(where_, "the log cannot be forced to the disk: ", std::generic_category().message(errno));
}

void run_log::write(const step_record& record, double tokens_per_second) {
  write_line(json{{"step", record.step},
                  {"train_bpb", record.train_bpb},
                  {"balance", record.balance},
                  {"micro_balance", record.micro_balance},
                  {"tokens_per_second", tokens_per_second}}
                 .dump());
}

void run_log::write(const validation_record& record) {
  std::vector<double> information, largest_frequency;
  for (const domain_counts& layer : record.counts) {
    information.push_back(information_of(layer));
    largest_frequency.push_back(largest_frequency_of(layer));
  }
  write_line(json{{"validation", json{{"step", record.step},
                                      {"bpb", record.bpb()},
                                      {"bpb_by_domain", record.bpb_by_domain},
                                      {"information", information},
                                      {"largest_frequency", largest_frequency},
                                      {"counts", record.counts}}}}
                 .dump());
}

void run_log::write_refusal(const std::string& reason) { write_line(json{{"refused", reason}}.dump()); }

void run_log::write_failure(const std::string& reason) noexcept {
  try {
    write_refusal(reason);
  } catch (const std::exception&) {  // the reason itself is on its way
  }
}

void run_log::write_done(double seconds, const std::string& weights_checksum) {
  write_line(json{{"done", json{{"seconds", seconds}, {"weights_checksum", weights_checksum}}}}.dump());
}

std::string describe(const settings& how, const text& data, index ranks, index parameters) {
  json names = json::array();
  for (const domain& one : data.domains()) names.push_back(one.name);
  const model_sizes& s = how.sizes;
  return json{{"run", json{{"name", run_name(how, ranks)},
                           {"pool", pool_name(how)},
                           {"pool_size", how.pool.size},
                           {"seed", how.seed},
                           {"ranks", ranks},
                           {"domains", names},
                           {"layers", s.layers},
                           {"experts", s.experts},
                           {"k", s.k},
                           {"model", s.model},
                           {"hidden", s.hidden},
                           {"taps", s.taps},
                           {"steps", how.steps},
                           {"sequence", s.sequence},
                           {"batch", how.batch},
                           {"micro", how.micro},
                           {"chunk", how.chunk},
                           {"weight", how.weight},
                           {"router_z", how.router_z},
                           {"rate", how.rate},
                           {"warmup", how.warmup},
                           {"weight_decay", how.weight_decay},
                           {"clip", how.clip},
                           {"log_every", how.log_every},
                           {"validate_every", how.validate_every},
                           {"validation_sequences", how.validation_sequences},
                           {"parameters", parameters},
                           {"data", json{{"train_bytes", data.training_bytes()},
                                         {"validation_bytes", data.validation_bytes()},
                                         {"digest", data.checksum()}}}}}}
      .dump();
}

bool is_done(const std::filesystem::path& log, const std::string& run) {
  std::ifstream file(log);
  std::string last;
  if (std::getline(file, last) && !file.eof() && last != run)
    hg::refuse(log.string(), ": is the log of a run with other settings or other text; give it another --out");
  for (std::string line; std::getline(file, line);) last = std::move(line);
  const json line = json::parse(last, nullptr, false);
  return line.is_object() && line.contains("done");
}

}  // namespace specialise
