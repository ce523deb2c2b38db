// Reproduces a defect of Caffe's backward pass, in which some layers get no gradient and do not learn.
//
// In Caffe the top of Reshape, of Parameter, and of Concat and Slice with one blob shares the memory of its gradient
// with the bottom (or the parameter). The backward pass of Flatten replaces the gradient memory of its bottom by that
// of its top. If Flatten follows one of those layers, nothing writes to the shared memory, which stays zero. If the
// blob has a second reader, a Split separates the two layers and the gradient passes.
#pragma once

#include "config/diagnostics.h"
#include "config/positions.h"
#include "lowering/lower_net.h"

namespace trainer {

// Stops the gradient at such blobs, so that weights learn as in Caffe. Warns of each in phase TRAIN.
void drop_gradients_caffe_drops(LoweredNet& net, const Positions& positions, Diagnostics& diagnostics);

}  // namespace trainer
