// SPDX-License-Identifier: BSD-3-Clause
// The only header with #if on compiler or instruction set, and the only one that defines macros (docs/abi.md lists them).
#pragma once

#include <cstddef>

// NaN checks, tie rules and the order of summation are part of the results; -ffast-math gives all three away.
#if defined(__FAST_MATH__) && !defined(HEADGATE_ALLOW_FAST_MATH)
#error "headgate: -ffast-math voids the library's promises; compile without it or define HEADGATE_ALLOW_FAST_MATH"
#endif

// The instruction set is part of every name, so objects compiled for two of them do not link instead of misbehaving.
#if defined(__AVX512F__)
#define HEADGATE_ABI isa_avx512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define HEADGATE_ABI isa_avx2_fma_f16c
#elif defined(__AVX2__) && defined(__FMA__)
#define HEADGATE_ABI isa_avx2_fma
#elif defined(__AVX2__) && defined(__F16C__)
#define HEADGATE_ABI isa_avx2_f16c
#elif defined(__AVX2__)
#define HEADGATE_ABI isa_avx2
#elif defined(__AVX__) && defined(__F16C__)
#define HEADGATE_ABI isa_avx_f16c
#elif defined(__AVX__)
#define HEADGATE_ABI isa_avx
#elif defined(__SSE4_2__)
#define HEADGATE_ABI isa_sse4_2
#elif defined(__ARM_NEON)
#define HEADGATE_ABI isa_neon
#else
#define HEADGATE_ABI isa_baseline
#endif

#if defined(__cpp_exceptions)
#define HEADGATE_THROW(exception) throw exception
#define HEADGATE_TRY try
#define HEADGATE_CATCH(type, name) catch (const type& name)
#define HEADGATE_CATCH_ALL catch (...)
#else
#define HEADGATE_TRY if (true)
#define HEADGATE_CATCH(type, name)                             \
  if (const type* const name##_ = nullptr; name##_ != nullptr) \
    for (const type& name = *name##_; false;)
#define HEADGATE_CATCH_ALL if (false)
#define HEADGATE_THROW(exception) ::headgate::detail::abort_with((exception).what())
#endif

#if defined(_MSC_VER)
#define HEADGATE_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#define HEADGATE_ALWAYS_INLINE __forceinline
#define HEADGATE_NEVER_INLINE __declspec(noinline)
#else
#define HEADGATE_NO_UNIQUE_ADDRESS [[no_unique_address]]
#define HEADGATE_ALWAYS_INLINE inline __attribute__((always_inline))
#define HEADGATE_NEVER_INLINE __attribute__((noinline))
#endif

// Brings the cache line of an address nearer; any address will do, for nothing is read.
#if defined(__GNUC__)
#define HEADGATE_PREFETCH(address) __builtin_prefetch(address)
#else
#define HEADGATE_PREFETCH(address) static_cast<void>(address)
#endif

// Vectors of the compiler's own, and shuffles of them (g++ 12, clang): shuffles by constant patterns, which xsimd 8 lacks.
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
#define HEADGATE_HAS_SHUFFLEVECTOR 1
#else
#define HEADGATE_HAS_SHUFFLEVECTOR 0
#endif

// The hardware's conversion from half precision; every processor with AVX2 has it, but the compiler has to be told (-mf16c).
// Only where HEADGATE_ABI tells of it, because the panels of fp16 weights are laid out for it.
#if defined(__F16C__) && ((defined(__AVX2__) && defined(__FMA__)) || defined(__AVX512F__))
#define HEADGATE_HAS_F16C 1
#else
#define HEADGATE_HAS_F16C 0
#endif

// glibc's sysconf knows the sizes of the caches.
#if defined(__linux__) && defined(__GLIBC__)
#define HEADGATE_HAS_SYSCONF 1
#else
#define HEADGATE_HAS_SYSCONF 0
#endif

// POSIX: files can be mapped into memory.
#if defined(__unix__) || defined(__APPLE__)
#define HEADGATE_HAS_MMAP 1
#else
#define HEADGATE_HAS_MMAP 0
#endif

// POSIX's fsync, which does not return before the system has handed a file to the disk.
#if defined(__unix__) || defined(__APPLE__)
#define HEADGATE_HAS_FSYNC 1
#else
#define HEADGATE_HAS_FSYNC 0
#endif

// A broken promise of our own code (never of a caller's arguments): checked in debug builds only. Needs core/error.hpp.
#if defined(NDEBUG)
#define HEADGATE_ASSERT(condition, sentence) static_cast<void>(0)
#else
#define HEADGATE_ASSERT(condition, sentence) \
  ((condition) ? static_cast<void>(0) : ::headgate::detail::abort_with(sentence))
#endif

namespace headgate {
inline namespace HEADGATE_ABI {

/// The one integer type for sizes, rows, columns, tokens and experts: signed and as wide as a pointer.
using index = std::ptrdiff_t;

}  // namespace HEADGATE_ABI
}  // namespace headgate
