// SPDX-License-Identifier: BSD-3-Clause
// Checks of the experiment's own parts, for ctest: `headgate_specialise_check NAME`. Says what is wrong in one sentence.
#include "balance.hpp"
#include "checkpoint.hpp"
#include "digest.hpp"
#include "domains.hpp"
#include "model.hpp"
#include "run_log.hpp"
#include "trainer.hpp"
#include "training.hpp"

#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/testing/gradcheck.hpp>

#include <nlohmann/json.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

namespace specialise {

namespace {

namespace fs = std::filesystem;

template <class... Parts>
void require(bool holds, const Parts&... parts) {
  if (!holds) throw std::logic_error(hg::sentence(parts...));
}

/// Three domains of 40 KiB that differ in their letters.
text small_text(index sequence) {
  std::vector<domain> domains;
  for (index d = 0; d < 3; ++d) {
    std::string bytes;
    for (index i = 0; i < 40 * 1024; ++i) {
      const double u = hg::uniform({17, 0}, d, i);
      bytes.push_back(static_cast<char>('a' + 8 * d + static_cast<index>(8 * u * u)));
    }
    domains.push_back({std::string(1, static_cast<char>('a' + d)), std::move(bytes)});
  }
  return {std::move(domains), sequence};
}

settings small_settings() {
  settings how;
  how.sizes = {.layers = 2, .experts = 6, .k = 2, .model = 8, .hidden = 8, .taps = 3, .sequence = 16};
  how.batch = 16;
  how.micro = 1;
  how.chunk = 4;
  how.steps = 12;
  how.log_every = 2;
  how.validate_every = 6;
  how.checkpoint_every = 5;
  how.validation_sequences = 12;
  return how;
}

// ------------------------------------------------------------------------------------------------------------------- model

constexpr model_sizes tiny{.layers = 2, .experts = 4, .k = 2, .model = 5, .hidden = 3, .taps = 3, .sequence = 4};

std::vector<index> some_bytes(index count, index row) {
  std::vector<index> bytes;
  for (index i = 0; i < count; ++i) bytes.push_back(static_cast<index>(vocabulary * hg::uniform({5, 0}, row, i)));
  return bytes;
}

void gradients() {
  const auto alone = hg::testing::check_layer_gradients(
      hg::dense_layer{causal_convolution<double>{.model = 4, .taps = 3, .sequence = 5}, 1},
      hg::testing::random_matrix(15, 4, {2}));
  require(static_cast<bool>(alone), "convolution: ", alone.text());

  // Two micro-batches of two sequences, with counts of their own, and all parts of the loss.
  language_model<double> model(tiny, 3);
  const index rows = 4 * tiny.sequence;
  const std::vector<index> bytes = some_bytes(rows, 0), next = some_bytes(rows, 1);
  hg::expert_counts counts[2] = {hg::expert_counts(tiny.experts), hg::expert_counts(tiny.experts)};
  for (index e = 0; e < tiny.experts; ++e) counts[0].counts()[static_cast<std::size_t>(e)] = 1 + 3 * e;
  for (index e = 0; e < tiny.experts; ++e) counts[1].counts()[static_cast<std::size_t>(e)] = 9 - 2 * e;
  const hg::expert_counts* const used[2] = {&counts[0], &counts[1]};
  const micro_masks masks(2, 2 * tiny.sequence);
  const pooled_balance<double> balance{0.7, used, &masks};
  constexpr double share = 0.4, z = 0.3;

  language_model<double>::tape tape;
  language_model<double>::workspace work;
  auto grads = model.zero_gradients();
  const auto loss = [&] {
    double sum = share * model.forward(bytes, next, tape);
    for (auto& one : tape.blocks) {
      one.moe.gradient.reset(one.moe.routing);
      sum += balance.weight * balance(one.moe.routing, one.moe.gradient) +
             z * share * hg::router_z<double>{}(one.moe.routing, one.moe.gradient);
    }
    return sum;
  };
  loss();
  model.backward(
      bytes, tape, share, [&](index) { return balance; }, z, work, grads);
  hg::testing::gradient_report report;
  model.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
    report.include(hg::testing::gradient_check(loss, {{name, w, dw}}));
  });
  require(static_cast<bool>(report), "model: ", report.text());
  std::printf("gradients: worst relative error %.2g of %td elements\n", report.worst, report.elements);
}

/// What a row sees: the bytes before it in its own sequence.
void causality() {
  const language_model<float> model(tiny, 3);
  const index rows = 3 * tiny.sequence;
  std::vector<index> bytes = some_bytes(rows, 0);
  language_model<float>::tape before, after;
  model.forward(bytes, bytes, before);
  const index changed = tiny.sequence + 1;
  bytes[static_cast<std::size_t>(changed)] ^= 1;
  model.forward(bytes, bytes, after);
  for (index t = 0; t < rows; ++t) {
    const bool same = std::memcmp(before.normed.row(t).data(), after.normed.row(t).data(),
                                  static_cast<std::size_t>(tiny.model) * sizeof(float)) == 0;
    const bool sees = t >= changed && t < 2 * tiny.sequence;
    require(same != sees, "row ", t, same ? " does not see" : " sees", " byte ", changed, " of a sequence of ",
            tiny.sequence, " that begins at ", tiny.sequence);
  }
}

// ------------------------------------------------------------------------------------------------------------------- pools

/// The counts of every pool against plain loops, and the micro-batch loss against the library's own.
void pools() {
  const text data = small_text(16);
  for (const char* name : {"micro", "4x", "global", "shuffled", "buffer"}) {
    settings how = small_settings();
    how.micro = 2;
    how.chunk = 3;  // the last chunk is smaller
    how.pool = parse_pool(name, how.micro_batches());
    hg::single_rank alone;
    trainer<hg::single_rank> training(how, data, alone);
    training.step(nullptr);
    step_record record;
    training.step(&record);
    const index all = how.micro_batches(), tokens = how.micro * how.sizes.sequence;
    for (index l = 0; l < how.sizes.layers; ++l) {
      std::vector<std::vector<index>> own(static_cast<std::size_t>(all),
                                          std::vector<index>(static_cast<std::size_t>(how.sizes.experts)));
      double micro_balance = 0;
      for (index i = 0; i < all; ++i) {
        const auto one = training.routed(i, l);
        hg::routing<float> part;  // the micro-batch by itself
        part.reset(tokens, how.sizes.experts);
        part.scores_are = hg::score_kind::distribution;
        part.scores.resize(tokens, how.sizes.experts);
        for (index t = 0; t < tokens; ++t)
          std::copy_n(one.routing->scores.row(one.first + t), how.sizes.experts, part.scores.row(t));
        for (const auto& a : one.routing->assignments)
          if (a.token >= one.first && a.token < one.first + tokens) {
            ++own[static_cast<std::size_t>(i)][static_cast<std::size_t>(a.expert)];
            part.assignments.push_back({a.token - one.first, a.expert, a.weight});
          }
        hg::routing_gradient<float> d;
        d.reset(part);
        micro_balance += static_cast<double>(hg::switch_balance<float>{}(part, d)) / static_cast<double>(all);
      }
      require(std::abs(micro_balance - record.micro_balance[static_cast<std::size_t>(l)]) < 1e-5, name,
              ": micro_balance is ", record.micro_balance[static_cast<std::size_t>(l)], ", expected ", micro_balance);
      if (how.pool.kind == pool_kind::shuffled) continue;
      for (index i = 0; i < all; ++i)
        for (index e = 0; e < how.sizes.experts; ++e) {
          const index first = how.pool.kind == pool_kind::buffer ? 0 : i / how.pool.size * how.pool.size;
          const index last = how.pool.kind == pool_kind::buffer ? i + 1 : first + how.pool.size;
          index expected = 0;
          for (index j = first; j < last; ++j)
            expected += own[static_cast<std::size_t>(j)][static_cast<std::size_t>(e)];
          const index found = (*training.routed(i, l).counts)[e];
          require(found == expected, name, ": micro-batch ", i, " takes ", found, " assignments of expert ", e,
                  " in layer ", l, ", expected ", expected);
        }
    }
  }
}

/// Draws of the ablation: as many different tokens as a micro-batch has, of which every rank marks its own.
void draws() {
  settings how = small_settings();
  how.pool = parse_pool("shuffled", how.micro_batches());
  const index tokens = how.sizes.sequence, ranks = 4;
  deal whole(how, 0, 1);
  std::vector<deal> parts;
  for (index r = 0; r < ranks; ++r) parts.emplace_back(how, r, ranks);
  std::set<std::vector<bool>> seen;
  for (index step = 0; step < 3; ++step) {
    whole.start_draws(step);
    for (deal& part : parts) part.start_draws(step);
    for (index b = 0; b < how.micro_batches(); ++b) {
      const auto all = whole.draw(b);
      const std::vector<bool> drawn(all.begin(), all.end());
      require(std::count(drawn.begin(), drawn.end(), true) == tokens, "draw ", b, " has not ", tokens, " tokens");
      require(seen.insert(drawn).second, "draw ", b, " of step ", step, " is an earlier one");
      index marked = 0;
      for (deal& part : parts) {
        const auto mine = part.draw(b);
        for (index i = 0; i < part.local() * tokens; ++i) {
          const index global = part.global(i / tokens) * tokens + i % tokens;
          require(mine[static_cast<std::size_t>(i)] == drawn[static_cast<std::size_t>(global)], "token ", global,
                  " of draw ", b, " is not the same for the rank that has it");
          marked += mine[static_cast<std::size_t>(i)] ? 1 : 0;
        }
      }
      require(marked == tokens, "the ranks mark ", marked, " of ", tokens, " tokens");
    }
  }
}

/// Training text, validation text and what is drawn.
void domains() {
  const text data = small_text(16);
  std::map<index, index> by_domain;
  constexpr index draws = 3000;
  for (index i = 0; i < draws; ++i) {
    const place at = data.training(1, i / 16, i % 16);
    ++by_domain[at.domain];
    const index size = static_cast<index>(data.domains()[static_cast<std::size_t>(at.domain)].bytes.size());
    require(at.at >= 0 && at.at + 16 < size, "a training sequence begins at ", at.at, " of ", size);
    for (const index byte : {at.at, at.at + 16})
      require(byte / 4096 % 16 != 7, "a training sequence touches the validation block at ", byte);
  }
  for (const auto& [domain, count] : by_domain)
    require(std::abs(count - draws / 3) < 120, "domain ", domain, " is drawn ", count, " times of ", draws);
  const std::vector<place> held_out = data.validation(1, 0);
  require(held_out.size() == 4095 / 16, "there are ", held_out.size(), " validation sequences, expected 255");
  for (const place& at : held_out)
    require(at.at >= 7 * 4096 && at.at + 16 < 8 * 4096, "a validation sequence begins at ", at.at);
  const std::vector<place> some = data.validation(1, 5);
  require(some.size() == 5, "there are ", some.size(), " validation sequences, expected 5");
  for (std::size_t i = 0; i < some.size(); ++i)
    require(some[i].at == held_out[51 * i].at, "validation sequence ", i, " of 5 begins at ", some[i].at);
  require(data.training_bytes() == 3 * 9 * 4096 && data.validation_bytes() == 3 * 4096, "the parts have ",
          data.training_bytes(), " and ", data.validation_bytes(), " bytes");
}

// -------------------------------------------------------------------------------------------------------------------- runs

class folder {
 public:
  explicit folder(const char* name) : path_(fs::temp_directory_path() / hg::sentence(name, "-", getpid())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  operator const fs::path&() const { return path_; }

 private:
  fs::path path_;
};

/// The log without its timings, and without the lines about refused checkpoints.
std::string comparable_log(const fs::path& path, index* refused = nullptr) {
  std::ifstream file(path);
  std::string all;
  for (std::string line; std::getline(file, line);) {
    auto said = nlohmann::ordered_json::parse(line);
    if (said.contains("refused")) {
      if (refused) ++*refused;
      continue;
    }
    said.erase("tokens_per_second");
    if (said.contains("done")) said["done"].erase("seconds");
    all += said.dump() + "\n";
  }
  return all;
}

/// Trains in a process of its own, which `watch` may kill. True if it came to its end.
bool train_in_child(const settings& how, const text& data, const fs::path& out, index ranks, const watcher& watch,
                    double kill_after = 0) {
  std::fflush(stdout);
  const pid_t child = fork();
  require(child >= 0, "fork failed");
  if (child == 0) {
    int result = 1;
    try {
      train(how, data, out, ranks, watch);
      result = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    _exit(result);
  }
  if (kill_after > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kill_after));
    kill(child, SIGKILL);
  }
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid failed");
  require(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "a child failed");
  return !WIFSIGNALED(status);
}

watcher killed_after(index step) {
  watcher watch;
  watch.step = [step](const run_view& now) {
    if (now.step == step) std::raise(SIGKILL);
  };
  return watch;
}

void same_end(const settings& how, const fs::path& log, const std::string& expected, const std::string& what) {
  const std::string found = comparable_log(log);
  require(expected.find("weights_checksum") != std::string::npos, "the undisturbed run has no checksum");
  require(found == expected, what, ": the log of ", pool_name(how), " ends with ",
          found.substr(found.size() - std::min<std::size_t>(found.size(), 100)), " and not as undisturbed with ",
          expected.substr(expected.size() - 100));
}

void resumption_check() {
  const text data = small_text(16);
  for (const auto& [pool, ranks] : {std::pair{"micro", 1}, {"shuffled", 1}, {"4x", 2}}) {
    settings how = small_settings();
    how.pool = parse_pool(pool, how.micro_batches());
    const folder whole("specialise-whole"), cut("specialise-cut");
    const std::string name = run_name(how, ranks);
    require(train_in_child(how, data, whole, ranks, {}), "the undisturbed run was killed");
    const std::string expected = comparable_log(log_path(whole, name));
    // Before the first checkpoint, at one, after one, at the last step.
    for (const index step : {1, 4, 5, 6, 9, 10, 11, 12}) {
      require(!train_in_child(how, data, cut, ranks, killed_after(step)), "nothing killed the run at step ", step);
      std::vector<std::string> notes;
      require(train_in_child(how, data, cut, ranks, {}), "the resumed run was killed");
      same_end(how, log_path(cut, name), expected, hg::sentence("killed after step ", step));
      fs::remove_all(cut);
      fs::create_directories(cut);
    }
    // Again and again.
    for (const index step : {3, 6, 8, 11, 12})
      require(!train_in_child(how, data, cut, ranks, killed_after(step)), "nothing killed the run at step ", step);
    require(train_in_child(how, data, cut, ranks, {}), "the resumed run was killed");
    same_end(how, log_path(cut, name), expected, "killed five times");
  }

  // At any moment, in the middle of a checkpoint too, of which there is one a step.
  settings how = small_settings();
  how.checkpoint_every = 1;
  how.steps = 40;
  const folder whole("specialise-whole"), cut("specialise-cut");
  require(train_in_child(how, data, whole, 1, {}), "the undisturbed run was killed");
  const std::string expected = comparable_log(log_path(whole, run_name(how, 1)));
  index kills = 0;
  while (!train_in_child(how, data, cut, 1, {}, 0.004 + 0.002 * static_cast<double>(kills % 23))) ++kills;
  same_end(how, log_path(cut, run_name(how, 1)), expected, hg::sentence("killed ", kills, " times"));
  std::printf("resumption: killed %td times at any moment\n", kills);
}

void change_file(const fs::path& path, const std::function<void(std::string&)>& change) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  in.close();
  change(bytes);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

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
  restart("a short log", log_path(cut, name), 2, [](std::string& bytes) { bytes.resize(bytes.find('\n') + 1); });

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
      static_cast<void>(load_checkpoint(bad, state, run, 1 << 20));
    } catch (const std::runtime_error&) {
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

std::string sentence_of(const std::function<void()>& refused) {
  try {
    refused();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// A run that ends early says so in its log and goes on from there; a run is of one program at a time.
void failures() {
  const text data = small_text(16);
  settings how = small_settings();
  for (const index ranks : {1, 2}) {
    const folder whole("specialise-whole"), cut("specialise-cut");
    const std::string name = run_name(how, ranks);
    train(how, data, whole, ranks, {});
    watcher watch;
    watch.step = [](const run_view& now) {
      if (now.step == 7) throw std::runtime_error("the lamp is out");
    };
    const std::string said = sentence_of([&] { train(how, data, cut, ranks, watch); });
    require(said.find("the lamp is out") != std::string::npos, "it says '", said, "'");
    std::ifstream file(log_path(cut, name));
    std::string last;
    for (std::string line; std::getline(file, line);) last = line;
    require(last.starts_with("{\"refused\":\"after step 7: ") && last.find("the lamp is out") != std::string::npos,
            "the log ends with ", last);
    {
      const run_lock other(log_path(cut, name));
      const std::string locked = sentence_of([&] { train(how, data, cut, ranks, {}); });
      require(locked.find("another program is at this run") != std::string::npos, "it says '", locked, "'");
    }
    train(how, data, cut, ranks, {});
    same_end(how, log_path(cut, name), comparable_log(log_path(whole, name)), "failed after step 7");
  }

  const auto refuses = [&](const auto& change, const std::string& expected) {
    settings other = how;
    change(other);
    const std::string said = sentence_of([&] { check(other, 1); });
    require(said == expected, "it says '", said, "', expected '", expected, "'");
  };
  refuses([](settings& s) { s.rate = std::nan(""); }, "rate is nan, it must be more than 0 and finite");
  refuses([](settings& s) { s.clip = 0; }, "clip is 0, it must be more than 0 and finite");
  refuses([](settings& s) { s.weight_decay = -1; }, "weight-decay is -1, it must be at least 0 and finite");
  refuses([](settings& s) { s.validation_sequences = -1; },
          "validation-sequences is -1, it must be at least 1, or 0 for all");
}

/// Several ranks compute what one does, to rounding.
void ranks() {
  const text data = small_text(16);
  for (const char* pool : {"micro", "4x", "global", "shuffled"}) {
    std::vector<nlohmann::json> of_one;
    for (const index count : {1, 2, 4}) {
      settings how = small_settings();
      how.steps = 6;
      how.pool = parse_pool(pool, how.micro_batches());
      const folder out("specialise-ranks");
      train(how, data, out, count, {});
      std::ifstream file(log_path(out, run_name(how, count)));
      std::size_t line_number = 0;
      for (std::string line; std::getline(file, line);) {
        const auto said = nlohmann::json::parse(line);
        if (!said.contains("step")) continue;
        if (count == 1) {
          of_one.push_back(said);
          continue;
        }
        const auto& expected = of_one.at(line_number++);
        for (const char* key : {"/train_bpb", "/balance/0", "/balance/1", "/micro_balance/0", "/micro_balance/1"}) {
          const nlohmann::json::json_pointer at(key);
          const double found = said.at(at).get<double>(), one = expected.at(at).get<double>();
          require(std::abs(found - one) < 1e-4, pool, " on ", count, " ranks: ", key, " of step ",
                  said.at("step").get<index>(), " is ", found, ", on one rank ", one);
        }
      }
    }
    require(of_one.size() == 3, "there are ", of_one.size(), " steps in the log, expected 3");
  }
  settings how = small_settings();
  how.pool = parse_pool("2x", how.micro_batches());
  std::string sentence;
  try {
    check(how, 4);
  } catch (const std::invalid_argument& error) {
    sentence = error.what();
  }
  require(sentence == "a pool of 2 micro-batches cannot be dealt to 4 ranks evenly", "it says '", sentence, "'");
}

}  // namespace

}  // namespace specialise

int main(int count, char** arguments) {
  using namespace specialise;
  const std::map<std::string, void (*)()> checks{
      {"gradients", gradients}, {"causality", causality}, {"pools", pools},
      {"draws", draws},         {"domains", domains},     {"resumption", resumption_check},
      {"damage", damage},       {"failures", failures},   {"ranks", ranks}};
  const std::string name = count == 2 ? arguments[1] : "";
  if (!checks.contains(name)) {
    std::fprintf(stderr, "specialise check: '%s' is none of the checks\n", name.c_str());
    return 1;
  }
  try {
    checks.at(name)();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "specialise check %s: %s\n", name.c_str(), error.what());
    return 1;
  }
}
