// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints and logs that are damaged, or of another run.
#include "../checkpoint.hpp"
#include "../digest.hpp"
#include "../trainer.hpp"
#include "runs.hpp"

#include <headgate/communicators/single_rank.hpp>

#include <cstdio>
#include <fstream>
#include <functional>
#include <vector>

namespace specialise {

namespace {

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void change_file(const fs::path& path, const std::function<void(std::string&)>& change) {
  std::string bytes = content(path);
  change(bytes);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

void damage() {
  const text data = small_text(16);
  settings how = small_settings();
  const folder whole("specialise-whole"), cut("specialise-cut"), spare("specialise-spare");
  const std::string name = run_name(how, 1);
  require(train_in_child(how, data, whole, 1, {}), "the undisturbed run was killed");
  const std::string expected = comparable_log(log_path(whole, name));
  require(!train_in_child(how, data, spare, 1, killed_after(11)), "nothing killed the run");

  const auto restart = [&](const char* what, const fs::path& file, index refused,
                           const std::function<void(std::string&)>& change) {
    fs::remove_all(cut);
    fs::copy(spare, cut);
    change_file(file, change);
    std::vector<std::string> notes;
    watcher watch;
    watch.note = [&](const std::string& note) { notes.push_back(note); };
    train(how, data, cut, 1, watch);
    same_end(how, log_path(cut, name), expected, what);
    index logged = 0;
    static_cast<void>(comparable_log(log_path(cut, name), &logged));
    require(logged == refused, what, ": the log has ", logged, " refusals, expected ", refused);
    require(static_cast<index>(notes.size()) >= refused, what, ": there are ", notes.size(), " notes");
    if (refused == 1)
      require(notes.back().find("after step 5 from") != std::string::npos, what, ": it says '", notes.back(), "'");
  };
  const fs::path last = checkpoint_path(cut, name), before = previous_of(last);
  restart("whole", last, 0, [](std::string&) {});
  restart("empty", last, 1, [](std::string& bytes) { bytes.clear(); });
  restart("half", last, 1, [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  restart("one byte short", last, 1, [](std::string& bytes) { bytes.pop_back(); });
  restart("one byte longer", last, 1, [](std::string& bytes) { bytes.push_back('\0'); });
  restart("the previous damaged, which is not needed", before, 0, [](std::string& bytes) { bytes.pop_back(); });

  // Checkpoints that are whole stay where they are, whatever has happened to the log; with the log back the run goes on.
  const auto refuses = [&](const char* what) {
    const std::string said = sentence_of([&] { train(how, data, cut, 1, {}); });
    for (const fs::path& file : {last, before})
      require(content(file) == content(spare / file.filename()), what, ": ", file.string(), " is not as it was");
    require(said.starts_with(last.string() + ": "), what, ": it says '", said, "'");
    return said;
  };
  const fs::path log = log_path(cut, name), kept = log_path(spare, name);
  for (const bool removed : {false, true}) {
    fs::remove_all(cut);
    fs::copy(spare, cut);
    change_file(log, [](std::string& bytes) { bytes.resize(bytes.find('\n') + 1); });
    if (removed) fs::remove(log);
    const char* const what = removed ? "no log" : "a short log";
    for (index attempt = 0; attempt < 2; ++attempt) {
      const std::string said = refuses(what);
      const std::uintmax_t length = fs::file_size(log);
      require(removed == (length == 0), what, ": it has ", length, " bytes afterwards");
      require(said.find(hg::sentence("when ", log.string(), " had ")) != std::string::npos &&
                  said.find(hg::sentence(" bytes, it has ", length, "; ")) != std::string::npos,
              what, ": it says '", said, "'");
    }
    fs::copy_file(kept, log, fs::copy_options::overwrite_existing);
    train(how, data, cut, 1, {});
    same_end(how, log, expected, what);
  }

  // What cannot be read is not known to be damaged.
  fs::remove_all(cut);
  fs::copy(spare, cut);
  fs::remove(last);
  fs::create_directory(last);
  require(sentence_of([&] { train(how, data, cut, 1, {}); }).starts_with(last.string() + ": "),
          "a checkpoint that cannot be read is not refused by its name");
  require(fs::exists(last) && content(before) == content(spare / before.filename()),
          "a checkpoint that cannot be read is not as it was");

  // The file that was refused is not what the next save keeps: the one it went on from is still there.
  const auto halve = [](std::string& bytes) { bytes.resize(bytes.size() / 2); };
  fs::remove_all(cut);
  fs::copy(spare, cut);
  change_file(last, halve);
  require(!train_in_child(how, data, cut, 1, killed_after(10)), "nothing killed the run at step 10");
  change_file(last, halve);
  std::vector<std::string> notes;
  watcher watch;
  watch.note = [&](const std::string& note) { notes.push_back(note); };
  train(how, data, cut, 1, watch);
  require(notes.size() == 2 && notes.back().find("after step 5 from") != std::string::npos, "damaged twice: it says '",
          notes.back(), "'");
  same_end(how, log_path(cut, name), expected, "damaged twice");
  require(!fs::exists(before), "a run that is done keeps ", before.string());

  fs::remove_all(spare / fs::path(name + ".checkpoint.previous"));
  restart("no previous one", last, 0, [](std::string&) {});

  // Every changed bit is found out, wherever it is, and changes nothing.
  hg::single_rank alone;
  trainer<hg::single_rank> training(how, data, alone);
  std::vector<state_matrix> state;
  training.for_each_state([&](const std::string& field, auto values) { state.push_back({field, values}); });
  const std::string run = describe(how, data, 1, training.parameters());
  const auto sum = [&] {
    digest all;
    for (const state_matrix& one : state)
      all.add(one.values.data, static_cast<std::size_t>(one.values.rows * one.values.cols) * sizeof(float));
    return all.text();
  };
  const std::string fresh = sum();
  const fs::path good = checkpoint_path(spare, name), bad = checkpoint_path(cut, name);
  const auto size = static_cast<std::size_t>(fs::file_size(good));
  index flips = 0;
  for (std::size_t at = 0; at < size; at += at < 400 ? 1 : 211, ++flips) {
    fs::copy_file(good, bad, fs::copy_options::overwrite_existing);
    change_file(bad, [&](std::string& bytes) { bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8); });
    bool refused = false;
    try {
      static_cast<void>(load_checkpoint(bad, state, run, kept));
    } catch (const damaged_checkpoint&) {
      refused = true;
    }
    require(refused, "a flipped bit of byte ", at, " goes unnoticed");
    require(sum() == fresh, "a refused checkpoint has changed the state");
  }
  std::printf("damage: %td flipped bits are refused\n", flips);

  // Another run's files are left alone.
  settings other = how;
  other.weight *= 2;
  for (const fs::path& file : {log_path(spare, name), checkpoint_path(spare, name)}) {
    std::string sentence;
    try {
      train(other, data, spare, 1, {});
    } catch (const std::invalid_argument& error) {
      sentence = error.what();
    }
    require(sentence.find(file.string()) == 0, "another run's ", file.string(), " gives '", sentence, "'");
    fs::remove(log_path(spare, name));
  }
}

}  // namespace specialise
