// Checks the layers after data sets that cannot be opened.
#pragma once

#include "lowering/lower_net.h"

namespace trainer {

// Lowers a net in which some data layers have no shapes, for several stand-in shapes, and adds the errors that occur
// for each of them to `problems`: those do not depend on the shapes. Stand-in shapes agree with the text of the layer.
void check_with_stand_ins(const caffe::NetParameter& net, const Positions& positions, LowerOptions options,
                          Diagnostics* problems);

}  // namespace trainer
