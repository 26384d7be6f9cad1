// SPDX-License-Identifier: BSD-3-Clause
// Ranks that are threads of one process.
#pragma once

#include <headgate/communicators/collective_call.hpp>
#include <headgate/communicators/communicator_error.hpp>
#include <headgate/communicators/waiting_time.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

struct thread_ranks_options {
  /// Seconds after which an operation gives up a silent rank, without those in which the job is suspended.
  double time_out = 60;
};

namespace detail {

/// What the ranks of one run share. An operation is two meetings: at the first all ranks agree on the call, and only then
/// does one touch the values of another; at the second all are done with them. The first may fail, the second cannot.
class thread_group {
 public:
  /// A rank's call and where its values are, for the others to read and write between the meetings.
  struct place {
    collective_call call;
    const void* send = nullptr;
    void* values = nullptr;
    const index* send_counts = nullptr;
    const index* receive_counts = nullptr;
  };

  thread_group(index ranks, double time_out) : time_out_(time_out), places_(static_cast<std::size_t>(ranks)) {}

  [[nodiscard]] index size() const { return static_cast<index>(places_.size()); }
  [[nodiscard]] const place& of(index rank) const { return places_[static_cast<std::size_t>(rank)].is; }

  /// Waits until all ranks have made the same call.
  void meet(index rank, const place& mine) {
    std::unique_lock lock(mutex_);
    if (failure_.empty()) announce(rank, mine);
    const auto round = round_;
    if (failure_.empty() && ++arrived_ == size()) {
      if (mine.call.operation == collective::all_to_all)
        fail_locked(
            count_contradiction(size(), [&](index r) { return std::pair(of(r).send_counts, of(r).receive_counts); }));
      if (failure_.empty()) next_round();
    }
    wait(lock, [&] { return round != round_ || !failure_.empty(); });
    if (round != round_) return;  // all were here: whatever went wrong since is of a later operation
    if (failure_.empty())
      fail_locked(silence(
          size(), [&](index r) { return !seat_of(r).here; }, "did not come to", mine.call, time_out_));
    const std::string why = failure_;
    lock.unlock();
    fail_operation(name_of(mine.call.operation), ": ", why);
  }

  /// Waits until all ranks that have met are done with each other's values: copies, which take their time but end.
  void part() {
    std::unique_lock lock(mutex_);
    const auto round = round_;
    if (++arrived_ == size()) return next_round();
    changed_.wait(lock, [&] { return round != round_; });
  }

  void fail(index rank, std::string_view reason) {
    const std::lock_guard lock(mutex_);
    fail_locked(sentence("rank ", rank, " failed: ", reason));
  }

  /// The rank's function has returned. Those that wait for it wait in vain.
  void leave(index rank) {
    const std::lock_guard lock(mutex_);
    seat_of(rank).left = true;
    for (index r = 0; r < size(); ++r)
      if (seat_of(r).here) return fail_locked(absence(rank, r));
  }

  /// The rank's function has thrown; remembers the first exception that the group's failure does not explain, and of those
  /// that it does the lowest rank's.
  void leave(index rank, rank_exception thrown) {
    const std::lock_guard lock(mutex_);
    const bool is_cause = failure_.empty() || thrown.kind != rank_exception::communication;
    if (first_.kind == rank_exception::none || (is_cause && !first_is_cause_) ||
        (is_cause == first_is_cause_ && !is_cause && rank < first_rank_)) {
      first_ = std::move(thrown);
      first_rank_ = rank;
      first_is_cause_ = is_cause;
      fail_locked(sentence("rank ", rank, " failed: ", first_.what));
    }
  }

  void rethrow_first() const {
    if (first_.kind != rank_exception::none) first_.rethrow(first_rank_);
  }

 private:
  struct seat {
    place is;
    bool here = false;  ///< waits in a first meeting
    bool left = false;
  };

  /// Until `over` holds or the time-out is over.
  template <class Over>
  void wait(std::unique_lock<std::mutex>& lock, const Over& over) {
    using waiting_time = detail::waiting_time<>;
    const auto limit = waiting_time::of_seconds(time_out_);
    waiting_time time;
    for (auto waited = time.look(); !over() && waited < limit; waited = time.look())
      changed_.wait_for(lock, (std::min)(waiting_time::slice / 4, limit - waited), over);
  }

  seat& seat_of(index rank) { return places_[static_cast<std::size_t>(rank)]; }

  [[nodiscard]] std::string absence(index left, index waiting) const {
    return difference(left, {.operation = collective::end}, waiting, of(waiting).call);
  }

  void announce(index rank, const place& mine) {
    seat_of(rank).is = mine;
    seat_of(rank).here = true;
    for (index r = 0; r < size(); ++r) {
      if (seat_of(r).left) return fail_locked(absence(r, rank));
      if (seat_of(r).here && of(r).call != mine.call) return fail_locked(difference(r, of(r).call, rank, mine.call));
    }
  }

  void next_round() {
    arrived_ = 0;
    ++round_;
    for (seat& s : places_) s.here = false;
    changed_.notify_all();
  }

  /// The first failure is the cause of all later ones.
  void fail_locked(std::string why) {
    if (!failure_.empty() || why.empty()) return;
    failure_ = std::move(why);
    changed_.notify_all();
  }

  const double time_out_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<seat> places_;
  index arrived_ = 0;
  std::size_t round_ = 0;  ///< counts meetings
  std::string failure_;
  rank_exception first_;
  index first_rank_ = 0;
  bool first_is_cause_ = false;
};

}  // namespace detail

/// One of the ranks that `run_thread_ranks` started. Models `communicator`; an operation allocates nothing unless it fails.
class thread_rank {
 public:
  thread_rank(detail::thread_group& group, index rank) : group_(&group), rank_(rank) {}

  [[nodiscard]] index rank() const { return rank_; }
  [[nodiscard]] index size() const { return group_->size(); }

  /// Rank r sums the r-th part of the values over all ranks and writes it to all: each value is read once and written once
  /// for each rank, and part r of nobody's values is touched by another than r.
  template <class S>
  void all_reduce(std::span<S> values) {
    static_assert(std::is_arithmetic_v<S> && !std::is_same_v<S, bool>, "all_reduce: sums are of numbers");
    group_->meet(rank_, {.call = detail::call_of(detail::collective::all_reduce, values), .values = values.data()});
    constexpr index block = 2048;  // stays in the first cache while it is summed
    const detail::slice mine(static_cast<index>(values.size()), size(), rank_);
    for (index i = mine.first; i < mine.last; i += block) {
      const index count = (std::min)(block, mine.last - i);
      S* const sum = static_cast<S*>(group_->of(0).values) + i;
      for (index r = 1; r < size(); ++r) detail::add_to(sum, static_cast<const S*>(group_->of(r).values) + i, count);
      for (index r = 1; r < size(); ++r) std::copy_n(sum, count, static_cast<S*>(group_->of(r).values) + i);
    }
    group_->part();
  }

  template <class S>
  void all_to_all(std::span<const std::type_identity_t<S>> send, std::span<const index> send_counts,
                  std::span<S> receive, std::span<const index> receive_counts) {
    detail::check_all_to_all<S>(rank_, size(), send, send_counts, receive, receive_counts);
    group_->meet(rank_, {.call = {.operation = detail::collective::all_to_all, .element = detail::kind_of<S>()},
                         .send = send.data(),
                         .values = receive.data(),
                         .send_counts = send_counts.data(),
                         .receive_counts = receive_counts.data()});
    S* to = receive.data();
    for (index r = 0; r < size(); ++r) {
      const auto& other = group_->of(r);
      index from = 0;
      for (index q = 0; q < rank_; ++q) from += other.send_counts[q];
      const index count = other.send_counts[rank_];
      if (count > 0) to = std::copy_n(static_cast<const S*>(other.send) + from, count, to);
    }
    group_->part();
  }

  template <class S>
  void broadcast(std::span<S> values, index root) {
    detail::check_root(root, size());
    group_->meet(rank_,
                 {.call = detail::call_of(detail::collective::broadcast, values, root), .values = values.data()});
    if (rank_ != root) std::copy_n(static_cast<const S*>(group_->of(root).values), values.size(), values.data());
    group_->part();
  }

  void barrier() { group_->meet(rank_, {.call = {.operation = detail::collective::barrier}}); }

  void fail(std::string_view reason) { group_->fail(rank_, reason); }

 private:
  detail::thread_group* group_;
  index rank_;
};

static_assert(communicator<thread_rank>);

/// Runs `f(rank)` as so many ranks, each a `thread_rank&` on a thread of its own (rank 0 on the caller's), and returns when
/// all have returned.
///
/// Where f throws on a rank, the others get a `communicator_error` that names it as soon as they wait for it, and the
/// exception comes out of here with "rank r: " before its sentence: a `std::invalid_argument` or a `communicator_error` as
/// such, any other as a `rank_error`. Of several the first, of the errors of communication the lowest rank's. A failure that f
/// catches on all ranks is f's own business and does not come out of here (run_mpi_ranks ends the job then). A rank that
/// neither communicates nor returns is waited for: threads cannot be ended from outside.
template <class F>
void run_thread_ranks(index ranks, const thread_ranks_options& options, F&& f) {
  if (ranks < 1) refuse("run_thread_ranks: ranks is ", ranks, ", it must be at least 1");
  detail::check_time_out("run_thread_ranks", options.time_out);
  detail::thread_group group(ranks, options.time_out);
  const auto run = [&](index rank) {
    thread_rank self(group, rank);
    HEADGATE_TRY {
      f(self);
      group.leave(rank);
    }
    HEADGATE_CATCH_ALL { group.leave(rank, detail::rank_exception::current()); }
  };
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(ranks - 1));
  index started = 1;
  HEADGATE_TRY {
    for (; started < ranks; ++started) threads.emplace_back(run, started);
    run(0);
  }
  HEADGATE_CATCH_ALL { group.leave(started, detail::rank_exception::current()); }  // a thread that could not start
  for (std::thread& thread : threads) thread.join();
  group.rethrow_first();
}

template <class F>
void run_thread_ranks(index ranks, F&& f) {
  run_thread_ranks(ranks, thread_ranks_options{}, std::forward<F>(f));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
