// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "expert_maps.hpp"
#include "pictures.hpp"
#include "plain_tables.hpp"
#include "summary.hpp"

#include <support/catch.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
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
  const run_folder read = read_runs({SPECIALISE_TEST_RUNS});
  const std::vector<group> groups = groups_of(read.runs);
  REQUIRE(groups.size() == 4);
  const group &micro = groups[0], &global = groups[1], &global_2 = groups[2], &shuffled = groups[3];
  CHECK(micro.pool == "micro");
  CHECK(micro.runs.size() == 3);
  CHECK(global_2.ranks == 2);
  CHECK(find_group(groups, 0.01, "global", 1) == &global);
  CHECK(find_group(groups, 0.01, "global", 4) == nullptr);
  CHECK(find_group(groups, 0.1, "global", 1) == nullptr);
  CHECK(global_of(groups, shuffled) == &global);
  CHECK_FALSE(has_weights(groups));

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
  CHECK_FALSE(compare({0.01, "x", 1, {micro.runs[1]}}, {0.01, "y", 1, {global.runs[0]}}, bits_per_byte).has_value());

  CHECK(estimate_of(global, largest_frequency).mean == Approx(2.75 / 3));
  CHECK(estimate_of(micro, balance).mean == 1.125);
  CHECK(estimate_of(micro, penalty).mean == 0.125);
  CHECK(with_interval(estimate_of(shuffled, bits_per_byte), 2) == "2.25");
  CHECK(with_interval({.count = 1, .mean = -1e-9}, 3, true) == "+0.000");
}

TEST_CASE("pairs are of the same seed, in whatever order the runs stand", "[specialise][summary]") {
  const run_folder read = read_runs({SPECIALISE_TEST_RUNS});
  const std::vector<group> groups = groups_of(read.runs);
  group backwards = groups[0], fewer = groups[1];
  std::ranges::reverse(backwards.runs);
  fewer.runs.erase(fewer.runs.begin());
  const auto differences = differences_of(backwards, groups[1], bits_per_byte);
  REQUIRE(differences.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(differences[i].seed == 3 - i);
  CHECK(compare(backwards, groups[1], bits_per_byte)->difference.half_width ==
        Approx(compare(groups[0], groups[1], bits_per_byte)->difference.half_width));  // sums in another order
  CHECK(compare(groups[0], fewer, bits_per_byte)->difference.mean == 0.3125);          // 0.25 and 0.375
}

TEST_CASE("runs of several weights in several folders are reported together", "[specialise][summary]") {
  const std::filesystem::path lighter = SPECIALISE_TEST_RUNS,
                              heavier = std::filesystem::temp_directory_path() / "headgate_specialise_weights";
  std::filesystem::remove_all(heavier);
  std::filesystem::create_directories(heavier);
  for (const char* name : {"micro-s1-r1.jsonl", "micro-s2-r1.jsonl", "global-s1-r1.jsonl"}) {
    std::ifstream in(lighter / name);
    std::string log{std::istreambuf_iterator<char>(in), {}};
    const std::string weight = "\"weight\": 0.01";
    log.replace(log.find(weight), weight.size(), "\"weight\": 0.1");
    std::ofstream(heavier / name) << log;
  }
  const run_folder read = read_runs({heavier, lighter});
  CHECK(read.runs.size() == 11);
  CHECK(read.skipped.front() == (lighter / "4x-s1-r1.jsonl").string() + ": not finished, at step 10 of 20");
  const std::vector<group> groups = groups_of(read.runs);
  CHECK(has_weights(groups));
  CHECK(of_main_weight(groups).size() == 4);
  CHECK(of_main_weight(groups).front().weight == 0.01);
  const group* const micro = find_group(groups, 0.1, "micro", 1);
  REQUIRE(micro != nullptr);
  CHECK(global_of(groups, *micro)->weight == 0.1);
  const std::string tables = plain_tables(read);
  CHECK_THAT(tables, contains("\n0.01       micro      3  2.6250 ± 0.3105  +0.2917 ± 0.1793  0.000 ± 0.000"));
  CHECK_THAT(tables, contains("\n0.1        micro      2  2.6250 ± 1.5883           +0.2500  0.000 ± 0.000"));
  const std::string page = report_page(read);
  CHECK(well_formed(page));
  CHECK_THAT(page, contains("<h2>By weight of the balance loss</h2>"));
  CHECK_THAT(page, contains("<tr><th>0.1</th><td>micro</td><td>2</td>"));
  CHECK_THAT(page, contains("<th>weight of the balance loss</th><td>0.01, 0.1</td>"));
  // All other sections are as without the heavier runs.
  const std::string alone = report_page(read_runs({lighter}));
  const auto sections = [](const std::string& of) {
    return of.substr(0, (std::min)(of.find("<h2>By weight"), of.find("<h2>More ranks")));
  };
  CHECK(sections(page) == sections(alone));
  CHECK(write_report({heavier, lighter}) == tables);
  CHECK(std::filesystem::exists(heavier / "report.html"));
  CHECK_FALSE(std::filesystem::exists(lighter / "report.html"));
  std::filesystem::remove_all(heavier);
}

TEST_CASE("the tables of a terminal line up", "[specialise][summary]") {
  const std::string tables = plain_tables(read_runs({SPECIALISE_TEST_RUNS}));
  CHECK_THAT(tables, contains("\npool      ranks  seeds    bits per byte  deviation    information  largest frequency  "
                              "      balance        penalty\n"
                              "micro         1      3  2.6250 ± 0.3105     0.1250  0.000 ± 0.000      0.500 ± 0.000  "
                              "1.125 ± 0.000  0.125 ± 0.000\n"
                              "global        1      3  2.3333 ± 0.3586     0.1443  0.730 ± 1.164      0.917 ± 0.359  "
                              "1.125 ± 0.000  0.125 ± 0.000\n"
                              "global        2      1           2.2500          -          1.000              1.000    "
                              "      1.125          0.125\n"));
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
  logged_run run = read_runs({SPECIALISE_TEST_RUNS}).runs.front();
  run.validations.back().counts = {{{0, 16}, {12, 4}}};
  CHECK(most_over_even(run) == 2);
  const std::string map = expert_maps(run, 2);
  const auto at = [&](const char* what) {
    const auto place = map.find(what);
    REQUIRE(place != std::string::npos);
    return place;
  };
  CHECK(at("expert 1: 100.0 %") < at("expert 0: 0.0 %"));  // expert 1 is of the first domain, hence first
  CHECK(at("expert 1: 25.0 %") < at("expert 0: 75.0 %"));
  CHECK(occurrences(map, "class=\"cold\" fill-opacity=\"1.000\"") == 2);  // shares of 0 and of half the even one
  CHECK(occurrences(map, "class=\"heat\" fill-opacity=\"1.000\"") == 1);
  CHECK(occurrences(map, "class=\"heat\" fill-opacity=\"0.585\"") == 1);  // log2 1.5
}

TEST_CASE("the report is one well-formed page that needs nothing else", "[specialise][report]") {
  const run_folder read = read_runs({SPECIALISE_TEST_RUNS});
  const std::string page = report_page(read);
  CHECK(well_formed(page));
  CHECK(occurrences(page, "http") == occurrences(page, "http://www.w3.org/2000/svg"));
  CHECK(occurrences(page, "nan") == 0);
  CHECK(occurrences(page, "inf\"") == 0);
  CHECK(occurrences(page, "a&b") == 0);
  CHECK(occurrences(page, ">a&amp;b<") >= 4);
  CHECK(occurrences(page, "<svg") == 3 + 2 + 1 + 3);  // figures by pool, curves, colours, a map of each pool
  CHECK_THAT(page, contains("<tr><th>micro</th><td>3</td><td>2.6250<small>± 0.3105</small></td><td>+0.2917 ± "
                            "0.1793<small>higher</small></td>"));
  CHECK_THAT(page, contains("<td>+0.0000<small>one seed</small></td>"));
  // Seed 1 alone is on two ranks, with what it has on one: no difference, though the means of the rows differ.
  CHECK_THAT(page,
             contains("<h2>More ranks</h2>\n<p>The same steps shared by data-parallel ranks. Bits per byte and "
                      "information are means over all seeds of their row; <i>against one rank</i> is the mean of "
                      "the differences over the seeds that both have, which need not be the difference of the two "
                      "means.</p>\n"));
  CHECK_THAT(page, contains("<td>3</td><td>2.3333<small>± 0.3586</small></td><td>reference</td>"));
  CHECK_THAT(page, contains("<td>1</td><td>2.2500</td><td>+0.0000<small>one seed</small></td>"));
  CHECK_THAT(page, contains("<th>data, train_bytes</th><td>1 500 000</td>"));
  CHECK_THAT(page, contains("<p>16x-s1-r1: model is 8, most runs here have 4</p>"));
}

TEST_CASE("a page is made of whatever runs there are", "[specialise][report]") {
  const run_folder read = read_runs({SPECIALISE_TEST_RUNS});
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

TEST_CASE("the settings name every weight", "[specialise][report]") {
  run_folder folder = read_runs({SPECIALISE_TEST_RUNS});
  folder.runs[0].weight = 0.1;
  folder.runs[1].weight = 1;
  CHECK_THAT(report_page(folder), contains("<th>weight of the balance loss</th><td>0.01, 0.1, 1</td>"));
}

TEST_CASE("buffer is not compared over ranks, where it is another pool", "[specialise][report]") {
  run_folder folder = read_runs({SPECIALISE_TEST_RUNS});
  for (logged_run& run : folder.runs)
    if (run.pool == "global") run.pool = "buffer";
  CHECK(occurrences(plain_tables(folder), "Against one rank") == 0);
  CHECK(occurrences(report_page(folder), "<h2>More ranks</h2>") == 0);
}

TEST_CASE("write_report writes the page beside the runs", "[specialise][report]") {
  const auto copy = std::filesystem::temp_directory_path() / "headgate_specialise_report";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(SPECIALISE_TEST_RUNS, copy);
  CHECK(write_report({copy}) == plain_tables(read_runs({SPECIALISE_TEST_RUNS})));
  std::ifstream stream(copy / "report.html");
  std::stringstream page;
  page << stream.rdbuf();
  CHECK(page.str() == report_page(read_runs({copy})));
  std::filesystem::remove_all(copy);
  CHECK_THROWS_WITH(write_report({copy}), contains("cannot be read: "));
}
