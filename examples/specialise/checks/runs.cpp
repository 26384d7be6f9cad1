// SPDX-License-Identifier: BSD-3-Clause
// Whole runs, in folders and processes of their own.
#include "runs.hpp"

#include <nlohmann/json.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

namespace specialise {

folder::folder(const char* name) : path_(fs::temp_directory_path() / hg::sentence(name, "-", getpid())) {
  fs::remove_all(path_);
  fs::create_directories(path_);
}

folder::~folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string comparable_log(const fs::path& path, index* refused) {
  std::ifstream file(path);
  std::string all;
  for (std::string line; std::getline(file, line);) {
    auto said = nlohmann::ordered_json::parse(line);
    if (said.contains("refused")) {
      if (refused) ++*refused;
      continue;
    }
    said.erase("tokens_per_second");
    if (said.contains("done")) said["done"].erase("seconds");
    all += said.dump() + "\n";
  }
  return all;
}

bool train_in_child(const settings& how, const text& data, const fs::path& out, index ranks, const watcher& watch,
                    double kill_after) {
  std::fflush(stdout);
  const pid_t child = fork();
  require(child >= 0, "fork failed");
  if (child == 0) {
    int result = 1;
    try {
      train(how, data, out, ranks, watch);
      result = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    _exit(result);
  }
  if (kill_after > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kill_after));
    kill(child, SIGKILL);
  }
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid failed");
  require(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "a child failed");
  return !WIFSIGNALED(status);
}

watcher killed_after(index step) {
  watcher watch;
  watch.step = [step](const run_view& now) {
    if (now.step == step) std::raise(SIGKILL);
  };
  return watch;
}

void same_end(const settings& how, const fs::path& log, const std::string& expected, const std::string& what) {
  const std::string found = comparable_log(log);
  require(expected.find("weights_checksum") != std::string::npos, "the undisturbed run has no checksum");
  require(found == expected, what, ": the log of ", pool_name(how), " ends with ",
          found.substr(found.size() - std::min<std::size_t>(found.size(), 100)), " and not as undisturbed with ",
          expected.substr(expected.size() - 100));
}

std::string sentence_of(const std::function<void()>& refused) {
  try {
    refused();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace specialise
