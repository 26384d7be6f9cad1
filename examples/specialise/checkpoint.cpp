// SPDX-License-Identifier: BSD-3-Clause
#include "checkpoint.hpp"

#include "digest.hpp"

#include <headgate/io/read_file.hpp>
#include <headgate/io/replacing_file.hpp>
#include <headgate/io/safetensors_file.hpp>
#include <headgate/io/safetensors_writer.hpp>

#include <charconv>
#include <cstdio>
#include <map>
#include <system_error>

namespace specialise {

namespace {

constexpr std::string_view no_checksum = "0000000000000000";
constexpr std::string_view checksum_key = "\"checksum\":\"";
constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 31;

/// Where the checksum's digits stand in the bytes of a file.
std::size_t checksum_place(const std::string& path, std::string_view bytes) {
  const std::size_t key = bytes.find(checksum_key);
  if (key == std::string_view::npos || key + checksum_key.size() + no_checksum.size() > bytes.size())
    throw damaged_checkpoint(path + ": has no checksum");
  return key + checksum_key.size();
}

/// The checksum of a file whose own digits stand at `place`.
std::string checksum_of(std::string_view bytes, std::size_t place) {
  digest sum;
  sum.add(bytes.data(), place);
  sum.add(no_checksum.data(), no_checksum.size());
  const std::size_t rest = place + no_checksum.size();
  sum.add(bytes.data() + rest, bytes.size() - rest);
  return sum.text();
}

void move_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (error) hg::refuse_file(from.string(), "cannot be renamed to ", to.string(), ": ", error.message());
}

/// Removes what a writer that was cut off has left.
void remove_partial(const std::filesystem::path& path) {
  const std::string begin = path.filename().string() + ".partial";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), ignored))
    if (entry.path().filename().string().starts_with(begin)) std::filesystem::remove(entry.path(), ignored);
}

template <class N>
N number(const std::string& path, const std::map<std::string, std::string>& metadata, const char* key) {
  N value{};
  const auto found = metadata.find(key);
  if (found != metadata.end()) {
    const std::string& digits = found->second;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc{} && end == digits.data() + digits.size() && value >= N{0}) return value;
  }
  hg::refuse_file(path, "the metadata have no number '", key, "'");
}

}  // namespace

std::filesystem::path previous_of(std::filesystem::path path) { return path += ".previous"; }

void save_checkpoint(const std::filesystem::path& path, const std::vector<state_matrix>& state,
                     const progress_mark& mark) {
  std::filesystem::path fresh = path;
  fresh += ".new";
  remove_partial(fresh);
  std::vector<hg::tensor_outline> tensors;
  for (const state_matrix& one : state) {
    hg::tensor_outline& outline = tensors.emplace_back();
    outline.name = one.name;
    outline.shape = hg::array<index>(2, one.values.rows);
    outline.shape[1] = one.values.cols;
  }
  char seconds[32];
  *std::to_chars(seconds, seconds + sizeof seconds - 1, mark.seconds).ptr = '\0';
  const std::map<std::string, std::string> metadata{{"checksum", std::string(no_checksum)},
                                                    {"log_bytes", std::to_string(mark.log_bytes)},
                                                    {"run", mark.run},
                                                    {"seconds", seconds},
                                                    {"step", std::to_string(mark.step)}};
  hg::write_safetensors(
      fresh, tensors,
      [&](index i, auto&& put) {
        const hg::view<float>& values = state[static_cast<std::size_t>(i)].values;
        put(values.data, static_cast<std::size_t>(values.rows * values.cols) * sizeof(float));
      },
      metadata);

  std::string bytes = hg::read_file(fresh, most_bytes);
  const std::size_t place = checksum_place(fresh.string(), bytes);
  bytes.replace(place, no_checksum.size(), checksum_of(bytes, place));
  hg::replacing_file complete(fresh);
  complete.write(bytes.data(), bytes.size());
  complete.commit();
  if (std::filesystem::exists(path)) move_file(path, previous_of(path));
  move_file(fresh, path);
}

progress_mark load_checkpoint(const std::filesystem::path& path, std::vector<state_matrix>& state,
                              const std::string& run, const std::filesystem::path& log) {
  const std::string where = path.string();
  {
    const std::string bytes = hg::read_file(path, most_bytes);
    const std::size_t place = checksum_place(where, bytes);
    const std::string_view told = std::string_view(bytes).substr(place, no_checksum.size());
    if (const std::string found = checksum_of(bytes, place); found != told)
      throw damaged_checkpoint(hg::sentence(where, ": the checksum of the bytes is ", found, ", the file says ", told));
  }
  const hg::safetensors_file file(path);
  const auto told = file.metadata().find("run");
  if (told == file.metadata().end() || told->second != run)
    hg::refuse(where, ": belongs to a run with other settings or other text; give it another --out");
  progress_mark mark;
  mark.run = run;
  mark.step = number<index>(where, file.metadata(), "step");
  mark.log_bytes = number<std::uintmax_t>(where, file.metadata(), "log_bytes");
  mark.seconds = number<double>(where, file.metadata(), "seconds");
  std::error_code no_log;
  const std::uintmax_t size = std::filesystem::file_size(log, no_log), log_bytes = no_log ? 0 : size;
  if (mark.log_bytes > log_bytes)
    hg::refuse_file(where, "was written when ", log.string(), " had ", mark.log_bytes, " bytes, it has ", log_bytes,
                    "; bring the log back, or move the checkpoints away to begin anew");
  std::vector<const hg::tensor_description*> found;
  for (const state_matrix& one : state) {
    const hg::tensor_description* const tensor = found.emplace_back(file.find(one.name));
    if (tensor == nullptr || tensor->type != hg::dtype::f32 || tensor->shape.size() != 2 ||
        tensor->shape[0] != one.values.rows || tensor->shape[1] != one.values.cols)
      hg::refuse_file(where, "has no tensor '", one.name, "' of shape [", one.values.rows, ", ", one.values.cols, "]");
  }
  if (file.tensors().size() != state.size())
    hg::refuse_file(where, "has ", file.tensors().size(), " tensors, expected ", state.size());
  for (std::size_t i = 0; i < state.size(); ++i) file.read_raw(*found[i], state[i].values.data);
  return mark;
}

}  // namespace specialise
