// Input layers: blobs that a library's user would fill and no command does.
#pragma once

#include <string>
#include <vector>

#include "config/override.h"

namespace trainer {

// Applies --fill: TOP=VALUE makes the Input layer of that top a DummyData layer of this constant, TOP=gaussian one that
// draws each pass. That no net has such a top is an error.
void fill_inputs(const std::vector<std::string>& fills, const std::vector<OverriddenNet>& nets,
                 Diagnostics* diagnostics);

// An error for each top of an Input layer that another layer reads.
void require_no_inputs(const caffe::NetParameter& net, const Positions& positions, Diagnostics* diagnostics);

}  // namespace trainer
