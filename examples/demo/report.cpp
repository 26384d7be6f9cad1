// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "svg.hpp"
#include "terminal.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace demo {

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file)
    throw std::runtime_error("cannot write " + path.string() +
                             (errno != 0 ? std::string(": ") + std::strerror(errno) : ""));
}

std::string table(const std::vector<run_record>& runs, const std::string& judged_on) {
  std::string s = svg::text(
      "<table><thead><tr><th></th><th>%s accuracy</th><th>active parameters</th><th>total parameters</th>"
      "<th>tokens/s, training</th><th>tokens/s, inference</th></tr></thead><tbody>\n",
      judged_on.c_str());
  for (const run_record& run : runs)
    s += svg::text("<tr><th>%s</th><td>%.2f %%</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                   run.name.c_str(), 100 * run.accuracy, grouped(static_cast<double>(run.active_parameters)).c_str(),
                   grouped(static_cast<double>(run.total_parameters)).c_str(), grouped(run.training_rate).c_str(),
                   grouped(run.inference_rate).c_str());
  return s + "</tbody></table>\n";
}

constexpr const char* page_style =
    "body{font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;max-width:760px;"
    "margin:40px auto;padding:0 20px;background:#fff;color:#24292f}"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 2px}p{margin:4px 0 12px;color:#57606a}"
    "svg{width:100%;height:auto;display:block}"
    "table{border-collapse:collapse;width:100%;margin:20px 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:7px 8px;border-bottom:1px solid #d8dee4;text-align:right;font-size:14px;font-weight:400}"
    "tbody th{white-space:nowrap}thead th{color:#57606a;font-size:12.5px;vertical-align:bottom}tbody th,tbody "
    "tr:first-child td{text-align:left;"
    "font-weight:600}tbody td,tbody tr:first-child td{text-align:right}code{font-size:13px}"
    "@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}p,tbody th{white-space:nowrap}thead "
    "th{color:#9da7b1}"
    "th,td{border-color:#30363d}}";

}  // namespace

void write_report(const std::filesystem::path& path, const std::vector<run_record>& runs, const report_facts& facts) {
  const run_record& mixture = runs.front();
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light dark\">"
      "<title>Headgate demo</title><style>";
  page += page_style + svg::style() + "</style></head><body>\n<h1>Handwritten digits and their experts</h1>\n";
  page += svg::text(
      "<p>Each 8 x 8 image is one token. The router sends it to %td of %td SwiGLU experts. All models saw the same %td "
      "batches of %td of the %td training digits, and were judged once on %td %s digits. "
      "Seed %llu, %td thread%s, %.1f s in all.</p>\n",
      facts.how.k, facts.how.experts,
      (facts.training_digits + facts.how.batch - 1) / facts.how.batch * facts.how.epochs, facts.how.batch,
      facts.training_digits, facts.held_out_digits, facts.judged_on.c_str(),
      static_cast<unsigned long long>(facts.how.seed), facts.how.threads, facts.how.threads == 1 ? "" : "s",
      facts.seconds);
  page += table(runs, facts.judged_on);
  page +=
      "<h2>Training loss</h2>\n<p>Cross entropy on the distorted training images, logarithmic. Thin: the mean of an "
      "epoch; thick: of the epochs around it.</p>\n";
  page += svg::loss_curves(runs);
  page +=
      "<h2>Expert load over time</h2>\n<p>Share of all assignments; the dashed lines are perfect balance. "
      "Percentages: the last epoch.</p>\n";
  page += svg::expert_load(mixture);
  page += svg::text(
      "<h2>Who reads which digit</h2>\n<p>Share of a digit's assignments that each expert gets, on the %s "
      "digits. A row sums to 100 %%; an even router would show 12.5 %% everywhere.</p>\n",
      facts.judged_on.c_str());
  page += svg::heat_map(mixture);
  page +=
      "<p>Data: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning "
      "Repository, doi:10.24432/C50P49, CC BY 4.0.</p>\n</body></html>\n";
  write(path, page);
}

void write_image(const std::filesystem::path& path, const run_record& mixture) {
  write(path, svg::heat_map(mixture, true));
}

}  // namespace demo
