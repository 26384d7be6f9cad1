// SPDX-License-Identifier: BSD-3-Clause
// Loops over registers: unrolled by the language, not by the optimiser's mood.
#pragma once

#include <headgate/config.hpp>

#include <cstddef>
#include <type_traits>  // integral_constant
#include <utility>      // index_sequence

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// f(0), f(1) ... f(N - 1), each argument a constant. A loop over an array of vectors keeps the array in memory wherever
/// the compiler decides not to unroll it (g++ 12 at -O1 and -O2); this one does not leave it the choice.
template <std::size_t N, class F>
HEADGATE_ALWAYS_INLINE void unroll(const F& f) {
  [&]<std::size_t... At>(std::index_sequence<At...>) __attribute__((always_inline)) {
    (f(std::integral_constant<std::size_t, At>{}), ...);
  }
  (std::make_index_sequence<N>{});
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
