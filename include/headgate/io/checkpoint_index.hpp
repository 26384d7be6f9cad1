// SPDX-License-Identifier: BSD-3-Clause
// The JSON index of a checkpoint in several files: parsed as hostile input, so that what is left can be trusted.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/refuse_file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Which tensor is in which file.
struct checkpoint_index {
  struct entry {
    std::string name;
    std::size_t file;  ///< position in `files`
  };
  std::vector<entry> tensors;      ///< by name, each once
  std::vector<std::string> files;  ///< names without a folder, each once
};

/// Reads `{"metadata": {...}, "weight_map": {"tensor": "file"}}` as the events come. Metadata and other keys are passed over,
/// whatever they hold.
class checkpoint_index_reader {
 public:
  checkpoint_index_reader(const std::string& path, checkpoint_index& result) : path_(path), index_(result) {}

  bool start_object(std::size_t) {
    if (place_ == place::outside)
      place_ = place::file;
    else if (place_ == place::file_value && key_ == "weight_map")
      place_ = place::weight_map;
    else
      enter("an object");
    return true;
  }

  bool key(std::string& text) {
    if (place_ == place::skipped) return true;
    key_ = std::move(text);
    if (place_ == place::file) {
      place_ = place::file_value;
      if (key_ == "weight_map" && std::exchange(has_map_, true)) refuse_file(path_, "the index has a weight_map twice");
    }
    return true;
  }

  bool end_object() {
    if (place_ == place::skipped)
      leave();
    else
      place_ = place_ == place::file ? place::outside : place::file;
    return true;
  }
  bool start_array(std::size_t) {
    enter("an array");
    return true;
  }
  bool end_array() {
    leave();
    return true;
  }

  bool string(std::string& text) {
    if (place_ != place::weight_map) return value("a text");
    check_file_name(text);
    const auto [found, is_new] = numbers_.try_emplace(text, index_.files.size());
    if (is_new) index_.files.push_back(text);
    index_.tensors.push_back({key_, found->second});
    return true;
  }

  bool number_unsigned(std::uint64_t) { return value("a number"); }
  bool number_integer(std::int64_t) { return value("a number"); }
  bool number_float(double, const std::string&) { return value("a number"); }
  bool null() { return value("null"); }
  bool boolean(bool) { return value("a boolean"); }
  bool binary(nlohmann::json::binary_t&) { return value("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    const std::string_view text = error.what();  // "[json.exception.parse_error.101] what is wrong"
    refuse_file(path_, "the index is not JSON at its byte ", position, ": ", text.substr(text.find(' ') + 1));
  }

  [[nodiscard]] bool has_map() const { return has_map_; }

 private:
  enum class place { outside, file, file_value, weight_map, skipped };

  /// A value that is neither an object nor an array.
  bool value(const char* what) {
    if (place_ == place::skipped) return true;
    refuse_unless_skipped(what);
    place_ = place::file;
    return true;
  }
  /// An object or array that is passed over.
  void enter(const char* what) {
    if (place_ != place::skipped) refuse_unless_skipped(what);
    place_ = place::skipped;
    ++depth_;
  }
  void leave() {
    if (--depth_ == 0) place_ = place::file;
  }
  void refuse_unless_skipped(const char* what) const {
    if (place_ == place::outside) refuse_file(path_, "the index is ", what, ", expected an object");
    if (place_ == place::weight_map)
      refuse_file(path_, "weight_map has ", what, " at '", key_, "', expected a file name");
    if (key_ == "weight_map") refuse_file(path_, "the index has ", what, " at 'weight_map', expected an object");
  }

  /// A file in the folder of the index, under the rules of every system.
  void check_file_name(const std::string& name) const {
    const bool leaves = name.find_first_of("/\\:") != name.npos || name == "." || name == "..";
    const bool odd = std::any_of(name.begin(), name.end(), [](char letter) { return letter >= 0 && letter < ' '; });
    if (name.empty() || leaves || odd)
      refuse_file(path_, "the tensor '", key_, "' is in '", name, "', which is no name of a file in the same folder");
  }

  const std::string& path_;
  checkpoint_index& index_;
  place place_ = place::outside;
  std::string key_;  ///< the last one that is not passed over
  std::size_t depth_ = 0;
  bool has_map_ = false;
  std::map<std::string, std::size_t> numbers_;  ///< of the files
};

/// Parses the text of an index. Refuses a tensor that is named twice, and file names that lead out of the folder.
[[nodiscard]] inline checkpoint_index parse_checkpoint_index(const std::string& path, std::string_view text) {
  checkpoint_index result;
  if (text.empty() || text.front() != '{') refuse_file(path, "the index does not begin with '{'");
  if (const auto zero = text.find('\0'); zero != text.npos)  // the parser would take it for the end and ignore the rest
    refuse_file(path, "the index is not JSON at its byte ", zero + 1, ": a zero");
  checkpoint_index_reader reader(path, result);
  nlohmann::json::sax_parse(text, &reader);
  if (!reader.has_map()) refuse_file(path, "the index has no weight_map");
  using entry = checkpoint_index::entry;
  std::sort(result.tensors.begin(), result.tensors.end(),
            [](const entry& a, const entry& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(result.tensors.begin(), result.tensors.end(),
                                        [](const entry& a, const entry& b) { return a.name == b.name; });
  if (twice != result.tensors.end()) refuse_file(path, "weight_map names '", twice->name, "' twice");
  return result;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
