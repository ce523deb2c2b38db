// Input layers: blobs that a user of the library fills, but no command does.
#pragma once

#include <string>
#include <vector>

#include "config/override.h"

namespace trainer {

// Applies --fill: TOP=VALUE turns the Input layer of that top into a DummyData layer with this constant, TOP=gaussian
// into one that draws new values at each pass. It is an error if no net has the top.
void fill_inputs(const std::vector<std::string>& fills, const std::vector<OverriddenNet>& nets,
                 Diagnostics* diagnostics);

// Reports an error for each top of an Input layer that another layer reads.
void require_no_inputs(const caffe::NetParameter& net, const Positions& positions, Diagnostics* diagnostics);

}  // namespace trainer
