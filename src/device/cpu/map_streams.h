// The streams of a map for its interpreter.
#pragma once

#include <vector>

#include "device/cpu/map_iteration.h"
#include "ops/map_layout.h"
#include "runtime/device.h"

namespace trainer::cpu {

struct MapStreams : MapLayout {
  explicit MapStreams(const OpInstance& instance)
      : MapLayout(instance.op->as<MapBody>(), instance.inputs, instance.outputs), all(strides.size()) {
    for (const TensorDesc& desc : instance.inputs) operand_dtypes.push_back(desc.dtype);
    for (const TensorDesc& desc : instance.outputs) output_dtypes.push_back(desc.dtype);
  }

  std::vector<Stream> all;
  std::vector<DType> operand_dtypes, output_dtypes;
};

}  // namespace trainer::cpu
