// SPDX-License-Identifier: BSD-3-Clause
#include "read_runs.hpp"

#include <support/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace specialise;
using headgate_test::contains;

namespace {

const std::filesystem::path folder = SPECIALISE_TEST_RUNS;

std::string text_of(const std::string& file) {
  std::ifstream stream(folder / file);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.rfind(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("a log is read back", "[specialise][read_runs]") {
  const logged_run run = parse_run(text_of("global-s2-r1.jsonl"));
  CHECK(run.name == "global-s2-r1");
  CHECK(run.pool == "global");
  CHECK(run.pool_size == 4);
  CHECK(run.seed == 2);
  CHECK(run.ranks == 1);
  CHECK(run.domains == std::vector<std::string>{"a&b", "c"});
  REQUIRE(run.validations.size() == 3);
  CHECK(run.validations.front().bpb() == 8);
  CHECK(run.last().step == 20);
  CHECK(run.last().bpb() == 2.5);
  CHECK(run.last().bpb_by_domain == std::vector<double>{3, 2});
  CHECK(run.last().counts == std::vector<domain_counts>{{{12, 4}, {4, 12}}});
  CHECK(run.balance == std::vector<double>{1.125});  // of the last tenth of the steps
  CHECK(run.micro_balance == std::vector<double>{1.25});
  CHECK(run.weight == 0.01);
  CHECK(run.tokens_per_second == 2000);
  CHECK(run.seconds == 30);
  CHECK(run.weights_checksum == "0123456789abcdef");
  CHECK(run.settings.at("data").at("train_bytes") == 1500000);
  CHECK_FALSE(run.settings.contains("seed"));
}

TEST_CASE("lines that a resumed run wrote again replace the first", "[specialise][read_runs]") {
  const std::string text = text_of("global-s1-r1.jsonl");
  const std::string again =
      replaced(text, "{\"done\"",
               R"({"step": 20, "train_bpb": 2, "balance": [1.75], "micro_balance": [2], "tokens_per_second": 5000}
{"done")");
  CHECK(parse_run(again).balance == std::vector<double>{1.75});
  CHECK(parse_run(again).tokens_per_second == 3000);
}

TEST_CASE("a damaged log is refused with the line", "[specialise][read_runs]") {
  const std::string good = text_of("global-s1-r1.jsonl");
  CHECK_THROWS_WITH(parse_run(""), "empty");
  CHECK_THROWS_WITH(parse_run("{\"step\":1}\n"), "line 1: the first line is not of a run");
  CHECK_THROWS_WITH(parse_run("7\n"), contains("line 1: "));
  CHECK_THROWS_WITH(parse_run(good.substr(0, good.size() / 2)), contains("parse error"));
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"bpb\": 2.25", "\"bpb\": null")),
                    "line 6: diverged: bpb is not a number");
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"bpb\": 2.25", "\"bpb\": \"x\"")), contains("line 6: "));
  CHECK_THROWS_WITH(parse_run(replaced(good, "[2.75, 1.75]", "[2.75]")),
                    "line 6: bpb_by_domain has 1 entries, expected 2");
  CHECK_THROWS_WITH(parse_run(replaced(good, "[16, 0]", "[16]")), "line 6: a row of counts has 1 entries, expected 2");
  CHECK_THROWS_WITH(parse_run(replaced(good, "[[[16, 0], [0, 16]]]", "[]")), "line 6: counts has 0 layers, expected 1");
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"layers\": 1", "\"layers\": 0")), contains("line 1: it has 0 layers"));
  CHECK_THROWS_WITH(parse_run(replaced(good, "[16, 0]", "[16, 0.5]")),
                    "line 6: a count is 0.5, expected a whole number");
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"bpb\": 2.25", "\"bpb\": 2.2501")),
                    "line 6: bpb is 2.2501, bpb_by_domain gives 2.25");
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"information\": [1.0]", "\"information\": [0.9]")),
                    "line 6: information is 0.9, counts give 1");
  CHECK_THROWS_WITH(parse_run(replaced(good, "[16, 0]", "[8, 8]")),
                    contains("line 6: information is 1, counts give 0.31"));
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"largest_frequency\": [1.0]", "\"largest_frequency\": [0.5]")),
                    "line 6: largest_frequency is 0.5, counts give 1");
  CHECK_THROWS_WITH(parse_run(replaced(good, "{\"done\"", "{\"dome\"")), "not finished, at step 20 of 20");
  CHECK_THROWS_WITH(parse_run(text_of("4x-s1-r1.jsonl") + "{\"refused\": \"the loss is not finite\"}\n"),
                    "not finished, at step 10 of 20: the loss is not finite");
  CHECK_THROWS_WITH(parse_run(replaced(good, "\"steps\": 20", "\"steps\": 30")),
                    "done, but without a validation at step 30");
}

TEST_CASE("a folder gives its finished runs of one kind and says what it left out", "[specialise][read_runs]") {
  const run_folder read = read_runs({folder});
  std::vector<std::string> names;
  for (const logged_run& run : read.runs) names.push_back(run.name);
  CHECK(names == std::vector<std::string>{"micro-s1-r1", "micro-s2-r1", "micro-s3-r1", "global-s1-r1", "global-s2-r1",
                                          "global-s3-r1", "global-s1-r2", "shuffled-s1-r1"});
  REQUIRE(read.skipped.size() == 3);
  CHECK(read.skipped[0] == "4x-s1-r1.jsonl: not finished, at step 10 of 20");
  CHECK_THAT(read.skipped[1], contains("damaged.jsonl: line 1: parse error"));
  CHECK(read.skipped[2] == "16x-s1-r1: model is 8, most runs here have 4");
}

TEST_CASE("a run that is there twice counts once", "[specialise][read_runs]") {
  const auto copy = std::filesystem::temp_directory_path() / "headgate_specialise_twice";
  std::filesystem::remove_all(copy);
  std::filesystem::create_directories(copy);
  std::filesystem::copy_file(folder / "micro-s1-r1.jsonl", copy / "micro-s1-r1.jsonl");
  std::filesystem::copy_file(folder / "micro-s1-r1.jsonl", copy / "copy.jsonl");
  const run_folder read = read_runs({copy});
  CHECK(read.runs.size() == 1);
  CHECK(read.skipped ==
        std::vector<std::string>{"micro-s1-r1.jsonl: weight, pool, seed and ranks are those of copy.jsonl"});
  std::filesystem::remove_all(copy);
}

TEST_CASE("a folder without logs is refused", "[specialise][read_runs]") {
  CHECK_THROWS_WITH(read_runs({"nowhere"}), contains("nowhere: cannot be read: "));
  CHECK_THROWS_WITH(read_runs({folder.parent_path()}), contains("has no run, a file NAME.jsonl"));
}
