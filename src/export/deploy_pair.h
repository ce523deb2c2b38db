// The pair of files that Caffe and OpenCV read: a net with Input layers, and its weights.
#pragma once

#include "export/exported_net.h"
#include "formats/atomic_file.h"

namespace trainer {

// Replaces layers by the same in types and fields that Caffe and OpenCV read: BN by Scale, DepthwiseConvolution by
// Convolution with groups, DropPath by Dropout, InnerProduct by one without `transpose`. Pooling that rounds down
// has the field of OpenCV, `ceil_mode: false`, if the rounding matters. `lowered` is the net.
void use_caffe_types(ExportedNet* net, const LoweredNet& lowered);

// The layers whose types Caffe does not have: layer "a" (GELU).
std::vector<std::string> layers_unknown_to_caffe(const ExportedNet& net);

// The Pooling layers with `ceil_mode: false`, which Caffe does not read.
std::vector<std::string> layers_that_round_down(const ExportedNet& net);

// Writes the pair; the caller commits the files.
void write_deploy_pair(const ExportedNet& net, AtomicFile& model, AtomicFile& weights);

}  // namespace trainer
