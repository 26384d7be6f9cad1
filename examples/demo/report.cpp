// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "svg.hpp"

#include <drawing/page.hpp>
#include <drawing/svg.hpp>

namespace demo {

namespace {

using drawing::grouped, drawing::text;

std::string table(const std::vector<run_record>& runs, const std::string& judged_on) {
  std::string s = text(
      "<table><thead><tr><th></th><th>%s accuracy</th><th>active parameters</th><th>total parameters</th>"
      "<th>tokens/s, training</th><th>tokens/s, inference</th></tr></thead><tbody>\n",
      judged_on.c_str());
  for (const run_record& run : runs)
    s += text("<tr><th>%s</th><td>%.2f %%</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", run.name.c_str(),
              100 * run.accuracy, grouped(static_cast<double>(run.active_parameters)).c_str(),
              grouped(static_cast<double>(run.total_parameters)).c_str(), grouped(run.training_rate).c_str(),
              grouped(run.inference_rate).c_str());
  return s + "</tbody></table>\n";
}

}  // namespace

void write_report(const std::filesystem::path& path, const std::vector<run_record>& runs, const report_facts& facts) {
  const run_record& mixture = runs.front();
  std::string body = "<h1>Handwritten digits and their experts</h1>\n";
  body += text(
      "<p>Each 8 x 8 image is one token. The router sends it to %td of %td SwiGLU experts. All models saw the same %td "
      "batches of %td of the %td training digits, and were judged once on %td %s digits. "
      "Seed %llu, %td thread%s, %.1f s in all.</p>\n",
      facts.how.k, facts.how.experts,
      (facts.training_digits + facts.how.batch - 1) / facts.how.batch * facts.how.epochs, facts.how.batch,
      facts.training_digits, facts.held_out_digits, facts.judged_on.c_str(),
      static_cast<unsigned long long>(facts.how.seed), facts.how.threads, facts.how.threads == 1 ? "" : "s",
      facts.seconds);
  body += table(runs, facts.judged_on);
  body +=
      "<h2>Training loss</h2>\n<p>Cross entropy on the distorted training images, logarithmic. Thin: the mean of an "
      "epoch; thick: of the epochs around it.</p>\n";
  body += svg::loss_curves(runs);
  body +=
      "<h2>Expert load over time</h2>\n<p>Share of all assignments; the dashed lines are perfect balance. "
      "Percentages: the last epoch.</p>\n";
  body += svg::expert_load(mixture);
  body += text(
      "<h2>Who reads which digit</h2>\n<p>Share of a digit's assignments that each expert gets, on the %s "
      "digits. A row sums to 100 %%; an even router would show 12.5 %% everywhere.</p>\n",
      facts.judged_on.c_str());
  body += svg::heat_map(mixture);
  body +=
      "<p>Data: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning "
      "Repository, doi:10.24432/C50P49, CC BY 4.0.</p>\n";
  drawing::write_file(path, drawing::page("Headgate demo", body));
}

void write_image(const std::filesystem::path& path, const run_record& mixture) {
  drawing::write_file(path, svg::heat_map(mixture, true));
}

}  // namespace demo
