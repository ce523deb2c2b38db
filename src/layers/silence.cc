// Silence: reads its bottoms, so that they are not outputs of the net. No tops.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext&) {}

REGISTER_LAYER(silence, .type = "Silence", .summary = "keeps blobs out of the net's outputs", .min_bottoms = 1,
               .max_bottoms = kAnyNumber, .min_tops = 0, .max_tops = 0, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" top: "unused"
  input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "silence" type: "Silence" bottom: "unused" }
)");

}  // namespace
}  // namespace trainer
