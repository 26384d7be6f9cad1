// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "pictures.hpp"
#include "summary.hpp"

#include <support/catch.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace specialise;
using headgate_test::contains;

namespace {

std::size_t occurrences(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

/// Each tag that is opened is closed, innermost first.
bool well_formed(const std::string& page) {
  std::vector<std::string> open;
  for (auto at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const std::string tag = page.substr(at + 1, page.find('>', at) - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" \n"));
    if (tag.starts_with("!") || tag.ends_with("/") || name == "meta") continue;
    if (!tag.starts_with("/")) {
      open.push_back(name);
    } else {
      if (open.empty() || "/" + open.back() != name) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("runs are grouped and compared over common seeds", "[specialise][summary]") {
  const run_folder read = read_runs(SPECIALISE_TEST_RUNS);
  const std::vector<group> groups = groups_of(read.runs);
  REQUIRE(groups.size() == 4);
  const group &micro = groups[0], &global = groups[1], &global_2 = groups[2], &shuffled = groups[3];
  CHECK(micro.pool == "micro");
  CHECK(micro.runs.size() == 3);
  CHECK(global_2.ranks == 2);
  CHECK(find_group(groups, "global", 1) == &global);
  CHECK(find_group(groups, "global", 4) == nullptr);

  const auto bits = compare(micro, global, bits_per_byte);  // 0.25, 0.25, 0.375
  REQUIRE(bits.has_value());
  CHECK(bits->difference.mean == Approx(0.875 / 3));
  CHECK(bits->difference.half_width == Approx(4.3026527297 * 0.125 / 3));
  CHECK(sentence_of(*bits, 3) == "0.292 higher (95 % interval +0.112 to +0.471, 3 seeds, p = 0.02)");
  CHECK(sentence_of(*compare(shuffled, global, bits_per_byte), 3, " bits") ==
        "0.000 bits apart (one seed: no interval)");
  CHECK(sentence_of(*compare(micro, global, information), 3) ==
        "no difference seen: -0.730 (95 % interval -1.893 to +0.434, 3 seeds, p = 0.11)");
  CHECK(compare(micro, global_2, bits_per_byte)->difference.count == 1);
  CHECK_FALSE(compare({"x", 1, {micro.runs[1]}}, {"y", 1, {global.runs[0]}}, bits_per_byte).has_value());

  CHECK(estimate_of(global, largest_frequency).mean == Approx(2.75 / 3));
  CHECK(estimate_of(micro, balance).mean == 1.125);
  CHECK(with_interval(estimate_of(shuffled, bits_per_byte), 2) == "2.25");
  CHECK(with_interval({.count = 1, .mean = -1e-9}, 3, true) == "+0.000");
}

TEST_CASE("the tables of a terminal line up", "[specialise][summary]") {
  const std::string tables = plain_tables(read_runs(SPECIALISE_TEST_RUNS));
  CHECK_THAT(
      tables,
      contains(
          "\npool      ranks  seeds    bits per byte  deviation    information  largest frequency        balance\n"
          "micro         1      3  2.6250 ± 0.3105     0.1250  0.000 ± 0.000      0.500 ± 0.000  1.125 ± 0.000\n"
          "global        1      3  2.3333 ± 0.3586     0.1443  0.730 ± 1.164      0.917 ± 0.359  1.125 ± 0.000\n"
          "global        2      1           2.2500          -          1.000              1.000          1.125\n"));
  CHECK_THAT(tables, contains("\nmicro, 1 rank\n  bits per byte      0.2917 higher (95 % interval +0.1124 to +0.4709, "
                              "3 seeds, p = 0.02)\n"));
  CHECK_THAT(
      tables,
      contains(
          "\nAgainst one rank, same pool and seeds\nglobal, 2 ranks\n  bits per byte      0.0000 apart (one seed"));
  CHECK_THAT(tables, contains("\nLeft out\n4x-s1-r1.jsonl: not finished, at step 10 of 20\n"));
  CHECK(plain_tables({{}, {"x: y"}}) == "Left out\nx: y\n");
}

TEST_CASE("experts stand in the order of their main domain", "[specialise][pictures]") {
  logged_run run = read_runs(SPECIALISE_TEST_RUNS).runs.front();
  run.validations.back().counts = {{{0, 16}, {12, 4}}};
  CHECK(largest_share(run) == 1);
  const std::string map = expert_maps(run, 1);
  const auto at = [&](const char* what) {
    const auto place = map.find(what);
    REQUIRE(place != std::string::npos);
    return place;
  };
  CHECK(at("expert 1: 100.0 %") < at("expert 0: 0.0 %"));  // expert 1 is of the first domain, hence first
  CHECK(at("expert 1: 25.0 %") < at("expert 0: 75.0 %"));
}

TEST_CASE("the report is one well-formed page that needs nothing else", "[specialise][report]") {
  const run_folder read = read_runs(SPECIALISE_TEST_RUNS);
  const std::string page = report_page(read);
  CHECK(well_formed(page));
  CHECK(occurrences(page, "http") == occurrences(page, "http://www.w3.org/2000/svg"));
  CHECK(occurrences(page, "nan") == 0);
  CHECK(occurrences(page, "inf\"") == 0);
  CHECK(occurrences(page, "a&b") == 0);
  CHECK(occurrences(page, ">a&amp;b<") >= 4);
  CHECK(occurrences(page, "<svg") == 2 + 2 + 3);  // figures by pool, curves, a map of each pool
  CHECK_THAT(
      page,
      contains("<tr><th>micro</th><td>3</td><td>2.6250 ± 0.3105</td><td>+0.2917 ± 0.1793<small>higher</small></td>"));
  CHECK_THAT(page, contains("<td>+0.0000<small>one seed</small></td>"));
  CHECK_THAT(page, contains("<h2>More ranks</h2>"));
  CHECK_THAT(page, contains("<th>data, train_bytes</th><td>1 500 000</td>"));
  CHECK_THAT(page, contains("<p>16x-s1-r1: model is 8, most runs here have 4</p>"));
}

TEST_CASE("a page is made of whatever runs there are", "[specialise][report]") {
  const run_folder read = read_runs(SPECIALISE_TEST_RUNS);
  CHECK_THAT(report_page({{}, {"x: <y>"}}),
             contains("<p>No run here is finished.</p>\n<h2>Left out</h2>\n<p>x: &lt;y&gt;</p>"));
  for (const logged_run& run : read.runs) {  // alone, without a reference
    const std::string page = report_page({{run}, {}});
    CHECK(well_formed(page));
    CHECK(occurrences(page, "nan") == 0);
  }
  logged_run short_run = read.runs.front();  // one validation
  short_run.validations.erase(short_run.validations.begin(), short_run.validations.end() - 1);
  CHECK(occurrences(report_page({{short_run}, {}}), "nan") == 0);
}

TEST_CASE("write_report writes the page beside the runs", "[specialise][report]") {
  const auto copy = std::filesystem::temp_directory_path() / "headgate_specialise_report";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(SPECIALISE_TEST_RUNS, copy);
  CHECK(write_report(copy) == plain_tables(read_runs(SPECIALISE_TEST_RUNS)));
  std::ifstream stream(copy / "report.html");
  std::stringstream page;
  page << stream.rdbuf();
  CHECK(page.str() == report_page(read_runs(copy)));
  std::filesystem::remove_all(copy);
  CHECK_THROWS_WITH(write_report(copy), contains("cannot be read: "));
}
