// The epilogue of a sum before it is stored: a bias per channel, and relu.
#pragma once

namespace trainer::cpu {

struct ChannelEpilogue {
  const float* bias = nullptr;  // of the first channel; null if there is none
  float slope = 1;              // for values that are not above 0; 1 means no relu
};

}  // namespace trainer::cpu
