// SPDX-License-Identifier: BSD-3-Clause
// Draws the results of a benchmark run: headgate_bench_report bench.json [--extra pytorch.json ...] --out bench.html
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "report/page.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Draws the results of headgate_bench as one page that needs no network"};
  std::vector<std::string> files, extra;
  std::string out = "bench.html";
  app.add_option("files", files, "JSON of headgate_bench, the run that counts first")->required();
  app.add_option("--extra", extra, "JSON of bench/pytorch.py or bench/compile_time/cost.sh, taken if it is there");
  app.add_option("--out", out, "the page");
  CLI11_PARSE(app, argc, argv);
  try {
    headgate_report::results all;
    for (const std::string& file : files) all.add(file);
    for (const std::string& file : extra)
      if (std::filesystem::exists(file)) all.add(file);
    std::ofstream page(out);
    page << headgate_report::make_page(all);
    page.close();
    if (!page) throw std::runtime_error(out + ": cannot be written");
    std::printf("%s: written\n", out.c_str());
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "headgate_bench_report: %s\n", problem.what());
    return 1;
  }
}
