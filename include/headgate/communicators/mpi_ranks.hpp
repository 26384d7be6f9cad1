// SPDX-License-Identifier: BSD-3-Clause
// Ranks that are processes, on one machine or many, over an installed MPI. Only this header and mpi_exchange.hpp need MPI.
#pragma once

#include <headgate/communicators/collective_call.hpp>
#include <headgate/communicators/communicator_error.hpp>
#include <headgate/communicators/mpi_exchange.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

struct mpi_ranks_options {
  /// Seconds without a word from a rank after which an operation gives it up; each rank's own. While this process is
  /// suspended they do not run.
  double time_out = 60;
  /// Compare the calls of all ranks before each operation: a short message to each other. The same on all ranks.
  bool agreement = true;
};

/// This process's end of the ranks of an MPI communicator. Models `communicator`; every process of `ranks` makes one, at the
/// same time. `run_mpi_ranks` makes it, and makes and ends MPI too.
///
/// Operations exchange messages in pairs rather than call MPI's collectives, for three reasons: MPI_Allreduce may add in
/// any order (thread_rank and this class give the same bits), a collective that never ends does not say for whom it waits,
/// and nothing takes it back. All waiting is looking, with a short sleep between looks, until the time-out.
/// Without `agreement` an operation costs one latency less, and calls that do not match are not found out: they end in a
/// time-out or an error of MPI's, or exchange what they find. Values travel as bytes: all machines must be of one kind.
/// After an error in the middle of a transfer MPI may still hold this rank's arguments: end the program, as run_mpi_ranks does.
/// The constructor (MPI_Allreduce, MPI_Comm_dup) and, of a group without failure, the destructor (MPI_Comm_free) are
/// collective and MPI's own: they wait for the other ranks without limit. Where an exception destroys it, the MPI
/// communicator is left to MPI.
class mpi_rank {
 public:
  explicit mpi_rank(MPI_Comm ranks = MPI_COMM_WORLD, const mpi_ranks_options& options = {})
      : options_(checked(ranks, options)), exchange_(ranks, options.time_out) {
    exchange_.buffers().headers.resize(static_cast<std::size_t>(size() * header_size()));
  }

  [[nodiscard]] index rank() const { return exchange_.rank(); }
  [[nodiscard]] index size() const { return exchange_.size(); }

  /// Rank r gets the r-th part of the values from all, adds them in the order of the ranks, and sends the sum to all.
  template <class S>
  void all_reduce(std::span<S> values) {
    static_assert(std::is_arithmetic_v<S> && !std::is_same_v<S, bool>, "all_reduce: sums are of numbers");
    const auto call = detail::call_of(detail::collective::all_reduce, values);
    agree(call);
    // In blocks, which bound the scratch; multiples of the ranks, so that all parts but the last ones are equal.
    const index block = (std::max)(index{1}, scratch_bytes / static_cast<index>(sizeof(S)) / size()) * size();
    for (std::size_t i = 0; i < values.size() && size() > 1; i += static_cast<std::size_t>(block))
      reduce_block(values.subspan(i, (std::min)(static_cast<std::size_t>(block), values.size() - i)), call);
  }

  template <class S>
  void all_to_all(std::span<const std::type_identity_t<S>> send, std::span<const index> send_counts,
                  std::span<S> receive, std::span<const index> receive_counts) {
    detail::check_all_to_all<S>(rank(), size(), send, send_counts, receive, receive_counts);
    const detail::collective_call call{.operation = detail::collective::all_to_all, .element = detail::kind_of<S>()};
    agree(call, send_counts.data(), receive_counts.data());
    const auto out = detail::part_of(send, send_counts, rank());
    std::copy(out.begin(), out.end(), detail::part_of(receive, receive_counts, rank()).begin());
    exchange_.run(
        call, [&](index r) { return std::as_bytes(detail::part_of(send, send_counts, r)); },
        [&](index r) { return std::as_writable_bytes(detail::part_of(receive, receive_counts, r)); });
  }

  /// The root sends all values to each: meant for what a run begins with.
  template <class S>
  void broadcast(std::span<S> values, index root) {
    detail::check_root(root, size());
    const auto call = detail::call_of(detail::collective::broadcast, values, root);
    agree(call);
    exchange_.run(
        call, [&](index) { return rank() == root ? std::as_bytes(values) : std::span<const std::byte>(); },
        [&](index r) { return r == root ? std::as_writable_bytes(values) : std::span<std::byte>(); });
  }

  void barrier() { synchronise(detail::collective::barrier); }

  void fail(std::string_view reason) { exchange_.fail(sentence("rank ", rank(), " failed: ", reason)); }

  /// The last operation: waits until all ranks have called it. A rank that calls another one gets told who has returned.
  void finish() { synchronise(detail::collective::end); }

 private:
  static constexpr index scratch_bytes = index{1} << 24;
  static constexpr index call_size = 5;  ///< numbers of a header before its counts

  /// Refuses options that are wrong by themselves, and, on all ranks, an `agreement` that is not the same on all.
  [[nodiscard]] static const mpi_ranks_options& checked(MPI_Comm ranks, const mpi_ranks_options& options) {
    detail::check_time_out("mpi_rank", options.time_out);
    constexpr int nobody = (std::numeric_limits<int>::max)();
    int rank = 0, first[2] = {nobody, nobody};  // the first rank with `agreement` false, and true
    MPI_Comm_rank(ranks, &rank);
    first[options.agreement ? 1 : 0] = rank;
    MPI_Allreduce(MPI_IN_PLACE, first, 2, MPI_INT, MPI_MIN, ranks);
    if (first[0] != nobody && first[1] != nobody)
      refuse("mpi_rank: agreement is true on rank ", first[1], " and false on rank ", first[0],
             ", it must be the same on all ranks");
    return options;
  }

  [[nodiscard]] index header_size() const { return call_size + 2 * size(); }
  [[nodiscard]] std::span<std::int64_t> header(index r) const {
    return std::span(exchange_.buffers().headers)
        .subspan(static_cast<std::size_t>(r * header_size()), static_cast<std::size_t>(header_size()));
  }

  void synchronise(detail::collective operation) {
    const detail::collective_call call{.operation = operation};
    agree(call);
    if (options_.agreement) return;
    exchange_.run(
        call, [&](index) { return std::as_bytes(header(rank()).first(1)); },
        [&](index r) { return std::as_writable_bytes(header(r).first(1)); });
  }

  /// Waits until all ranks have said what they call, and fails unless it is the same.
  void agree(const detail::collective_call& call, const index* send_counts = nullptr,
             const index* receive_counts = nullptr) {
    exchange_.begin(call);
    if (!options_.agreement || size() == 1) return;
    const auto mine = header(rank());
    const std::int64_t numbers[call_size] = {static_cast<std::int64_t>(call.operation), call.element.family,
                                             call.element.size, call.length, call.root};
    std::copy_n(numbers, call_size, mine.begin());
    if (send_counts != nullptr) {
      std::copy_n(send_counts, size(), mine.begin() + call_size);
      std::copy_n(receive_counts, size(), mine.begin() + call_size + size());
    }
    exchange_.run(
        call, [&](index) { return std::as_bytes(mine); }, [&](index r) { return std::as_writable_bytes(header(r)); },
        "did not come to",
        [&](index r) {
          const auto theirs = header(r);
          const detail::collective_call other{static_cast<detail::collective>(theirs[0]),
                                              {static_cast<char>(theirs[1]), static_cast<std::int32_t>(theirs[2])},
                                              theirs[3],
                                              theirs[4]};
          if (other != call) exchange_.give_up(call, detail::difference(r, other, rank(), call));
        });
    exchange_.listen(call);  // all had come, but some may have given up this rank
    if (send_counts == nullptr) return;
    const std::string contradiction = detail::count_contradiction(size(), [&](index r) {
      return std::pair(header(r).data() + call_size, header(r).data() + call_size + size());
    });
    if (!contradiction.empty()) exchange_.give_up(call, contradiction);
  }

  template <class S>
  void reduce_block(std::span<S> values, const detail::collective_call& call) {
    const auto part = [&](index r) {
      const detail::slice at(static_cast<index>(values.size()), size(), r);
      return values.subspan(static_cast<std::size_t>(at.first), static_cast<std::size_t>(at.size()));
    };
    const auto mine = part(rank());
    auto& scratch = exchange_.buffers().scratch;  // (size x mine.size())
    const std::size_t row_bytes = mine.size_bytes();
    if (scratch.size() < row_bytes * static_cast<std::size_t>(size()))
      scratch.resize(row_bytes * static_cast<std::size_t>(size()));
    const auto row = [&](index r) { return scratch.data() + static_cast<std::size_t>(r) * row_bytes; };
    exchange_.run(
        call, [&](index r) { return std::as_bytes(part(r)); }, [&](index r) { return std::span(row(r), row_bytes); });
    std::copy_n(std::as_bytes(mine).data(), row_bytes, row(rank()));
    std::copy_n(row(0), row_bytes, std::as_writable_bytes(mine).data());
    for (index r = 1; r < size(); ++r)
      detail::add_to(mine.data(), reinterpret_cast<const S*>(row(r)), static_cast<index>(mine.size()));
    exchange_.run(
        call, [&](index) { return std::as_bytes(mine); }, [&](index r) { return std::as_writable_bytes(part(r)); });
  }

  mpi_ranks_options options_;
  detail::mpi_exchange exchange_;
};

static_assert(communicator<mpi_rank>);

/// Makes MPI ready, runs `f(rank)` with this process's `mpi_rank&`, and ends MPI when all ranks have returned. Returns 0.
///
/// If f throws, or an operation fails and f does not say so, tells the other ranks, prints "rank 2 of 4: " and the sentence on
/// standard error, gives the others a second to print theirs, and ends the whole job with status 1 (MPI_Abort): MPI_Finalize
/// would wait for ranks that wait for this one. It does so without limit, as MPI_Comm_dup does at the start: a process that
/// dies there is the launcher's to find. An MPI that knows no threads at all (below MPI_THREAD_FUNNELED) is refused.
template <class F>
int run_mpi_ranks(int& argc, char**& argv, const mpi_ranks_options& options, F&& f) {
  int provided = 0, rank = 0, size = 1;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);  // f may have threads, this one communicates
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  detail::rank_exception thrown;
  const auto end_job = [&] {
    std::fprintf(stderr, "rank %d of %d: %s\n", rank, size, thrown.what.c_str());
    std::fflush(stderr);
    detail::mpi_exchange::rest(1000);
    MPI_Abort(MPI_COMM_WORLD, 1);
  };
  HEADGATE_TRY {
    if (provided < MPI_THREAD_FUNNELED)
      refuse("run_mpi_ranks: MPI gives thread level ", provided, ", it must be at least ",
             static_cast<int>(MPI_THREAD_FUNNELED), " (MPI_THREAD_FUNNELED)");
    mpi_rank self(MPI_COMM_WORLD, options);
    HEADGATE_TRY {
      f(self);
      self.finish();
    }
    HEADGATE_CATCH_ALL {
      thrown = detail::rank_exception::current();
      self.fail(thrown.what);  // while there still is a group to tell
      end_job();
    }
  }
  HEADGATE_CATCH_ALL {
    thrown = detail::rank_exception::current();
    end_job();
  }
  MPI_Finalize();
  return 0;
}

template <class F>
int run_mpi_ranks(int& argc, char**& argv, F&& f) {
  return run_mpi_ranks(argc, argv, mpi_ranks_options{}, std::forward<F>(f));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
