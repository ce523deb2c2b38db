// Splits a loop over OpenMP's threads. The split depends only on the number of threads and the loop.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace trainer::cpu {

// To start a team of threads takes some microseconds. Loops with fewer element operations run on the calling thread.
constexpr int64_t kSerialWork = 16384;

// Calls body(thread, begin, end) with at most `threads` disjoint ranges that cover [0, count). An item has about
// `work_per_item` element operations.
template <typename Body>
void parallel_ranges(int threads, int64_t count, int64_t work_per_item, const Body& body) {
  if (count <= 0) return;
  if (threads <= 1 || count == 1 || count * work_per_item < kSerialWork) {
    body(0, int64_t{0}, count);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
    const int64_t begin = count * thread / team, end = count * (thread + 1) / team;
    if (begin < end) body(static_cast<int>(thread), begin, end);
  }
}

}  // namespace trainer::cpu
