// SPDX-License-Identifier: BSD-3-Clause
// Messages between each two of the ranks of an MPI communicator, with a time-out and with news of failures.
#pragma once

#include <headgate/communicators/collective_call.hpp>
#include <headgate/communicators/communicator_error.hpp>
#include <headgate/communicators/waiting_time.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>    // memcpy
#include <exception>  // uncaught_exceptions
#include <limits>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <thread>  // yield, sleep_for
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// What `mpi_rank` is built on: one exchange of messages at a time, and a failure that ends all of them.
class mpi_exchange {
 public:
  /// What MPI may still be sending from when an operation has failed.
  struct memory {
    std::vector<std::int64_t> headers;  ///< (size x header_size), by rank
    std::vector<std::byte> scratch;
    std::list<std::string> notices;
  };

  mpi_exchange(MPI_Comm ranks, double time_out) : time_out_(time_out) {
    // A communicator of our own, whose messages nobody else takes. Collective, without a time-out.
    if (MPI_Comm_dup(ranks, &comm_) != MPI_SUCCESS) fail_operation("mpi_rank: MPI_Comm_dup failed");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    int rank = 0, size = 0;
    MPI_Comm_rank(comm_, &rank);
    MPI_Comm_size(comm_, &size);
    rank_ = rank;
    size_ = size;
  }
  mpi_exchange(const mpi_exchange&) = delete;
  mpi_exchange& operator=(const mpi_exchange&) = delete;
  ~mpi_exchange() {
    // Collective: while an exception unwinds this rank, the others may never come.
    if (failure_.empty() && std::uncaught_exceptions() == 0)
      MPI_Comm_free(&comm_);
    else
      static_cast<void>(memory_.release());  // there may be messages that nobody took; a failed run is about to end
  }

  [[nodiscard]] index rank() const { return rank_; }
  [[nodiscard]] index size() const { return size_; }
  [[nodiscard]] memory& buffers() const { return *memory_; }

  /// Sends bytes to each other rank and receives bytes from each, as many as both know of; empty parts are no message.
  /// `arrived(r)` is called for each message that came from r.
  template <class Send, class Receive, class Arrived>
  void run(const collective_call& call, const Send& send, const Receive& receive, const char* absent,
           const Arrived& arrived) {
    requests_.clear();
    others_.clear();
    // Each rank begins with the next one, lest all besiege rank 0.
    const auto others = [&](const auto& part, const auto& begin) {
      for (index step = 1; step < size_; ++step) {
        const index r = (rank_ + step) % size_;
        for (auto bytes = part(r); !bytes.empty();) {
          const auto message = bytes.first((std::min)(message_bytes, bytes.size()));
          const int code = begin(message.data(), static_cast<int>(message.size()), MPI_BYTE, static_cast<int>(r),
                                 data_tag, comm_, &open(r));
          if (code != MPI_SUCCESS) requests_.back() = MPI_REQUEST_NULL;  // whatever it left there is no request
          check(call, code, r);
          bytes = bytes.subspan(message.size());
        }
      }
    };
    receives_ = (std::numeric_limits<int>::max)();  // so far all are: if the next one fails, these are to be withdrawn
    others(receive, MPI_Irecv);
    receives_ = static_cast<int>(requests_.size());
    others(send, MPI_Isend);
    watch(call, absent, arrived);
  }

  template <class Send, class Receive>
  void run(const collective_call& call, const Send& send, const Receive& receive) {
    run(call, send, receive, "fell silent in", [](index) {});
  }

  /// Begins the next operation, unless the group has failed before it.
  void begin(const collective_call& call) {
    ++operation_;
    listen(call);
    listen(call);  // the first look may only make MPI fetch what has arrived
  }

  /// Throws if this operation has failed, here or, by a notice, on another rank. A rank that had finished this operation
  /// when it failed says so in its notice: then this one can be finished here too.
  void listen(const collective_call& call) {
    int there = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, failure_tag, comm_, &there, &status) == MPI_SUCCESS && there) {
      int length = 0;
      MPI_Get_count(&status, MPI_CHAR, &length);
      std::string notice(static_cast<std::size_t>(length), ' ');
      MPI_Recv(notice.data(), length, MPI_CHAR, status.MPI_SOURCE, failure_tag, comm_, MPI_STATUS_IGNORE);
      std::int64_t from = 0;
      std::memcpy(&from, notice.data(), sizeof from);
      if (failure_.empty() || from < failed_from_) {
        failure_ = notice.substr(sizeof from);
        failed_from_ = from;
      }
    }
    if (failure_.empty() || operation_ < failed_from_) return;
    withdraw();
    fail_operation(name_of(call.operation), ": ", failure_);
  }

  [[noreturn]] void give_up(const collective_call& call, const std::string& why) {
    spread(why, operation_);
    withdraw();
    fail_operation(name_of(call.operation), ": ", failure_);
  }

  static void rest(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

  /// The operations after the last one fail.
  void fail(const std::string& why) { spread(why, operation_ + 1); }

 private:
  static constexpr int data_tag = 0, failure_tag = 1;
  static constexpr int last_looks = 3;  ///< after a time-out; one alone may only make MPI fetch what has arrived
  static constexpr std::size_t message_bytes = 1u << 26;  ///< at most: MPI counts in int, and each is a sign of life

  using waiting_time = detail::waiting_time<>;

  /// Remembers that operations fail from number `from` on, the first such failure only, and tells all other ranks.
  void spread(const std::string& why, std::int64_t from) {
    if (!failure_.empty() && failed_from_ <= from) return;
    failure_ = why;
    failed_from_ = from;
    auto& notice = memory_->notices.emplace_back(sizeof from, ' ');
    std::memcpy(notice.data(), &from, sizeof from);
    notice += why;
    std::vector<MPI_Request> sends(static_cast<std::size_t>(size_), MPI_REQUEST_NULL);
    for (index r = 0; r < size_; ++r)
      if (r != rank_)
        MPI_Isend(notice.data(), static_cast<int>(notice.size()), MPI_CHAR, static_cast<int>(r), failure_tag, comm_,
                  &sends[static_cast<std::size_t>(r)]);
    settle(sends);
  }

  MPI_Request& open(index other) {
    others_.push_back(other);
    return requests_.emplace_back(MPI_REQUEST_NULL);
  }

  /// Looks until all requests are done. Each that gets done is a word from its rank, whose time-out begins anew.
  template <class Arrived>
  void watch(const collective_call& call, const char* absent, const Arrived& arrived) {
    finished_.resize(requests_.size());
    statuses_.resize(requests_.size());
    heard_.assign(static_cast<std::size_t>(size_), waiting_time::duration{0});
    const auto limit = waiting_time::of_seconds(time_out_);
    waiting_time time;
    for (int looks = 0, overdue_looks = 0;; ++looks) {
      int count = 0;
      const int code = MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, finished_.data(),
                                    statuses_.data());
      check_each(call, code, count);
      if (count == MPI_UNDEFINED) return;  // none is left
      const auto now = time.look();
      for (int i = 0; i < count; ++i) {
        const int done = finished_[static_cast<std::size_t>(i)];
        const index other = others_[static_cast<std::size_t>(done)];
        heard_[static_cast<std::size_t>(other)] = now;
        if (done < receives_) arrived(other);
      }
      if (count > 0) {
        looks = overdue_looks = 0;
        continue;
      }
      listen(call);
      const auto overdue = [&](index r) { return now - heard_[static_cast<std::size_t>(r)] > limit && is_open(r); };
      // Looks again before it accuses: it may be this process that was suspended, and the message is there.
      if (any_rank(overdue) && ++overdue_looks > last_looks)
        give_up(call, silence(size_, overdue, absent, call, time_out_));
      // Yields first, for the answer is often under way; then sleeps, for there may be more ranks than processors.
      if (looks < 100)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds((std::min)(looks / 4, 1000)));
    }
  }

  template <class Is>
  [[nodiscard]] bool any_rank(const Is& is) const {
    for (index r = 0; r < size_; ++r)
      if (is(r)) return true;
    return false;
  }

  [[nodiscard]] bool is_open(index rank) const {
    for (std::size_t i = 0; i < requests_.size(); ++i)
      if (others_[i] == rank && requests_[i] != MPI_REQUEST_NULL) return true;
    return false;
  }

  /// `other` is the rank at the other end of the message, -1 if nobody knows.
  void check(const collective_call& call, int code, index other) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    const std::string where = other < 0 ? "" : sentence(" in a message with rank ", other);
    give_up(call, sentence("rank ", rank_, " got an error from MPI", where, ": ", text));
  }

  /// Of MPI_Testsome, whose own code may only say that one of the requests has one.
  void check_each(const collective_call& call, int code, int count) {
    if (code == MPI_SUCCESS) return;
    for (int i = 0; code == MPI_ERR_IN_STATUS && i < count; ++i)
      check(call, statuses_[static_cast<std::size_t>(i)].MPI_ERROR,
            others_[static_cast<std::size_t>(finished_[static_cast<std::size_t>(i)])]);
    check(call, code, -1);
  }

  /// Takes back what has not arrived yet, so that MPI writes no more to arguments of the operation, as far as MPI lets it:
  /// a receive whose message is already coming in cannot be cancelled.
  void withdraw() {
    for (std::size_t i = 0; i < requests_.size(); ++i)
      if (requests_[i] != MPI_REQUEST_NULL && static_cast<int>(i) < receives_) MPI_Cancel(&requests_[i]);
    settle(requests_);
  }

  /// Gives requests a moment to end, and leaves those that do not to themselves: MPI may still use their memory.
  static void settle(std::vector<MPI_Request>& requests) {
    int done = 0;
    for (int looks = 0; looks < 100 && !done; ++looks) {
      MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
      if (!done) rest(1);
    }
    for (MPI_Request& request : requests)
      if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);
    requests.clear();
  }

  double time_out_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  index rank_ = 0, size_ = 1;
  std::unique_ptr<memory> memory_ = std::make_unique<memory>();
  std::vector<MPI_Request> requests_;          ///< of the exchange under way: receives, then sends
  std::vector<index> others_;                  ///< whom each request is from or to
  std::vector<waiting_time::duration> heard_;  ///< after how much waiting each rank gave its last word in it
  std::vector<int> finished_;                  ///< which requests are done, as MPI_Testsome says
  std::vector<MPI_Status> statuses_;           ///< of those
  int receives_ = 0;
  std::int64_t operation_ = 0;  ///< counts
  std::int64_t failed_from_ = 0;
  std::string failure_;
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
