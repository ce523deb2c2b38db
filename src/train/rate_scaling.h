// The learning rate of many devices: --scale_rate.
#pragma once

#include <cstdint>
#include <string>

#include "train/epochs.h"
#include "trainer.pb.h"

namespace trainer {

// A larger batch allows a higher rate: n times for n devices (Goyal et al. 2017, "Accurate, Large Minibatch SGD"), or
// the square root of n, with which the noise of the steps stays the same.
enum class RateScaling : uint8_t { kNone, kLinear, kSqrt };

// Multiplies base_lr and final_lr of a solver whose fields in epochs are resolved by n or sqrt(n) for n devices. A
// solver that sets neither warmup_iter nor warmup_epochs gets a warm-up that rises from the rate of one device: over 5
// epochs, or 1,000 iterations if the data have no end, and at most a tenth of max_iter. "one_cycle" rises by itself.
//
// Returns the line for the log: "--scale_rate=linear: base_lr 0.1 x 8 devices = 0.8, warm-up over 500 iterations"; ""
// if nothing changes. Throws a config_error if a rate is no longer a finite number.
std::string scale_rate(RateScaling scaling, int devices, const EpochLength& epoch, caffe::SolverParameter* solver);

}  // namespace trainer
