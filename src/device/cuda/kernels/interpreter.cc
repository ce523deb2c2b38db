// The arguments of the interpreter, and its implementation of kMap, also for several maps in a row. Each part of a map
// numbers its own steps and streams.
#include "device/cuda/kernels/interpreter.h"

#include <algorithm>

#include "device/cuda/fixed_kernel.h"
#include "device/cuda/map_codegen.h"
#include "device/cuda/map_schedule.h"

namespace trainer::cuda {
namespace {

// The interpreter ignores the parts of a reduction, so the number of multiprocessors does not matter.
std::vector<MapSchedule> schedules_of(const OpInstance& instance, const MapLayout& layout) {
  return map_schedules(instance, layout, 1);
}

std::vector<MapSchedule> schedules_of(const OpInstance& instance) {
  return schedules_of(instance, MapLayout(instance.op->as<MapBody>(), instance.inputs, instance.outputs));
}

bool fits(const MapSchedule& schedule) {
  const auto steps = std::count(schedule.used.begin(), schedule.used.end(), true);
  return steps <= InterpretedMap::kMaxSteps && schedule.streams.size() <= InterpretedMap::kMaxStreams &&
         schedule.dims.extents.size() <= InterpretedMap::kMaxDims && schedule.keys.size() <= InterpretedMap::kMaxKeys &&
         schedule.tables.empty();
}

void set_dims(const MapSchedule& schedule, InterpretedMap* map) {
  std::vector<size_t> dims = schedule.kept;
  dims.insert(dims.end(), schedule.summed.begin(), schedule.summed.end());
  for (size_t dim : dims) {
    map->extents[map->dims] = static_cast<int32_t>(schedule.extent(dim));
    for (size_t s = 0; s < schedule.streams.size(); ++s)
      map->streams[s].strides[map->dims] = static_cast<int32_t>(schedule.stride(schedule.streams[s], dim));
    ++map->dims;
  }
  for (size_t dim : schedule.kept) map->kept *= static_cast<int32_t>(schedule.extent(dim));
  for (size_t dim : schedule.summed) map->summed *= static_cast<int32_t>(schedule.extent(dim));
  while (map->lanes < std::min(map->summed, kBlockThreads)) map->lanes *= 2;
}

void set_steps(const MapBody& body, const MapLayout& layout, const MapSchedule& schedule, InterpretedMap* map) {
  std::vector<uint8_t> step_of(body.nodes.size());
  for (size_t i = 0; i < body.nodes.size(); ++i) {
    if (!schedule.used[i]) continue;
    const MapNode& n = body.nodes[i];
    InterpretedMap::Step& step = map->steps[map->step_count];
    step.fn = n.fn;
    step.k = n.k;
    if (layout.of_node[i] >= 0) step.a = static_cast<uint8_t>(index_of(schedule.streams, layout.of_node[i]));
    if (n.fn == Fn::kUniform || n.fn == Fn::kNormal) step.b = static_cast<uint8_t>(index_of(schedule.keys, n.a));
    if (arity_of(n.fn) > 0) step.a = step_of[static_cast<size_t>(n.a)];
    if (arity_of(n.fn) > 1) step.b = step_of[static_cast<size_t>(n.b)];
    if (arity_of(n.fn) > 2) step.c = step_of[static_cast<size_t>(n.c)];
    step_of[i] = static_cast<uint8_t>(map->step_count++);
  }
  for (size_t output : schedule.outputs) {
    const MapOutput& out = body.outputs[output];
    const auto join = out.reduction == Reduction::kNone  ? InterpretedMap::Join::kStore
                      : out.reduction == Reduction::kSum ? InterpretedMap::Join::kSum
                                                         : InterpretedMap::Join::kMax;
    map->results[map->result_count++] = {step_of[static_cast<size_t>(out.node)],
                                         static_cast<uint8_t>(index_of(schedule.streams, layout.of_output(output))),
                                         join};
  }
}

}  // namespace

std::string refuse_interpreter(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  if (const std::string reason = refuse_generated_map(instance); !reason.empty()) return reason;
  if (body.domain.count() == 0) return "no elements";
  if (body.domain.count() > InterpretedMap::kMaxElements) return fmt::format("{} elements", body.domain.count());
  const std::vector<MapSchedule> schedules = schedules_of(instance);
  return std::all_of(schedules.begin(), schedules.end(), fits)
             ? ""
             : "it has tables, or more nodes, operands, axes or keys than the interpreter supports";
}

std::vector<InterpretedMap> interpreter_arguments(const OpInstance& instance, const Addresses& at,
                                                  const uint64_t* pass) {
  const MapBody& body = instance.op->as<MapBody>();
  const MapLayout layout(body, instance.inputs, instance.outputs);
  std::vector<InterpretedMap> maps;
  for (const MapSchedule& schedule : schedules_of(instance, layout)) {
    InterpretedMap map;
    set_dims(schedule, &map);
    set_steps(body, layout, schedule, &map);
    for (int operand : schedule.operands) {
      const size_t i = static_cast<size_t>(operand);
      InterpretedMap::Stream& stream = map.streams[index_of(schedule.streams, operand)];
      stream.base = at.inputs[i];
      stream.type = type_of(instance.inputs[i]);
    }
    for (size_t i : schedule.outputs) {
      InterpretedMap::Stream& stream = map.streams[index_of(schedule.streams, layout.of_output(i))];
      stream.base = at.outputs[i];
      stream.type = type_of(instance.outputs[i]);
    }
    for (size_t i = 0; i < schedule.keys.size(); ++i) map.keys[i] = body.keys[static_cast<size_t>(schedule.keys[i])];
    map.pass = pass;
    maps.push_back(map);
  }
  return maps;
}

namespace {

class InterpreterKernel : public CudaKernel {
 public:
  InterpreterKernel(Context& context, std::span<const OpInstance> maps) : CudaKernel(context, maps.front()) {
    for (const OpInstance& map : maps) {
      maps_.push_back({*map.op, map.inputs, map.outputs});
      bytes_read_again_ += bytes_read_again(map, schedules_of(map));
    }
  }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void*) override {
    arguments_.clear();
    for (const Map& map : maps_) {
      const Addresses at{inputs.first(map.inputs.size()), outputs.first(map.outputs.size())};
      for (const InterpretedMap& part : interpreter_arguments({&map.op, map.inputs, map.outputs}, at, context().pass()))
        arguments_.push_back(part);
      inputs = inputs.subspan(map.inputs.size());
      outputs = outputs.subspan(map.outputs.size());
    }
  }
  void run(const RunContext&) override {
    for (std::span<const InterpretedMap> left = arguments_; !left.empty();) {
      const size_t count = std::min(left.size(), kMaxInterpretedMaps);
      check(launch_interpreter(left.first(count), context().stream()), "launching a small map");
      left = left.subspan(count);
    }
  }
  KernelCost cost() const override {
    return {ceil_div(static_cast<int64_t>(arguments_.size()), int64_t{kMaxInterpretedMaps}), bytes_read_again_};
  }

 private:
  struct Map {
    Op op;
    std::vector<TensorDesc> inputs, outputs;
  };
  std::vector<Map> maps_;
  std::vector<InterpretedMap> arguments_;
  int64_t bytes_read_again_ = 0;
};

std::string refuse(Context&, const OpInstance& instance) { return refuse_interpreter(instance); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<InterpreterKernel>(context, std::span(&instance, 1));
}

}  // namespace

size_t joinable_small_maps(std::span<const OpInstance> ops) {
  size_t count = 0, parts = 0;
  for (; count < ops.size(); ++count) {
    if (ops[count].op->kind != OpKind::kMap || !refuse_interpreter(ops[count]).empty()) break;
    parts += schedules_of(ops[count]).size();
    if (parts > kMaxInterpretedMaps) break;
  }
  return std::max<size_t>(count, 1);
}

std::unique_ptr<Kernel> create_joined_small_maps(Context& context, std::span<const OpInstance> maps) {
  return std::make_unique<InterpreterKernel>(context, maps);
}

const Implementation interpreted_map{"interpreter", refuse, create};

}  // namespace trainer::cuda
