// Copies a strided block of elements: the common part of reorder, permute, slice, pad, concat and reshape.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/shape.h"

namespace trainer::cpu {

struct TransposeTable;

// An axis of a block, with strides in elements.
struct CopyAxis {
  int64_t extent, from, to;
};

// The plan of a copy. It merges axes that are contiguous on both sides, and then copies runs, transposes matrices or
// copies single elements.
class StridedCopy {
 public:
  // `from` and `to`: the indices of the first element. Elements have 1, 2 or 4 bytes.
  StridedCopy(std::vector<CopyAxis> axes, int64_t from, int64_t to, int64_t element_bytes, int threads);

  void run(const void* from, void* to) const;

 private:
  enum class Form { kRuns, kTransposes, kElements };

  void run_items(const char* from, char* to, int64_t begin, int64_t end) const;
  void run_item(const char* from, char* to, int64_t part) const;
  template <typename T>
  void move_elements(const char* from, char* to, int64_t count) const;

  std::vector<CopyAxis> outer_;  // in the order of the result
  CopyAxis inner_{1, 1, 1};      // the axis along which the result is written
  CopyAxis cross_{1, 1, 1};      // kTransposes: the axis along which the source is dense
  int64_t from_, to_, bytes_;
  int threads_;
  Form form_ = Form::kRuns;
  int64_t part_ = 1, parts_ = 1;  // of the axis that is split into work items: the extent and the number of parts
  int64_t items_ = 1;
  const TransposeTable& table_;
};

// Sets the axes of a reshape between two dense tensors of any orders. Returns false if an axis of one does not split
// into axes of the other.
bool reshape_axes(const TensorDesc& from, const TensorDesc& to, std::vector<CopyAxis>* axes);

}  // namespace trainer::cpu
