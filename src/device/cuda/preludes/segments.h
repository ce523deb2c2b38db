// Piecewise constant functions of an element's index.
#pragma once

namespace trainer::cuda {

// The value of the segment that contains the element. ends[i] is the first element after segment i.
__device__ inline float segment(const long long* ends, const float* values, long long count, long long element) {
  long long low = 0;
  while (count > 0) {
    const long long half = count / 2;
    if (ends[low + half] <= element) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return values[low];
}

}  // namespace trainer::cuda
