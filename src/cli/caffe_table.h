// The net as Caffe builds it, in lines for scripts: `trainer summary --caffe`.
#pragma once

#include <string>

#include "lowering/lower_net.h"

namespace trainer {

// Columns apart by tabs; in names a tab is \t, a line's end \n and a backslash \\.
//   layer  NAME   TYPE   BOTTOM...
//   top    LAYER  TYPE   TOP  DIMS    "64,20,24,24"; "" for a scalar
//   blob   LAYER  INDEX  DIMS         learned blobs and statistics; shared ones at each of their layers
// Layers stand in Caffe's order, Split layers included, each followed by its tops and blobs.
std::string caffe_table(const LoweredNet& net);

}  // namespace trainer
