// SPDX-License-Identifier: BSD-3-Clause
#include "domains.hpp"

#include "digest.hpp"

#include <headgate/core/random.hpp>
#include <headgate/io/read_file.hpp>

#include <algorithm>

namespace specialise {

namespace {

constexpr index block = 4096, cycle = 16, held_out = 7;
constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 30;

}  // namespace

text::text(std::vector<domain> domains, index sequence) : domains_(std::move(domains)), sequence_(sequence) {
  for (const domain& one : domains_) {
    const auto size = static_cast<index>(one.bytes.size());
    std::vector<run>& runs = runs_.emplace_back();
    index all = 0, first = 0;
    const auto close = [&](index last) {
      training_bytes_ += last - first;
      if (last - first > sequence) all += runs.emplace_back(run{first, last - first - sequence}).starts;
    };
    for (index held = held_out * block; held < size; held += cycle * block) {
      close(held);
      first = std::min(held + block, size);
      validation_bytes_ += first - held;
    }
    close(size);
    starts_.push_back(all);
    const auto number = static_cast<index>(starts_.size()) - 1;
    if (all == 0 || validation(number, 1).empty())
      hg::refuse("the domain '", one.name, "' has ", size, " bytes, at least ", (held_out + 1) * block,
                 " are needed for sequences of ", sequence, " (at most ", block - 1, ")");
  }
}

place text::training(std::uint64_t seed, index step, index number) const {
  const hg::random_stream stream = hg::random_stream{seed, static_cast<std::uint64_t>(step)}.channel(1);
  const index domain = hg::uniform_index(stream, number, 0, count());
  index start = hg::uniform_index(stream, number, 1, starts_[static_cast<std::size_t>(domain)]);
  for (const run& one : runs_[static_cast<std::size_t>(domain)]) {
    if (start < one.starts) return {domain, one.first + start};
    start -= one.starts;
  }
  return {domain, 0};  // not reached: the runs' starts add up
}

std::vector<place> text::validation(index domain, index most) const {
  std::vector<place> places;
  const auto size = static_cast<index>(domains_[static_cast<std::size_t>(domain)].bytes.size());
  for (index held = held_out * block; held < size; held += cycle * block)
    for (index at = held; at + sequence_ < std::min(held + block, size); at += sequence_)
      places.push_back({domain, at});
  const auto all = static_cast<index>(places.size());
  if (most <= 0 || most >= all) return places;
  for (index i = 0; i < most; ++i)
    places[static_cast<std::size_t>(i)] = places[static_cast<std::size_t>(i * all / most)];
  places.resize(static_cast<std::size_t>(most));
  return places;
}

void text::read(const place& from, index* bytes, index* next) const {
  const char* const first = domains_[static_cast<std::size_t>(from.domain)].bytes.data() + from.at;
  for (index i = 0; i < sequence_; ++i) {
    bytes[i] = static_cast<unsigned char>(first[i]);
    next[i] = static_cast<unsigned char>(first[i + 1]);
  }
}

std::string text::checksum() const {
  digest sum;
  for (const domain& one : domains_) {
    sum.add(one.name.c_str(), one.name.size() + 1);
    sum.add(one.bytes.data(), one.bytes.size());
  }
  return sum.text();
}

text read_domains(const std::filesystem::path& folder, index sequence) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  if (error) hg::refuse_file(folder.string(), "the data folder cannot be read: ", error.message());
  if (files.size() < 2)
    hg::refuse_file(folder.string(), "the data folder has ", files.size(),
                    " files <domain>.txt, at least 2 are needed");
  std::vector<domain> domains;
  for (const auto& path : files) domains.push_back({path.stem().string(), hg::read_file(path, most_bytes)});
  std::sort(domains.begin(), domains.end(), [](const domain& a, const domain& b) { return a.name < b.name; });
  return {std::move(domains), sequence};
}

}  // namespace specialise
