// SPDX-License-Identifier: BSD-3-Clause
#include "page.hpp"

#include "svg.hpp"

#include <headgate/io/replacing_file.hpp>

namespace drawing {

namespace {

constexpr const char* page_style =
    "body{font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;max-width:760px;"
    "margin:40px auto;padding:0 20px;background:#fff;color:#24292f}"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 2px}p{margin:4px 0 12px;color:#57606a}"
    "svg{width:100%;height:auto;display:block}"
    "table{border-collapse:collapse;width:100%;margin:20px 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:7px 8px;border-bottom:1px solid #d8dee4;text-align:right;font-size:14px;font-weight:400}"
    "thead th{color:#57606a;font-size:12.5px;vertical-align:bottom}tbody th{white-space:nowrap;text-align:left}"
    "tbody th,tbody tr:first-child td{font-weight:600}code{font-size:13px}"
    "@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}p,thead th{color:#9da7b1}"
    "th,td{border-color:#30363d}}";

}  // namespace

std::string page(const std::string& title, const std::string& body, const std::string& more_style) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
         "<meta name=\"color-scheme\" content=\"light dark\">"
         "<title>" +
         title + "</title><style>" + page_style + style() + more_style + "</style></head><body>\n" + body +
         "</body></html>\n";
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else
      result += c;
  }
  return result;
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  headgate::replacing_file file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace drawing
