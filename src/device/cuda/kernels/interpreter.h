// Maps of few elements: the interpreter evaluates the nodes of a map, and no code is compiled for it.
//
// Maps of at most InterpretedMap::kMaxElements elements are interpreted, all others are compiled. Nets have more small
// maps than large ones, each with another formula, and to compile one takes longer than a thousand runs. Consecutive
// maps share a launch: one block computes them in order.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "device/cuda/kernels/arguments.h"
#include "ops/fn.h"

namespace trainer::cuda {

// The results of a map that keep the same dims. Kept dims come before reduced ones, so that element e of
// the domain is element e % summed of result e / summed. A map that exceeds a limit is compiled.
struct InterpretedMap {
  static constexpr int kMaxElements = 1024, kMaxDims = 6, kMaxSteps = 64, kMaxStreams = 32, kMaxKeys = 4;
  enum class Join : uint8_t { kStore, kSum, kMax };

  // A node. In leaves, `a` is the stream (an operand, a coordinate or the logical index) and `b` the key.
  struct Step {
    Fn fn = Fn::kConstant;
    uint8_t a = 0, b = 0, c = 0;
    float k = 0;
  };
  // An operand, a result or a number that is linear in the coordinates (see MapLayout).
  struct Stream {
    void* base = nullptr;
    ElementType type = ElementType::kF32;
    int32_t strides[kMaxDims] = {};
  };
  struct Result {
    uint8_t step = 0, stream = 0;
    Join join = Join::kStore;
  };

  int32_t kept = 1, summed = 1;  // elements of a result, and elements of the domain per element of a result
  int32_t lanes = 1;             // threads per element of a result: a power of two
  int32_t dims = 0, step_count = 0, result_count = 0;
  int32_t extents[kMaxDims] = {};
  Step steps[kMaxSteps];
  Stream streams[kMaxStreams];
  Result results[kMaxStreams];
  uint64_t keys[kMaxKeys] = {};
  const uint64_t* pass = nullptr;  // the number of the forward pass, in device memory
};

// The maps of a launch.
template <int kMaps>
struct InterpretedMaps {
  int64_t count = 0;
  InterpretedMap maps[kMaps];
};
// The argument of a kernel has at most 32 KiB.
constexpr size_t kMaxInterpretedMaps = 8;

// Why a map has to be compiled, or "".
std::string refuse_interpreter(const OpInstance& instance);

// The parts of a map that is not refused, in order.
std::vector<InterpretedMap> interpreter_arguments(const OpInstance& instance, const Addresses& at,
                                                  const uint64_t* pass);

// Launches at most kMaxInterpretedMaps maps.
cudaError_t launch_interpreter(std::span<const InterpretedMap> maps, cudaStream_t stream);

}  // namespace trainer::cuda
