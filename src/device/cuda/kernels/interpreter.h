// Arguments of the interpreter of small maps.
#pragma once

#include "device/cuda/kernels/arguments.h"
#include "ops/fn.h"

namespace trainer::cuda {

// A map's results that keep the same dims. Dims are numbered so that those that are kept come first: element
// e of the domain is element e % summed of result e / summed. A body that does not fit has to be compiled.
struct InterpretedMap {
  static constexpr int kMostElements = 1024, kMostDims = 6, kMostSteps = 64, kMostStreams = 32, kMostKeys = 4;
  enum class Join : uint8_t { kStore, kSum, kMax };

  // A node. Leaves: `a` is the stream of an operand's offset, a coordinate or the logical index, `b` a key.
  struct Step {
    Fn fn = Fn::kConstant;
    uint8_t a = 0, b = 0, c = 0;
    float k = 0;
  };
  // An operand or result, or a number that is linear in the coordinates (see MapLayout).
  struct Stream {
    void* base = nullptr;
    ElementType type = ElementType::kF32;
    int32_t strides[kMostDims] = {};
  };
  struct Result {
    uint8_t step = 0, stream = 0;
    Join join = Join::kStore;
  };

  int32_t kept = 1, summed = 1;  // elements of a result, and those that join in each
  int32_t lanes = 1;             // threads that share those out: a power of two
  int32_t dims = 0, step_count = 0, result_count = 0;
  int32_t extents[kMostDims] = {};
  Step steps[kMostSteps];
  Stream streams[kMostStreams];
  Result results[kMostStreams];
  uint64_t keys[kMostKeys] = {};
  const uint64_t* pass = nullptr;  // the number of the forward pass, in the device's memory
};

inline Grid grid_of_interpreted(const InterpretedMap& a) {
  return grid_of(ceiling_of(a.kept, kBlockThreads / a.lanes), a.lanes, kBlockThreads / a.lanes);
}

}  // namespace trainer::cuda
