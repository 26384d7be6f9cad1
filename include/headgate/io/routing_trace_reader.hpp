// SPDX-License-Identifier: BSD-3-Clause
// One line of a routing trace file: parsed as hostile input, flat, each key once, each value of its type.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/refuse_file.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A line's numbers by key: of the header {"headgate_routing_trace":1,"experts":8,"tokens":[2,1]}, or of a token
/// {"pass":0,"token":1,"experts":[3,7],"weights":[0.5,0.25]}. Reads the events as they come: nothing deeper than a list of
/// numbers is ever held in memory.
class routing_trace_reader {
 public:
  static constexpr std::string_view header_keys[] = {"headgate_routing_trace", "experts", "tokens"};
  static constexpr std::string_view token_keys[] = {"pass", "token", "experts", "weights"};

  index version = 0, experts = 0;  // of the header
  std::vector<index> tokens;       // of each pass
  index pass = 0, token = 0;       // of a token
  std::vector<index> ids;
  std::vector<double> weights;

  explicit routing_trace_reader(const std::string& path) : path_(path) {}

  /// Reads the next line.
  void read(std::string_view text, bool is_header) {
    ++line_;
    is_header_ = is_header;
    depth_ = 0;
    for (bool& has : has_) has = false;
    for (std::vector<index>* list : {&tokens, &ids})
      if ((list == &tokens) == is_header) list->clear();
    weights.clear();
    if (text.find('\0') != text.npos) refuse_line("holds a zero byte");  // at which the parser would stop
    nlohmann::json::sax_parse(text, this);
    for (std::size_t k = 0; k < 3; ++k)
      if (!has_[k]) refuse_line("has no ", name(k));
  }
  [[nodiscard]] bool has_weights() const { return has_[3]; }
  [[nodiscard]] index line() const { return line_; }

  template <class... Parts>
  [[noreturn]] void refuse_line(const Parts&... parts) const {
    refuse_file(path_, "line ", line_, " ", parts...);
  }

  bool start_object(std::size_t) {
    if (depth_ > 0) unexpected("an object");
    depth_ = 1;
    return true;
  }
  bool key(std::string& text) {
    const std::size_t count = is_header_ ? std::size(header_keys) : std::size(token_keys);
    for (key_ = 0; key_ < count && name(key_) != text; ++key_) {
    }
    if (key_ == count) refuse_line("has the unknown key '", text, "'");
    if (has_[key_]) refuse_line("has the key '", text, "' twice");
    has_[key_] = true;
    return true;
  }
  bool end_object() { return true; }
  bool start_array(std::size_t) {
    if (depth_ != 1 || !is_list()) unexpected("an array");
    depth_ = 2;
    return true;
  }
  bool end_array() {
    depth_ = 1;
    return true;
  }
  bool number_unsigned(std::uint64_t value) {
    if (depth_ == 0 || is_list() != (depth_ == 2)) unexpected("the number ", value);
    if (!is_header_ && key_ == 3) {
      weights.push_back(static_cast<double>(value));
      return true;
    }
    if (value > static_cast<std::uint64_t>((std::numeric_limits<index>::max)())) unexpected("the number ", value);
    take(static_cast<index>(value));
    return true;
  }
  bool number_integer(std::int64_t value) {
    if (is_header_ || key_ != 3 || depth_ != 2) unexpected("the number ", value);
    weights.push_back(static_cast<double>(value));
    return true;
  }
  bool number_float(double value, const std::string& text) {
    if (is_header_ || key_ != 3 || depth_ != 2) unexpected("the number ", text);
    weights.push_back(value);
    return true;
  }
  bool string(std::string& text) { unexpected("the text '", text, "'"); }
  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a boolean"); }
  bool binary(nlohmann::json::binary_t&) { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    const std::string_view text = error.what();  // "[json.exception.parse_error.101] what is wrong"
    refuse_line("is not JSON at its byte ", position, ": ", text.substr(text.find(' ') + 1));
  }

 private:
  [[nodiscard]] std::string_view name(std::size_t key) const { return is_header_ ? header_keys[key] : token_keys[key]; }
  [[nodiscard]] bool is_list() const { return key_ >= 2; }

  void take(index value) {
    if (is_header_) {
      if (key_ == 2) return tokens.push_back(value);
      (key_ == 0 ? version : experts) = value;
    } else {
      if (key_ == 2) return ids.push_back(value);
      (key_ == 0 ? pass : token) = value;
    }
  }

  template <class... Parts>
  [[noreturn]] void unexpected(const Parts&... what) const {
    if (depth_ == 0) refuse_line("is ", what..., ", expected an object");
    refuse_line("has ", what..., " in ", name(key_), ", expected ",
                is_list() ? "an array of numbers" : "a number that counts");
  }

  const std::string& path_;
  index line_ = 0;
  bool is_header_ = false;
  int depth_ = 0;  // 1 inside of the object, 2 inside of one of its arrays
  std::size_t key_ = 0;
  bool has_[4] = {};
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
