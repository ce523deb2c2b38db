// What becomes of a sum before it is stored: a bias a channel and relu.
#pragma once

namespace trainer::cpu {

struct Finish {
  const float* bias = nullptr;  // of the first channel; null: none
  float slope = 1;              // of what is not above 0; 1: relu is not applied
};

}  // namespace trainer::cpu
