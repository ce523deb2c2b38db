// Finds layers whose labels depend on trained parameters: labels have no gradient.
#pragma once

#include "config/diagnostics.h"
#include "config/positions.h"
#include "lowering/lower_net.h"

namespace trainer {

// Reports each label bottom of a TRAIN net that depends on a trained parameter, in layers that contribute to the loss.
// Call after all layers are lowered and the loss is summed.
void report_label_gradients(const LoweredNet& net, const Positions& positions, Diagnostics& diagnostics);

}  // namespace trainer
