// The part of a net that computes predictions: without labels, losses and metrics.
#pragma once

#include <string>

#include "trainer.pb.h"

namespace trainer {

struct Prediction {
  std::string data;            // the layer whose first top is the input; "" if no data layer is left
  std::string top;             // the blob to show
  bool probabilities = false;  // of classes along `axis`; otherwise the values themselves
  int axis = 1;
};

// Removes from a net, filtered for phase TEST, the layers that need labels: losses, Accuracy, metrics and all that
// reads their tops or labels. Labels are the tops of a data layer after the first one or, for HDF5Data, those that only
// such layers read. A loss with a softmax or a sigmoid leaves a layer that makes its probabilities, unless the net has
// one. Layers that write files are removed too. Throws a config_error if nothing is left to show.
Prediction remove_labels(caffe::NetParameter* net);

}  // namespace trainer
