// Labels take no gradient: finds layers whose label is computed from what is learned.
#pragma once

#include "config/diagnostics.h"
#include "config/positions.h"
#include "lowering/lower_net.h"

namespace trainer {

// Reports each label bottom of a TRAIN net that depends on a trained parameter, where the layer has a part in
// the loss. Expects the net's layers lowered and its loss summed.
void report_label_gradients(const LoweredNet& net, const Positions& positions, Diagnostics& diagnostics);

}  // namespace trainer
