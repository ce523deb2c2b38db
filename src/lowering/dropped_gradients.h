// Where Caffe loses a gradient on its way back, so that the layers below do not learn.
//
// In Caffe the top of Reshape, of Parameter, and of Concat and Slice with one blob each shares the memory of
// its gradient with the bottom (or the parameter). Flatten, in its backward pass, points the gradient of its
// bottom at that of its top. Behind one of those layers nothing then reaches the shared memory, which keeps
// the zeros it was made with. A Split between the two, which any second reader of the blob brings, keeps them
// apart.
#pragma once

#include "config/diagnostics.h"
#include "config/positions.h"
#include "lowering/lower_net.h"

namespace trainer {

// Stops the gradient at such blobs, so that weights learn as in Caffe, and warns of each in phase TRAIN.
void drop_gradients_caffe_drops(LoweredNet& net, const Positions& positions, Diagnostics& diagnostics);

}  // namespace trainer
