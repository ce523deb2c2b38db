// The translation of a net into an ONNX model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "export/exported_net.h"
#include "export/onnx_model.h"

namespace trainer {

// The last steps of preparing a picture: (x - mean) * factor, for pixels of 0 to 255.
struct Preprocessing {
  std::string blob;                 // the input
  std::string pixels;               // its values: "pixels of 0 to 255, channels B, G, R"
  Shape mean_shape, factor_shape;   // broadcast against the input
  std::vector<float> mean, factor;  // empty for 0 and 1
};

// Throws a config_error, which names the layer, if a layer has no counterpart. `lowered` is the net for the batch of
// the check; `other`, if it is not nullptr, for another size of batch: the extents that differ are symbolic. The model
// has neither the input_marks of the net nor its `computed_marks` (export/sequence_marks.h).
OnnxModel to_onnx(const ExportedNet& net, const LoweredNet& lowered, const LoweredNet* other, int64_t opset,
                  const std::optional<Preprocessing>& preprocessing,
                  const std::vector<std::string>& computed_marks = {});

}  // namespace trainer
