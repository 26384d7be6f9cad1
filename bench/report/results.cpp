// SPDX-License-Identifier: BSD-3-Clause
#include "report/results.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace headgate_report {

namespace {

std::string join(const benchmark_name& n) {
  std::string name =
      n.kind + "/" + n.shape + "/T:" + std::to_string(n.tokens) + "/threads:" + std::to_string(n.threads);
  if (n.routing != "uniform") name += "/routing:" + n.routing;
  return name + "/" + n.who;
}

double in_ms(double time, const std::string& unit) {
  return time * (unit == "ns" ? 1e-6 : unit == "us" ? 1e-3 : unit == "s" ? 1e3 : 1.0);
}

std::string text_of(const nlohmann::json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// `prefix:` cut off, or nothing.
std::string after(const std::string& part, const std::string& prefix) {
  return part.rfind(prefix, 0) == 0 ? part.substr(prefix.size()) : "";
}

int number(const std::string& digits) {
  return digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos ? 0 : std::stoi(digits);
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

double variation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const auto n = static_cast<double>(values.size());
  double mean = 0, square = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) square += (v - mean) * (v - mean) / (n - 1);
  return std::sqrt(square) / mean;
}

double samples::counter(const std::string& name) const {
  const auto found = counters.find(name);
  return found == counters.end() ? 0 : median(found->second);
}

benchmark_name parse_name(const std::string& name) {
  std::vector<std::string> parts;
  std::istringstream stream(name);
  for (std::string part; std::getline(stream, part, '/');) parts.push_back(part);
  benchmark_name n;
  if (parts.size() < 5) return n;
  n.kind = parts[0];
  n.tokens = number(after(parts[2], "T:"));
  n.threads = number(after(parts[3], "threads:"));
  n.routing = after(parts[4], "routing:");
  if (n.routing.empty()) n.routing = "uniform";
  n.who = parts.back();
  if (n.tokens > 0 && n.threads > 0) n.shape = parts[1];
  return n;
}

void results::add(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error(file + ": cannot be read");
  // A variation is NaN where the mean is zero, which Google Benchmark writes as it is.
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  for (std::size_t at = 0; (at = text.find(": NaN", at)) != std::string::npos;) text.replace(at, 5, ": null");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.contains("benchmarks"))
    throw std::runtime_error(file + ": is not the JSON of a finished benchmark run");
  if (json.contains("context"))
    for (const auto& [key, value] : json["context"].items()) context.emplace(key, text_of(value));
  for (const auto& one : json["benchmarks"]) {
    if (one.value("run_type", "iteration") != "iteration") continue;
    const std::string name = one.value("run_name", one.value("name", ""));
    if (all.find(name) == all.end()) order.push_back(name);
    samples& into = all[name];
    if (one.value("error_occurred", false)) {
      into.error = one.value("error_message", "failed");
      continue;
    }
    into.ms.push_back(in_ms(one.value("real_time", 0.0), one.value("time_unit", "ms")));
    into.label = one.value("label", "");
    if (one.contains("roofline")) into.roofline.push_back(one["roofline"]);
    for (const auto& [key, value] : one.items())
      if (value.is_number()) into.counters[key].push_back(value);
  }
}

const samples* results::find(const benchmark_name& name) const {
  const auto found = all.find(join(name));
  return found == all.end() || found->second.ms.empty() ? nullptr : &found->second;
}

std::vector<benchmark_name> results::names_of(const std::string& kind) const {
  std::vector<benchmark_name> names;
  for (const std::string& name : order)
    if (const benchmark_name n = parse_name(name); n.kind == kind && !n.shape.empty()) names.push_back(n);
  std::vector<std::string> shapes;
  for (const benchmark_name& n : names)
    if (std::find(shapes.begin(), shapes.end(), n.shape) == shapes.end()) shapes.push_back(n.shape);
  const auto key = [&](const benchmark_name& n) {
    const auto place = std::find(shapes.begin(), shapes.end(), n.shape) - shapes.begin();
    return std::tuple(place, n.tokens, n.threads, n.routing == "uniform" ? "" : n.routing);
  };
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return names;
}

double results::share(const benchmark_name& name) const {
  const samples* const one = find(name);
  if (!one) return 0;
  if (!one->roofline.empty()) return median(one->roofline);
  benchmark_name other = name;
  other.who = "eigen";
  const samples* const eigen = find(other);
  return eigen ? median(eigen->roofline) * median(eigen->ms) / median(one->ms) : 0;
}

std::pair<double, double> results::share_range(const benchmark_name& name) const {
  const samples* const one = find(name);
  if (!one || one->ms.empty()) return {0, 0};
  const auto range = [](const std::vector<double>& v) { return std::minmax_element(v.begin(), v.end()); };
  if (!one->roofline.empty()) return {*range(one->roofline).first, *range(one->roofline).second};
  const double limit = share(name) * median(one->ms);
  return {limit / *range(one->ms).second, limit / *range(one->ms).first};
}

}  // namespace headgate_report
