// SPDX-License-Identifier: BSD-3-Clause
// What ranks that work on one batch or one model together talk through.
#pragma once

#include <headgate/config.hpp>

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One rank's end of a group of `size()` ranks; this one is `rank()`. The operations are collective: every rank calls the same
/// ones in the same order, with as many values. Spans are not null unless empty. The operations are templates over the type of
/// the values; the library needs those below: float, double and index, and a broadcast of std::uint64_t.
///
///   all_reduce(values)                                      values = their sum over ranks, added in the order of the ranks:
///                                                           the same bits on all of them
///   all_to_all(send, send_counts, receive, receive_counts)  the next send_counts[r] values of `send` go to rank r;
///                                                           `receive` gets receive_counts[r] values from each r, by rank;
///                                                           the two must not overlap
///   broadcast(values, root)                                 values = those of rank root
///   barrier()
///   fail(reason)                                            tells the other ranks that this one will not go on
///
/// An operation that one rank cannot finish ends on all: they throw a `communicator_error` that names the rank and the
/// operation, those that wait for a silent rank after their time-out. From then on every operation of the group throws it.
/// Between threads such an operation finishes on none. Over MPI a rank that had all it needed may have finished it, with the
/// right values; its next operation throws. What a failed operation leaves in `values` and `receive` is not said.
///
/// Models: `single_rank`, `thread_rank`, `mpi_rank`, `counted` of one of them. Not a model: anything that sums in the order of
/// arrival.
template <class C>
concept communicator = requires(C& c, std::span<float> floats, std::span<double> doubles, std::span<index> integers,
                                std::span<std::uint64_t> digests, std::span<const float> floats_to_send,
                                std::span<const double> doubles_to_send, std::span<const index> integers_to_send,
                                std::span<const index> send_counts, std::span<const index> receive_counts,
                                std::string_view reason) {
  { c.rank() } -> std::same_as<index>;
  { c.size() } -> std::same_as<index>;
  c.all_reduce(floats);
  c.all_reduce(doubles);
  c.all_reduce(integers);
  c.all_to_all(floats_to_send, send_counts, floats, receive_counts);
  c.all_to_all(doubles_to_send, send_counts, doubles, receive_counts);
  c.all_to_all(integers_to_send, send_counts, integers, receive_counts);
  c.broadcast(floats, index{});
  c.broadcast(doubles, index{});
  c.broadcast(integers, index{});
  c.broadcast(digests, index{});
  c.barrier();
  c.fail(reason);
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
