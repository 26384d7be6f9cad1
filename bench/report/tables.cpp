// SPDX-License-Identifier: BSD-3-Clause
#include "report/tables.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <vector>

#include "report/chart.hpp"

namespace headgate_report {

namespace {

struct contender {
  const char* who;
  const char* title;
};
constexpr std::array<contender, 8> contenders{{{"headgate", "Headgate"},
                                               {"headgate_bf16", "Headgate, bf16"},
                                               {"headgate_fp16", "Headgate, fp16"},
                                               {"eigen", "Eigen by hand"},
                                               {"openblas", "OpenBLAS by hand"},
                                               {"onednn", "oneDNN by hand"},
                                               {"pytorch_sorted", "PyTorch, sorted by expert"},
                                               {"pytorch_eager", "PyTorch, loop over experts"}}};

std::string number(double value, const char* pattern) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

/// Four digits, no exponent.
std::string milliseconds(double ms) {
  return number(ms, ms < 0.1 ? "%.5f" : ms < 1 ? "%.4f" : ms < 10 ? "%.3f" : ms < 100 ? "%.2f" : "%.1f");
}

std::string tokens_of(const benchmark_name& n) {
  return std::to_string(n.tokens) + (n.tokens == 1 ? " token" : " tokens");
}

std::string cell(const std::string& text, const char* kind = "") {
  return (*kind ? std::string("<td class='") + kind + "'>" : std::string("<td>")) + text + "</td>";
}

std::string ratio_cell(double ratio) {
  if (ratio <= 0) return cell("");
  return cell(number(ratio, "%.2f x"), ratio >= 1.05 ? "faster" : ratio < 0.95 ? "slower" : "");
}

/// A heading that begins with '<' stands to the left, as words do.
std::string table(const std::vector<std::string>& head, const std::string& rows) {
  if (rows.empty()) return "";
  std::string html = "<div class='scroll'><table><tr>";
  for (const std::string& one : head)
    html += one.rfind('<', 0) == 0 ? "<th class='name'>" + one.substr(1) + "</th>" : "<th>" + one + "</th>";
  return html + "</tr>" + rows + "</table></div>";
}

double median_ms(const results& r, benchmark_name n, const std::string& who) {
  n.who = who;
  const samples* const one = r.find(n);
  return one ? median(one->ms) : 0;
}

std::string row_of(const results& r, const benchmark_name& n, const std::string& name, bool first) {
  const samples& one = *r.find(n);
  const double ms = median(one.ms);
  const double share = r.share(n);
  const double eigen = median_ms(r, n, "eigen");
  std::string html = first ? "<tr class='first'>" : "<tr>";
  html += cell(first ? name : "", "name") + cell(title_of(n.who), n.who == "headgate" ? "name ours" : "name");
  html += cell(milliseconds(ms)) + cell(number(100 * variation(one.ms), "%.1f %%"));
  html += cell(share > 0 ? number(share, "%.2f") : "") + cell(one.roofline.empty()             ? ""
                                                              : one.counter("memory/peak") > 1 ? escape(one.label)
                                                                                               : "peak");
  html += n.who == "eigen" || eigen == 0 ? cell("") : ratio_cell(eigen / ms);
  html += cell(number(one.counter("tokens/s") > 0 ? one.counter("tokens/s") : 1e3 * n.tokens / ms, "%.0f"));
  html += cell(one.roofline.empty() ? "" : number(one.counter("GFLOP/s"), "%.1f"));
  html += cell(one.roofline.empty() ? "" : number(one.counter("GB/s"), "%.1f"));
  return html + "</tr>";
}

std::string failures(const results& r) {
  std::string rows;
  for (const std::string& name : r.order)
    if (const auto& one = r.all.at(name); !one.error.empty())
      rows += "<tr>" + cell(escape(name), "name") + cell(escape(one.error), "wrap failed") + "</tr>";
  return table({"failed", ""}, rows);
}

}  // namespace

int place_of(const std::string& who) {
  const auto found =
      std::find_if(contenders.begin(), contenders.end(), [&](const auto& one) { return who == one.who; });
  return static_cast<int>(found - contenders.begin());
}

std::string title_of(const std::string& who) {
  const auto place = static_cast<std::size_t>(place_of(who));
  return place < contenders.size() ? contenders[place].title : escape(who);
}

std::string main_table(const results& r) {
  std::string rows;
  for (const char* kind : {"layer", "train"}) {
    std::set<std::string> done;
    for (const benchmark_name& group : r.names_of(kind)) {
      std::string name = std::string(kind) + " " + group.shape + ", " + tokens_of(group);
      if (group.threads > 1) name += ", " + std::to_string(group.threads) + " threads";
      if (group.routing != "uniform") name += ", routing " + group.routing;
      if (!done.insert(name).second) continue;
      bool first = true;
      for (const contender& one : contenders) {
        benchmark_name n = group;
        n.who = one.who;
        if (!r.find(n)) continue;
        rows += row_of(r, n, name, first);
        first = false;
      }
    }
  }
  return failures(r) +
         table({"", "", "ms", "spread", "of the limit", "limited by", "against Eigen", "tokens/s", "GFLOP/s", "GB/s"},
               rows);
}

std::string threads_table(const results& r) {
  std::string rows;
  for (const char* kind : {"layer", "train"})
    for (const benchmark_name& n : r.names_of(kind)) {
      benchmark_name one = n;
      one.threads = 1;
      if (n.threads == 1 || !r.find(n) || !r.find(one)) continue;
      const double alone = median(r.find(one)->ms);
      const double together = median(r.find(n)->ms);
      rows += "<tr>" + cell(std::string(kind) + " " + n.shape + ", " + tokens_of(n), "name") +
              cell(n.routing == "one" ? "all to one" : n.routing, "name") + cell(title_of(n.who), "name") +
              cell(milliseconds(alone)) + cell(milliseconds(together)) + ratio_cell(alone / together) + "</tr>";
    }
  return table({"", "<routing", "", "1 thread, ms", "2 threads, ms", "speed-up"}, rows);
}

std::string storage_table(const results& r) {
  std::string rows;
  for (const benchmark_name& n : r.names_of("layer")) {
    if ((n.who != "headgate_bf16" && n.who != "headgate_fp16") || n.threads != 1 || !r.find(n)) continue;
    const double fp32 = median_ms(r, n, "headgate");
    const double half = median(r.find(n)->ms);
    benchmark_name full = n;
    full.who = "headgate";
    const std::string from = (r.find(full) ? escape(r.find(full)->label) + ", " : "") + escape(r.find(n)->label);
    rows += "<tr>" + cell(n.shape + ", " + tokens_of(n), "name") + cell(n.who.substr(9), "name") +
            cell(milliseconds(fp32)) + cell(milliseconds(half)) + ratio_cell(fp32 / half) + cell(from, "name") +
            "</tr>";
  }
  return table({"", "", "fp32, ms", "16 bits, ms", "speed-up", "<weights come from"}, rows);
}

/// Names are route/E:N/k:N/WHO; the counter "ns/token" is shown if there is one, else the time divided by "tokens".
std::string routing_table(const results& r) {
  std::string rows;
  for (const std::string& name : r.order) {
    const samples& one = r.all.at(name);
    if (name.rfind("route/", 0) != 0 || one.ms.empty()) continue;
    double ns = one.counter("ns/token");
    if (ns == 0 && one.counter("items_per_second") > 0) ns = 1e9 / one.counter("items_per_second");
    rows += "<tr>" + cell(escape(name.substr(6)), "name") + cell(ns > 0 ? number(ns, "%.1f") : "") +
            cell(milliseconds(median(one.ms))) + cell(number(100 * variation(one.ms), "%.1f %%")) + "</tr>";
  }
  return table({"", "ns for each token", "ms", "spread"}, rows);
}

/// Names are cost/WHAT; counters say how much.
std::string cost_table(const results& r) {
  std::string rows;
  for (const std::string& name : r.order) {
    if (name.rfind("cost/", 0) != 0) continue;
    const samples& one = r.all.at(name);
    const double bytes = one.counter("text_bytes");
    rows += "<tr>" + cell(escape(name.substr(5)), "name") + cell(number(median(one.ms) / 1000, "%.2f s")) +
            cell(bytes > 0 ? number(bytes / 1024, "%.0f KiB") : "") + "</tr>";
  }
  return table({"", "compile time", "machine code"}, rows);
}

std::string limits_table(const results& r) {
  std::string rows;
  for (const auto& [name, one] : r.all) {
    if (name.rfind("machine/", 0) != 0) continue;
    for (const char* unit : {"GFLOP/s", "GB/s"}) {
      const auto found = one.counters.find(unit);
      if (found == one.counters.end()) continue;
      rows += "<tr>" + cell(escape(name.substr(8)), "name") + cell(number(median(found->second), "%.1f ") + unit) +
              cell(number(100 * variation(found->second), "%.1f %%")) + "</tr>";
    }
  }
  return table({"", "rate", "spread"}, rows);
}

std::string context_table(const results& r) {
  std::string rows;
  for (const auto& [key, value] : r.context)
    if (key != "caches" && key != "library_build_type")
      rows += "<tr>" + cell(escape(key), "name") + cell(escape(value), "wrap") + "</tr>";
  return table({"", ""}, rows);
}

}  // namespace headgate_report
