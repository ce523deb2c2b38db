// The streams of a map: one for each operand, generated leaf and output.
#pragma once

#include <vector>

#include "device/cpu/map_iteration.h"
#include "runtime/device.h"

namespace trainer::cpu {

struct MapStreams {
  explicit MapStreams(const OpInstance& instance);
  MapStreams(const MapStreams&) = delete;
  MapStreams& operator=(const MapStreams&) = delete;

  // The order that most full operands and outputs have; on a tie, that of channels-last.
  Order order() const { return order_; }
  std::vector<Stream*> pointers();
  int of_output(size_t output) const { return output_stream_[output]; }

  std::vector<Stream> all;
  std::vector<int> of_node;  // leaf nodes but constants; -1 for the others
  std::vector<DType> operand_dtypes, output_dtypes;

 private:
  std::vector<int> output_stream_;
  Order order_ = Order::kRowMajor;
};

}  // namespace trainer::cpu
