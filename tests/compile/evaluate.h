// Compiles a small graph and evaluates it, for the tests of the compiler.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "base/philox.h"
#include "compile/compile.h"
#include "ops/math.h"
#include "runtime/memory.h"
#include "runtime/open_device.h"
#include "test_environment.h"

namespace trainer {

using Build = std::function<std::vector<Value>(Graph&, const std::vector<Value>& sources)>;

// The device, states and arena of one test.
struct Bench {
  std::unique_ptr<Device> device = open_device(test_device());
  StateStore store{*device};
  Arena arena{*device};
};

// Converts row-major values to the physical order of `desc`.
inline std::vector<float> in_order(const TensorDesc& desc, const std::vector<float>& row_major) {
  const std::vector<int64_t> to = desc.strides();
  const std::vector<int64_t> from = TensorDesc{desc.shape}.strides();
  std::vector<float> out(row_major.size());
  for (size_t i = 0; i < row_major.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), at = 0;
    for (int axis = 0; axis < desc.shape.rank(); ++axis) {
      const size_t a = static_cast<size_t>(axis);
      at += rest / from[a] * to[a];
      rest %= from[a];
    }
    out[static_cast<size_t>(at)] = row_major[i];
  }
  return out;
}

// Copies row-major source values to the device and sets them as the sources of a program.
class SourceMemory {
 public:
  SourceMemory(Device& device, Program& program, const std::vector<std::vector<float>>& row_major) {
    for (size_t i = 0; i < row_major.size(); ++i) {
      const int value = program.sources[i].value;
      const std::vector<float> placed =
          value < 0 ? row_major[i] : in_order(program.values[static_cast<size_t>(value)].desc, row_major[i]);
      const int64_t bytes = static_cast<int64_t>(placed.size() * sizeof(float));
      blocks_.push_back(std::make_unique<DeviceBlock>(device, bytes));
      device.copy_from_host(blocks_.back()->data(), placed.data(), bytes);
      program.set_source(static_cast<int>(i), blocks_.back()->data());
    }
  }

 private:
  std::vector<std::unique_ptr<DeviceBlock>> blocks_;
};

// The program of the graph that `build` creates from sources of these shapes.
class Evaluation {
 public:
  Evaluation(Bench& bench, const std::vector<Shape>& shapes, const Build& build) : device_(*bench.device) {
    Module module;
    std::vector<Value> sources;
    for (size_t i = 0; i < shapes.size(); ++i)
      sources.push_back(module.graph->add_source("s" + std::to_string(i), shapes[i]));
    for (const Value& value : build(*module.graph, sources)) module.results.push_back(value.id());
    program_ = compile(std::move(module), *bench.device, bench.store, bench.arena);
  }

  // Runs the program; sources and results are row-major.
  std::vector<std::vector<float>> operator()(const std::vector<std::vector<float>>& sources, uint64_t pass = 0) {
    const SourceMemory memory(device_, *program_, sources);
    program_->run({pass});
    std::vector<std::vector<float>> results(program_->results.size());
    for (size_t i = 0; i < results.size(); ++i) {
      results[i].resize(static_cast<size_t>(program_->result_desc(static_cast<int>(i)).shape.count()));
      program_->read_result(static_cast<int>(i), results[i].data());
    }
    return results;
  }

  Program& program() { return *program_; }

 private:
  Device& device_;
  std::unique_ptr<Program> program_;
};

inline std::vector<float> random_values(const Shape& shape, uint64_t key, float low = -1, float high = 1) {
  std::vector<float> values(static_cast<size_t>(shape.count()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = low + (high - low) * uniform_from_bits(philox_element(key, 0, i));
  return values;
}

}  // namespace trainer
