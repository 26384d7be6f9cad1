// SPDX-License-Identifier: BSD-3-Clause
// Routing traces as JSON lines: one line for the file, one for each token of each pass.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/replacing_file.hpp>
#include <headgate/io/routing_trace_reader.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/routing/recorded_pass.hpp>
#include <headgate/routing/routing_trace.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

inline constexpr index routing_trace_version = 1;
/// A file that claims more experts is refused before memory for them is asked for.
inline constexpr index most_traced_experts = index{1} << 20;
/// And so is a longer line: no more than that is ever held of a file.
inline constexpr index most_trace_line_bytes = index{1} << 24;

/// Writes
///
///   {"headgate_routing_trace":1,"experts":8,"tokens":[2,1]}          tokens of each pass
///   {"pass":0,"token":0,"experts":[3,7],"weights":[0.625,0.375]}     without "weights" where the pass keeps none
///   ...                                                              all tokens of all passes, in order
///
/// Numbers are written in decimal, so that they read back to the same bits. The file is written beside `path` and takes
/// its place when it is complete: whatever goes wrong (std::runtime_error), a file that was there before is still whole.
template <class T>
void save_routing_trace(const routing_trace<T>& trace, const std::filesystem::path& path) {
  replacing_file file(path);
  const auto list = [](std::string& text, const auto& items, const auto& written) {
    text += '[';
    bool first = true;
    for (const auto& item : items) {
      if (!std::exchange(first, false)) text += ',';
      text += written(item);
    }
    text += ']';
  };
  std::string line =
      sentence("{\"headgate_routing_trace\":", routing_trace_version, ",\"experts\":", trace.experts(), ",\"tokens\":");
  list(line, trace, [](const recorded_pass<T>& pass) { return std::to_string(pass.tokens()); });
  line += "}\n";
  file.write(line.data(), line.size());
  for (index p = 0; p < trace.size(); ++p)
    for (index t = 0; t < trace[p].tokens(); ++t) {
      line = sentence("{\"pass\":", p, ",\"token\":", t, ",\"experts\":");
      list(line, trace[p].experts_of(t), [](index id) { return std::to_string(id); });
      if (trace[p].has_weights()) {
        line += ",\"weights\":";
        // As doubles, which hold a float exactly: reading rounds once, to the double that was written.
        list(line, trace[p].weights_of(t), [](T w) { return nlohmann::json(static_cast<double>(w)).dump(); });
      }
      line += "}\n";
      file.write(line.data(), line.size());
    }
  file.commit();
}

namespace detail {

/// The lines of a file, of bounded length.
class trace_lines {
 public:
  explicit trace_lines(const std::filesystem::path& path) : path_(path.string()) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) refuse_file(path_, "is not a file that can be read");
    stream_.open(path, std::ios::binary);
    if (!stream_) refuse_file(path_, "cannot be opened for reading");
  }
  /// False at the end of the file.
  [[nodiscard]] bool next() {
    text_.clear();
    ++line_;
    auto& bytes = *stream_.rdbuf();
    for (int byte = bytes.sbumpc(); byte != '\n'; byte = bytes.sbumpc()) {
      if (byte == std::char_traits<char>::eof()) return !text_.empty();
      if (static_cast<index>(text_.size()) == most_trace_line_bytes)
        refuse_file(path_, "line ", line_, " has more than ", most_trace_line_bytes, " bytes");
      text_ += static_cast<char>(byte);
    }
    return true;
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::ifstream stream_;
  std::string text_;
  index line_ = 0;
};

/// Adds the token of the reader's line to the pass; the pass before it says whether it keeps weights.
template <class T>
void append_token(const routing_trace_reader& line, recorded_pass<T>& pass) {
  for (const index id : line.ids)
    if (id >= pass.experts()) line.refuse_line("names expert ", id, ", the file is of ", pass.experts(), " experts");
  std::vector<T> weights;
  for (const double weight : line.weights) {
    weights.push_back(static_cast<T>(weight));
    if (!kernels::is_finite(weights.back())) line.refuse_line("has the weight ", weight, ", too large to be finite");
  }
  if (line.has_weights() != pass.has_weights())
    line.refuse_line(line.has_weights() ? "has weights" : "has no weights", ", other tokens of its pass have ",
                     line.has_weights() ? "none" : "some");
  if (line.has_weights() && line.weights.size() != line.ids.size())
    line.refuse_line("has ", line.ids.size(), " experts and ", line.weights.size(), " weights");
  try {
    pass.append(line.ids, weights);
  } catch (const std::invalid_argument&) {
    line.refuse_line("names an expert twice");
  }
}

}  // namespace detail

/// Reads what `save_routing_trace` writes. Every fault of the file is a std::runtime_error of one sentence with the number
/// of the line; nothing is allocated on the word of the file alone.
template <class T>
[[nodiscard]] routing_trace<T> load_routing_trace(const std::filesystem::path& path) {
  detail::trace_lines lines(path);
  routing_trace_reader line(lines.path());
  routing_trace<T> trace;
  if (!lines.next()) refuse_file(lines.path(), "is empty, expected a header line");
  line.read(lines.text(), true);
  if (line.version != routing_trace_version)
    line.refuse_line("says version ", line.version, ", known is ", routing_trace_version);
  const auto passes = static_cast<index>(line.tokens.size());
  const index experts = line.experts;
  if (experts > most_traced_experts || (experts == 0 && passes > 0))
    line.refuse_line("says ", experts, " experts, expected 1 to ", most_traced_experts);
  const std::vector<index> tokens = line.tokens;
  for (index p = 0; p < passes; ++p) {
    recorded_pass<T> pass(experts);
    for (index t = 0; t < tokens[static_cast<std::size_t>(p)]; ++t) {
      if (!lines.next())
        refuse_file(lines.path(), "ends after line ", line.line(), ", token ", t, " of pass ", p, " is missing");
      line.read(lines.text(), false);
      if (line.pass != p || line.token != t)
        line.refuse_line("is of token ", line.token, " of pass ", line.pass, ", expected token ", t, " of pass ", p);
      if (t == 0 && !line.has_weights()) pass = recorded_pass<T>(experts, record_weights::no);
      detail::append_token(line, pass);
    }
    trace.append(std::move(pass));
  }
  if (lines.next())
    refuse_file(lines.path(), "goes on after line ", line.line(), ", with which all tokens of its header are there");
  return trace;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
