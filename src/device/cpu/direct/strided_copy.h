// Copies a strided block of elements into another: what reorder, permute, slice, pad, concat and reshape come
// to.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/shape.h"

namespace trainer::cpu {

struct TransposeTable;

// One axis of a block; steps in elements.
struct CopyAxis {
  int64_t extent, from, to;
};

// A copy of one block, planned once: axes that lie alike on both sides are merged, then either runs are
// copied, or matrices transposed, or elements moved one by one.
class StridedCopy {
 public:
  // `from` and `to` are the positions of the block's first element. Elements have 1, 2 or 4 bytes.
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
  int64_t part_ = 1, parts_ = 1;  // the axis that is split among items: extent of a part, number of parts
  int64_t items_ = 1;
  const TransposeTable& table_;
};

// The axes of a reshape between two dense tensors, each in its own order, or nothing where some axis of one
// does not divide into axes of the other.
bool reshape_axes(const TensorDesc& from, const TensorDesc& to, std::vector<CopyAxis>* axes);

}  // namespace trainer::cpu
