// A constant vector is a table with a segment for each element.
#include "layers/shared/constant_vector.h"

#include <numeric>

namespace trainer {

Value constant_vector(Graph& graph, const std::vector<float>& values) {
  SegmentTable table{std::vector<int64_t>(values.size()), values};
  std::iota(table.ends.begin(), table.ends.end(), 1);
  return segments(graph, table);
}

}  // namespace trainer
