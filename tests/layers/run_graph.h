// Runs a graph op by op on the CPU without the compiler, every value row-major in separate memory: slow.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/graph.h"
#include "runtime/open_device.h"

namespace trainer {

class GraphRun {
 public:
  // States and sources by name, row-major; those that are not given are zero.
  GraphRun(const Graph& graph, const std::map<std::string, std::vector<float>>& given, uint64_t pass = 0)
      : graph_(graph), memory_(graph.values.size()) {
    const std::unique_ptr<Device> device = open_device(DeviceSpec());
    for (const Op& op : graph.ops) {
      for (int output : op.outputs)
        memory_[static_cast<size_t>(output)].resize(static_cast<size_t>(graph.desc(output).bytes() + 64), 0);
      if (op.kind == OpKind::kSource || op.kind == OpKind::kStateRead) {
        load(op, given);
      } else {
        run(*device, op, pass);
      }
    }
  }

  std::vector<float> operator[](Value value) const {
    const TensorDesc& desc = graph_.desc(value.id());
    TRAINER_ASSERT(desc.dtype == DType::kF32);
    std::vector<float> out(static_cast<size_t>(desc.shape.count()));
    std::memcpy(out.data(), memory_[static_cast<size_t>(value.id())].data(), out.size() * sizeof(float));
    return out;
  }

  // The value that the pass wrote to a state.
  std::vector<float> written(const std::string& state) const {
    for (const StateWrite& write : graph_.writes)
      if (graph_.states[static_cast<size_t>(write.state)].name == state)
        return (*this)[Value(const_cast<Graph*>(&graph_), write.value)];
    return {};
  }

 private:
  void load(const Op& op, const std::map<std::string, std::vector<float>>& given) {
    const size_t index = static_cast<size_t>(op.as<IndexAttributes>().index);
    const std::string& name = op.kind == OpKind::kSource ? graph_.sources[index].name : graph_.states[index].name;
    const auto found = given.find(name);
    if (found == given.end()) return;
    const int output = op.outputs.front();
    TRAINER_ASSERT(static_cast<int64_t>(found->second.size()) == graph_.desc(output).shape.count());
    std::memcpy(memory_[static_cast<size_t>(output)].data(), found->second.data(),
                found->second.size() * sizeof(float));
  }

  void run(Device& device, const Op& op, uint64_t pass) {
    OpInstance instance;
    instance.op = &op;
    std::vector<void*> inputs, outputs;
    for (int input : op.inputs) {
      instance.inputs.push_back(graph_.desc(input));
      inputs.push_back(memory_[static_cast<size_t>(input)].data());
    }
    for (int output : op.outputs) {
      instance.outputs.push_back(graph_.desc(output));
      outputs.push_back(memory_[static_cast<size_t>(output)].data());
    }
    if (op.kind == OpKind::kReshape) {
      std::memcpy(outputs[0], inputs[0], static_cast<size_t>(instance.inputs[0].bytes()));
      return;
    }
    const KernelChoice choice = device.choose(instance);
    const int64_t bytes = choice.kernel->workspace_bytes();
    void* workspace = bytes > 0 ? device.allocate(bytes) : nullptr;
    choice.kernel->bind(inputs, outputs, workspace);
    choice.kernel->run({pass});
    if (workspace != nullptr) device.release(workspace, bytes);
  }

  const Graph& graph_;
  std::vector<std::vector<char>> memory_;  // by value
};

}  // namespace trainer
