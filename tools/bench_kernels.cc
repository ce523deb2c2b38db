// Times the CPU's own convolution kernels beside the oneDNN kernels that they displace, on the convolutions of nets.
//
//   bench_kernels [--rounds=N] [--precision=fp32|bf16] NET.prototxt...
//
// For each step of a net's training program that one of our kernels runs and that oneDNN accepts too, both run in turn
// on the same operands. Prints one row for each kernel and pass: the number of steps, the sums of the median times,
// their ratio, and the smallest ratio of one step.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/philox.h"
#include "device/cpu/implementations.h"
#include "session/configure_net.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "tensor/bf16.h"

namespace trainer {
namespace {

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

Memory allocate(int64_t bytes) {
  Memory memory(std::aligned_alloc(64, static_cast<size_t>((bytes + 127) / 64 * 64)));
  if (memory == nullptr) throw OutOfMemory::make("the CPU", bytes, 0);
  std::memset(memory.get(), 0, static_cast<size_t>(bytes));
  return memory;
}

// A tensor of random numbers with a normal distribution.
Memory random_tensor(const TensorDesc& desc, uint64_t key) {
  Memory memory = allocate(desc.bytes());
  for (int64_t i = 0; i < desc.shape.count(); ++i) {
    const float value = philox_normal(key, 0, static_cast<uint64_t>(i));
    if (desc.dtype == DType::kF32) static_cast<float*>(memory.get())[i] = value;
    if (desc.dtype == DType::kBF16) static_cast<Bf16*>(memory.get())[i] = to_bf16(value);
  }
  return memory;
}

// An op with operands in memory, for kernels of several implementations.
class Operands {
 public:
  explicit Operands(const OpInstance& instance) {
    for (const TensorDesc& desc : instance.inputs) add(desc, &inputs_);
    for (const TensorDesc& desc : instance.outputs) add(desc, &outputs_);
  }
  void bind(Kernel& kernel) {
    workspaces_.push_back(allocate(kernel.workspace_bytes()));
    kernel.bind(inputs_, outputs_, workspaces_.back().get());
  }

 private:
  void add(const TensorDesc& desc, std::vector<void*>* list) {
    tensors_.push_back(random_tensor(desc, tensors_.size()));
    list->push_back(tensors_.back().get());
  }
  std::vector<Memory> tensors_, workspaces_;
  std::vector<void*> inputs_, outputs_;
};

double seconds_of(Kernel& kernel) {
  const auto start = std::chrono::steady_clock::now();
  kernel.run({});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Row {
  int steps = 0;
  double ours = 0, displaced = 0;  // seconds
  double worst = std::numeric_limits<double>::infinity();
};
using Rows = std::map<std::pair<std::string, OpKind>, Row>;

// The first implementation of this name that accepts the op; nullptr if there is none.
const cpu::Implementation* find_implementation(const OpInstance& instance, const std::string& name) {
  for (const cpu::Implementation& candidate : cpu::implementations_of(instance.op->kind))
    if (candidate.name == name && candidate.refuse(instance).empty()) return &candidate;
  return nullptr;
}

void time_step(const Step& step, const OpInstance& instance, int rounds, Rows* rows) {
  const cpu::Implementation* ours = find_implementation(instance, step.implementation);
  const cpu::Implementation* displaced = find_implementation(instance, "onednn");
  if (ours == nullptr || displaced == nullptr || ours == displaced) return;
  Operands operands(instance);
  const std::unique_ptr<Kernel> kernels[] = {ours->create(instance), displaced->create(instance)};
  std::vector<double> times[2];
  for (const auto& kernel : kernels) {
    operands.bind(*kernel);
    kernel->run({});
  }
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 2; ++i) times[i].push_back(seconds_of(*kernels[i]));
  }
  Row& row = (*rows)[{step.implementation, instance.op->kind}];
  const double mine = median(times[0]), theirs = median(times[1]);
  ++row.steps;
  row.ours += mine;
  row.displaced += theirs;
  row.worst = std::min(row.worst, theirs / mine);
}

void time_net(const std::string& path, Precision precision, int rounds) {
  Diagnostics diagnostics;
  std::unique_ptr<NetFile> file;
  caffe::NetState state;
  state.set_phase(caffe::TRAIN);
  state.add_stage("bench");
  const FilteredNet net = configure_net(path, state, {}, &file, &diagnostics);
  diagnostics.throw_if_errors();
  DeviceOptions options;
  options.precision = precision;
  DeviceSession session(DeviceSpec(), options);
  NetSession training(*net.net, *net.positions, caffe::TRAIN, 1, session);
  add_parameters(training.lowered(), 1, true, session.store);
  const std::shared_ptr<const Program> program = training.program(ProgramKind::kTrain);
  Rows rows;
  for (const Step& step : program->steps) {
    OpInstance instance;
    instance.op = &step.op;
    for (int value : step.op.inputs) instance.inputs.push_back(program->values[static_cast<size_t>(value)].desc);
    for (int value : step.op.outputs) instance.outputs.push_back(program->values[static_cast<size_t>(value)].desc);
    time_step(step, instance, rounds, &rows);
  }
  for (const auto& [key, row] : rows)
    fmt::print("{:<28} {:<10} {:<28} {:>3} steps  {:>8.2f} ms  oneDNN {:>8.2f} ms  {:.2f} times, at least {:.2f}\n",
               training.lowered().name, key.first, name_of(key.second), row.steps, 1e3 * row.ours, 1e3 * row.displaced,
               row.displaced / row.ours, row.worst);
}

int run(std::span<char*> arguments) {
  int rounds = 11;
  Precision precision = Precision::kFP32;
  for (const char* argument : arguments) {
    const std::string text = argument;
    if (text.rfind("--rounds=", 0) == 0) {
      rounds = std::max(1, std::atoi(text.c_str() + std::strlen("--rounds=")));
    } else if (text == "--precision=bf16" || text == "--precision=fp32") {
      precision = text == "--precision=bf16" ? Precision::kBF16 : Precision::kFP32;
    } else if (text.rfind("--", 0) == 0) {
      throw config_error("unknown flag {}; known: --rounds=N, --precision=fp32|bf16", text);
    } else {
      time_net(text, precision, rounds);
    }
  }
  return 0;
}

}  // namespace
}  // namespace trainer

int main(int argc, char** argv) {
  try {
    return trainer::run(std::span<char*>(argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0)));
  } catch (const trainer::Error& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
