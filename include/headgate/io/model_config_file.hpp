// SPDX-License-Identifier: BSD-3-Clause
// config.json of a published model: parsed as hostile input into named values.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/read_file.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/models/model_config.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Takes the events of the JSON parser, which does not recurse. Scalars of nested objects get names with dots; of lists,
/// numbers and texts are kept, while what stands in objects inside lists is checked and left out.
class model_config_reader {
 public:
  model_config_reader(const std::string& path, model_config& config) : path_(path), config_(config) {}

  bool start_object(std::size_t) {
    if (in_list()) list_.mixed = true;
    return enter(false);
  }
  bool end_object() { return leave(); }

  bool key(std::string& text) {
    level& here = levels_.back();
    count_part();
    if (!here.keys.insert(text).second) refuse_file(path_, "names '", text, "' twice");
    if (list_level_ != 0) return true;
    name_.resize(here.name_length);
    if (levels_.size() > 1) name_ += '.';
    name_ += text;
    if (name_.size() > most_letters)
      refuse_file(path_, "has a name of ", name_.size(), " letters, at most ", most_letters, " are read: ", name_);
    return true;
  }

  bool start_array(std::size_t) {
    if (levels_.empty()) refuse_file(path_, "is a list, expected an object");
    if (in_list()) list_.mixed = true;
    enter(true);
    if (list_level_ == 0) {
      list_level_ = levels_.size();
      list_ = {};
    }
    return true;
  }
  bool end_array() {
    if (list_level_ == levels_.size()) {
      list_level_ = 0;
      store(std::move(list_));
    }
    return leave();
  }

  bool null() { return in_list() ? (list_.mixed = true) : in_object("null"); }
  bool boolean(bool what) {
    if (in_list()) return list_.mixed = true;
    return in_object("a boolean") && store(what);
  }
  bool number_integer(std::int64_t what) { return add(static_cast<double>(what)); }
  bool number_unsigned(std::uint64_t what) { return add(static_cast<double>(what)); }
  bool number_float(double what, const std::string&) { return add(what); }
  bool string(std::string& what) {
    if (in_list()) {
      count_part();
      list_.texts.push_back(std::move(what));
      list_.mixed |= !list_.numbers.empty();
      return true;
    }
    return in_object("a text") && store(std::move(what));
  }
  bool binary(nlohmann::json::binary_t&) { return in_object("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    const std::string_view text = error.what();  // "[json.exception.parse_error.101] what is wrong"
    refuse_file(path_, "is not JSON at its byte ", position, ": ", text.substr(text.find(' ') + 1));
  }

 private:
  /// An object or list that is open.
  struct level {
    std::size_t name_length;
    std::set<std::string> keys;
  };
  static constexpr std::size_t most_levels = 64;
  static constexpr std::size_t most_letters = 1000;
  static constexpr index most_parts = 100'000;  ///< names and elements of lists; bounds the memory that they take

  [[nodiscard]] bool in_list() const { return list_level_ != 0 && list_level_ == levels_.size(); }

  bool in_object(std::string_view what) const {
    if (levels_.empty()) refuse_file(path_, "is ", what, ", expected an object");
    return true;
  }

  bool enter(bool is_list) {
    if (levels_.size() == most_levels)
      refuse_file(path_, "has ", is_list ? "a list" : "an object", " on level ", most_levels + 1, ", at most ",
                  most_levels, " levels are read");
    levels_.push_back({name_.size(), {}});
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return true;
  }

  bool add(double what) {
    if (in_list()) {
      count_part();
      list_.numbers.push_back(what);
      list_.mixed |= !list_.texts.empty();
      return true;
    }
    return in_object("a number") && store(what);
  }

  /// Keeps the value of the present name, unless that is inside a list.
  bool store(model_config::value what) {
    if (list_level_ == 0 && !config_.insert(name_, std::move(what)))
      refuse_file(path_, "names '", name_, "' twice");  // "a.b" and a "b" inside "a"
    return true;
  }

  void count_part() {
    if (++parts_ > most_parts) refuse_file(path_, "has more than ", most_parts, " names and elements of lists");
  }

  const std::string& path_;
  model_config& config_;
  std::vector<level> levels_;
  std::string name_;            ///< of the last value outside lists
  std::size_t list_level_ = 0;  ///< of the outermost list that is open, counted from 1
  model_config::list list_;
  index parts_ = 0;
};

/// Parses the text of a config.json; `path` is for errors. Refuses what is not JSON (NaN and infinities are not),
/// numbers that no double holds, names that come twice, and more than 64 levels.
[[nodiscard]] inline model_config parse_model_config(const std::string& path, std::string_view text) {
  model_config config(path);
  if (const auto zero = text.find('\0'); zero != text.npos)  // the parser would take it for the end and ignore the rest
    refuse_file(path, "is not JSON at its byte ", zero + 1, ": a zero");
  model_config_reader reader(path, config);
  nlohmann::json::sax_parse(text, &reader);
  return config;
}

/// Reads a config.json of at most 16 MiB. Every fault is a std::runtime_error of one sentence that begins with the path.
[[nodiscard]] inline model_config read_model_config(const std::filesystem::path& path) {
  return parse_model_config(path.string(), read_file(path, std::uintmax_t{16} << 20));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
