// SPDX-License-Identifier: BSD-3-Clause
// The replacements that count.
#include "allocation/counting_new.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

using headgate_test::allocations;

namespace {

void* count_nothrow(void* memory) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void* count(void* memory, std::size_t bytes) {
  if (count_nothrow(memory) == nullptr) throw std::bad_alloc();
  headgate_test::new_bytes.fetch_add(static_cast<long>(bytes), std::memory_order_relaxed);
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return count(std::malloc(bytes), bytes); }
void* operator new[](std::size_t bytes) { return count(std::malloc(bytes), bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto a = static_cast<std::size_t>(alignment);
  return count(std::aligned_alloc(a, (bytes + a - 1) / a * a), bytes);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return operator new(bytes, alignment); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return count_nothrow(std::malloc(bytes)); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return count_nothrow(std::malloc(bytes)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#if defined(__GLIBC__) && !defined(HEADGATE_TEST_SANITIZED)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);

void* malloc(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t items, std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(items, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, bytes);
}
}
#endif
