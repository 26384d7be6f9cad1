// SPDX-License-Identifier: BSD-3-Clause
#include "machine/limits.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>  // clock_gettime
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "machine/read_streams.hpp"

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>  // madvise: 2 MiB pages, as the packed panels have
#endif

namespace headgate_bench {

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) { return std::chrono::duration<double>(clock::now() - start).count(); }

/// Processor time of the calling thread: a limit is what a thread can do while it runs, whoever else wants to run.
double thread_seconds() {
#ifdef CLOCK_THREAD_CPUTIME_ID
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
#else
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
#endif
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

volatile float keep;  // what is stored here cannot be left uncomputed

/// f(part) -> work done, on `threads` threads that start together; returns the sum of what each does per second.
template <class F>
double rate_together(hg::index threads, const F& f) {
  std::atomic<hg::index> waiting{threads};
  std::vector<double> rates(static_cast<std::size_t>(threads));
  pool_of(threads).run(threads, [&](hg::index part, hg::index) {
    waiting.fetch_sub(1);
    while (waiting.load() > 0) continue;  // a worker that waits here takes no second part
    const double start = thread_seconds();
    const double work = f(part);
    rates[static_cast<std::size_t>(part)] = work / (thread_seconds() - start);
  });
  double sum = 0;
  for (const double one : rates) sum += one;
  return sum;
}

/// Twelve sums: enough for two units of five cycles, few enough for sixteen registers. Returns operations.
double multiply_add(hg::index steps) {
  constexpr std::size_t count = 12;
  using batch = xsimd::batch<float>;
  const float start = keep;
  const batch factor(0.5f + start * 0), term(1.0f + start * 0);
  const auto work = [&]<std::size_t... I>(std::index_sequence<I...>) {
    batch sums[] = {batch(start + static_cast<float>(I))...};
    for (hg::index step = 0; step < steps; ++step) ((sums[I] = xsimd::fma(sums[I], factor, term)), ...);
    keep = (sum_of_lanes(sums[I]) + ...);
  };
  work(std::make_index_sequence<count>{});
  return 2.0 * static_cast<double>(steps) * static_cast<double>(count * batch::size);
}

using reader = double (*)(const float*, std::size_t, float&);
struct way {
  reader read;
  const char* name;
};
constexpr way ways[] = {
    {read_streams<1, 0>, "1 stream, no prefetch"},     {read_streams<4, 0>, "4 streams, no prefetch"},
    {read_streams<8, 0>, "8 streams, no prefetch"},    {read_streams<1, 2048>, "1 stream, prefetch 2048"},
    {read_streams<4, 512>, "4 streams, prefetch 512"}, {read_streams<4, 2048>, "4 streams, prefetch 2048"},
    {read_streams<8, 512>, "8 streams, prefetch 512"}, {read_streams<8, 2048>, "8 streams, prefetch 2048"}};

constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Memory that has been written, on large pages where the system gives them.
class buffer {
 public:
  explicit buffer(double bytes)
      : size_((static_cast<std::size_t>(bytes) / huge_page + 1) * huge_page),
        data_(static_cast<float*>(std::aligned_alloc(huge_page, size_))) {
    if (!data_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(data_.get(), size_, MADV_HUGEPAGE);
#endif
    std::fill_n(data_.get(), size_ / sizeof(float), 1.0f);
  }
  [[nodiscard]] const float* line(std::size_t number) const { return data_.get() + number * line_floats; }

 private:
  struct release {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::size_t size_;
  std::unique_ptr<float, release> data_;
};

/// What one number of threads reads at one level.
class reading {
 public:
  reading(memory_level level, hg::index threads) : threads_(threads), next_(static_cast<std::size_t>(threads), 0) {
    const cache_sizes cache = caches();
    const double each = level == memory_level::l2 ? cache.l2 / 2
                        : level == memory_level::l3
                            ? std::min(4 * cache.l2, cache.l3 / 2 / static_cast<double>(threads))
                            : std::max(256.0 * (1 << 20), 4 * cache.l3) / static_cast<double>(threads);
    lines_ = static_cast<std::size_t>(each) / line_bytes;
    piece_ = level == memory_level::dram ? std::min(lines_, huge_page * 4 / line_bytes) : lines_;
    for (hg::index t = 0; t < threads; ++t) parts_.emplace_back(each);
    double best = 0;
    for (const way& one : ways) {
      const double rate = tries(one, 0.015);
      if (rate > best) best_ = &one;
      best = std::max(best, rate);
    }
  }

  [[nodiscard]] double measure(double seconds) { return tries(*best_, seconds); }
  [[nodiscard]] const char* name() const { return best_->name; }

 private:
  double tries(const way& one, double seconds) {
    std::vector<double> rates;
    for (int i = 0; i < 5; ++i) rates.push_back(once(one, seconds / 5));
    return median(rates);
  }

  /// Goes on where it stopped, so that memory comes from memory even if a try is short.
  double once(const way& one, double seconds) {
    return rate_together(threads_, [&](hg::index part) {
      const auto p = static_cast<std::size_t>(part);
      const auto start = clock::now();
      double bytes = 0;
      float sum = 0;
      do {
        if (next_[p] + piece_ > lines_) next_[p] = 0;
        bytes += one.read(parts_[p].line(next_[p]), piece_, sum);
        next_[p] += piece_;
      } while (seconds_since(start) < seconds);
      keep = sum;
      return bytes;
    });
  }

  hg::index threads_;
  std::vector<std::size_t> next_;
  std::size_t lines_ = 0, piece_ = 0;
  std::vector<buffer> parts_;
  const way* best_ = nullptr;
};

reading& reading_of(memory_level level, hg::index threads) {
  static std::map<std::pair<memory_level, hg::index>, reading> all;
  return all.try_emplace({level, threads}, level, threads).first->second;
}

}  // namespace

const char* name_of(memory_level level) {
  return level == memory_level::l2 ? "L2" : level == memory_level::l3 ? "L3" : "dram";
}

cache_sizes caches() {
  cache_sizes sizes{1 << 20, 0};
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.type == "Instruction") continue;
    if (cache.level == 2) sizes.l2 = cache.size;
    if (cache.level >= 2) sizes.l3 = std::max(sizes.l3, static_cast<double>(cache.size));
  }
  if (sizes.l3 <= sizes.l2) sizes.l3 = 32 * sizes.l2;  // a virtual machine that hides it
  return sizes;
}

memory_level level_of(double bytes) {
  const cache_sizes sizes = caches();
  return bytes <= sizes.l2 ? memory_level::l2 : bytes <= sizes.l3 ? memory_level::l3 : memory_level::dram;
}

const hg::thread_pool& pool_of(hg::index threads) {
  static std::map<hg::index, hg::thread_pool> pools;
  return pools.try_emplace(threads, threads).first->second;
}

double measure_peak(hg::index threads, double seconds) {
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i)
    rates.push_back(rate_together(threads, [&](hg::index) {
      const auto start = clock::now();
      double work = 0;
      do work += multiply_add(20000);
      while (seconds_since(start) < seconds / 5);
      return work;
    }));
  return median(rates);
}

double measure_read(memory_level level, hg::index threads, double seconds) {
  return reading_of(level, threads).measure(seconds);
}

std::string way_of_reading(memory_level level, hg::index threads) { return reading_of(level, threads).name(); }

limits limits_now(memory_level level, hg::index threads) {
  struct known {
    limits is{};
    clock::time_point at{};
  };
  static std::map<std::pair<memory_level, hg::index>, known> all;
  known& one = all[{level, threads}];
  if (one.is.peak == 0 || seconds_since(one.at) > 0.1) {
    one.is = {measure_peak(threads, 0.01), measure_read(level, threads, 0.02)};
    one.at = clock::now();
  }
  return one.is;
}

}  // namespace headgate_bench
