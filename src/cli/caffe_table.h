// The net that Caffe builds, in lines for scripts: `trainer summary --caffe`.
#pragma once

#include <string>

#include "lowering/lower_net.h"

namespace trainer {

// Tabs separate columns; in names a tab is \t, a line end \n and a backslash \\.
//   layer  NAME   TYPE   BOTTOM...
//   top    LAYER  TYPE   TOP  DIMS    "64,20,24,24"; "" for a scalar
//   blob   LAYER  INDEX  DIMS         learned blobs and statistics; shared ones with each of their layers
// Layers are in Caffe's order, including Split layers; tops and blobs follow their layer.
std::string caffe_table(const LoweredNet& net);

}  // namespace trainer
