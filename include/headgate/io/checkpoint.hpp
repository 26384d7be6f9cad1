// SPDX-License-Identifier: BSD-3-Clause
// A model's tensors in one safetensors file or in many, found by name.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/checkpoint_index.hpp>
#include <headgate/io/mapped_file.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_file.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Where a tensor is, or nowhere. Both pointers live as long as the checkpoint.
struct tensor_in_file {
  const safetensors_file* file = nullptr;
  const tensor_description* what = nullptr;

  [[nodiscard]] explicit operator bool() const { return what != nullptr; }
};

/// A checkpoint as it is published: a folder with `model.safetensors`, or with `model.safetensors.index.json` and the files
/// that it names; the index itself; or any single safetensors file. A file of many is opened when one of its tensors is
/// first asked for, so a checkpoint serves one thread at a time; what it has found may be read by all.
///
/// Every fault of a file is a std::runtime_error of one sentence that begins with the file's path.
class checkpoint {
 public:
  explicit checkpoint(const std::filesystem::path& folder_or_file) : path_(folder_or_file.string()) {
    std::error_code ignored;
    std::filesystem::path file = folder_or_file;
    if (std::filesystem::is_directory(folder_or_file, ignored)) {
      file = folder_or_file / "model.safetensors";
      if (!std::filesystem::exists(file, ignored)) file += ".index.json";
      if (!std::filesystem::exists(file, ignored))
        refuse_file(path_, "has neither model.safetensors nor model.safetensors.index.json");
    }
    if (file.extension() == ".json")
      read_index(file);
    else
      take_single(file);
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  /// The names of all tensors, sorted; no file is opened for them.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  /// The tensor of this name, or nothing. Refuses a file that is missing or damaged, or that does not have the tensor which
  /// the index puts there.
  [[nodiscard]] tensor_in_file find(std::string_view name) const {
    const auto found = std::lower_bound(names_.begin(), names_.end(), name);
    if (found == names_.end() || *found != name) return {};
    return at(static_cast<std::size_t>(found - names_.begin()));
  }

  /// f(name, tensor_in_file) for all tensors whose name begins with the prefix, sorted by name.
  template <class F>
  void for_each_with_prefix(std::string_view prefix, F&& f) const {
    const auto first = std::lower_bound(names_.begin(), names_.end(), prefix);
    for (auto it = first; it != names_.end() && it->starts_with(prefix); ++it)
      f(std::as_const(*it), at(static_cast<std::size_t>(it - names_.begin())));
  }

 private:
  void read_index(const std::filesystem::path& file) {
    const mapped_file text(file);
    constexpr index most = 100'000'000;  // as for the header of a file
    if (text.size() > most)
      refuse_file(text.path(), "the index has ", text.size(), " bytes, at most ", most, " are allowed");
    checkpoint_index found = parse_checkpoint_index(
        text.path(), {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(text.size())});
    index_path_ = text.path();
    folder_ = file.parent_path();
    file_names_ = std::move(found.files);
    files_.resize(file_names_.size());
    for (checkpoint_index::entry& one : found.tensors) {
      names_.push_back(std::move(one.name));
      file_of_.push_back(one.file);
    }
  }

  void take_single(const std::filesystem::path& file) {
    files_.push_back(std::make_unique<safetensors_file>(file));
    for (const tensor_description& tensor : files_[0]->tensors()) names_.push_back(tensor.name);
    std::sort(names_.begin(), names_.end());
    file_of_.resize(names_.size());
  }

  [[nodiscard]] tensor_in_file at(std::size_t number) const {
    const std::string& wanted = names_[number];
    std::unique_ptr<safetensors_file>& file = files_[file_of_[number]];
    if (file == nullptr) {
      const std::string& name = file_names_[file_of_[number]];
      std::error_code ignored;
      if (!std::filesystem::exists(folder_ / name, ignored))
        refuse_file(index_path_, "the tensor '", wanted, "' is in '", name, "', which is not in the folder");
      file = std::make_unique<safetensors_file>(folder_ / name);
    }
    const tensor_description* const what = file->find(wanted);
    if (what == nullptr) refuse_file(file->path(), "has no tensor '", wanted, "', which the index puts there");
    return {file.get(), what};
  }

  std::string path_;
  std::string index_path_;
  std::filesystem::path folder_;
  std::vector<std::string> file_names_;
  mutable std::vector<std::unique_ptr<safetensors_file>> files_;  ///< null before the first use
  std::vector<std::string> names_;                                ///< of the tensors, sorted
  std::vector<std::size_t> file_of_;                              ///< of each tensor, its position in files_
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
