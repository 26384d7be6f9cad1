// SPDX-License-Identifier: BSD-3-Clause
// How often memory was asked for, by any thread: through operator new in any form and, where glibc lets a program replace
// it, through malloc (Eigen's matrices).
#pragma once

#include <cstdlib>  // __GLIBC__

#include <atomic>

// g++ first: Eigen defines a __has_feature for it that denies everything.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEADGATE_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HEADGATE_TEST_SANITIZED
#endif
#endif

namespace headgate_test {

#if defined(__GLIBC__) && !defined(HEADGATE_TEST_SANITIZED)
inline constexpr bool counts_malloc = true;
#else
inline constexpr bool counts_malloc = false;  // a sanitizer has replaced it already
#endif

inline constinit std::atomic<long> allocations{0};
inline constinit std::atomic<long> new_bytes{0};  // through operator new alone

/// Number of allocations while f runs.
template <class F>
long allocations_of(const F& f) {
  const long before = allocations.load();
  f();
  return allocations.load() - before;
}

}  // namespace headgate_test
