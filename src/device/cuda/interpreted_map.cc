// Numbers steps and streams anew for each walk.
#include "device/cuda/interpreted_map.h"

#include <fmt/format.h>

#include <algorithm>

#include "device/cuda/map_text.h"

namespace trainer::cuda {
namespace {

// The interpreter sums whole: into how many parts a walk would cut a sum has no say.
std::vector<MapWalk> walks_of(const OpInstance& instance, const MapLayout& layout) {
  return map_walks(instance, layout, 1);
}

bool fits(const MapWalk& walk) {
  const auto steps = std::count(walk.used.begin(), walk.used.end(), true);
  return steps <= InterpretedMap::kMostSteps && walk.streams.size() <= InterpretedMap::kMostStreams &&
         walk.dims.extents.size() <= InterpretedMap::kMostDims && walk.keys.size() <= InterpretedMap::kMostKeys &&
         walk.tables.empty();
}

void set_dims(const MapWalk& walk, InterpretedMap* map) {
  std::vector<size_t> dims = walk.kept;
  dims.insert(dims.end(), walk.summed.begin(), walk.summed.end());
  for (size_t dim : dims) {
    map->extents[map->dims] = static_cast<int32_t>(walk.extent(dim));
    for (size_t s = 0; s < walk.streams.size(); ++s)
      map->streams[s].strides[map->dims] = static_cast<int32_t>(walk.stride(walk.streams[s], dim));
    ++map->dims;
  }
  for (size_t dim : walk.kept) map->kept *= static_cast<int32_t>(walk.extent(dim));
  for (size_t dim : walk.summed) map->summed *= static_cast<int32_t>(walk.extent(dim));
  while (map->lanes < std::min(map->summed, kBlockThreads)) map->lanes *= 2;
}

void set_steps(const MapBody& body, const MapLayout& layout, const MapWalk& walk, InterpretedMap* map) {
  std::vector<uint8_t> step_of(body.nodes.size());
  for (size_t i = 0; i < body.nodes.size(); ++i) {
    if (!walk.used[i]) continue;
    const MapNode& n = body.nodes[i];
    InterpretedMap::Step& step = map->steps[map->step_count];
    step.fn = n.fn;
    step.k = n.k;
    if (layout.of_node[i] >= 0) step.a = static_cast<uint8_t>(place(walk.streams, layout.of_node[i]));
    if (n.fn == Fn::kUniform || n.fn == Fn::kNormal) step.b = static_cast<uint8_t>(place(walk.keys, n.a));
    if (arity_of(n.fn) > 0) step.a = step_of[static_cast<size_t>(n.a)];
    if (arity_of(n.fn) > 1) step.b = step_of[static_cast<size_t>(n.b)];
    if (arity_of(n.fn) > 2) step.c = step_of[static_cast<size_t>(n.c)];
    step_of[i] = static_cast<uint8_t>(map->step_count++);
  }
  for (size_t output : walk.outputs) {
    const MapOutput& out = body.outputs[output];
    const auto join = out.reduction == Reduction::kNone  ? InterpretedMap::Join::kStore
                      : out.reduction == Reduction::kSum ? InterpretedMap::Join::kSum
                                                         : InterpretedMap::Join::kMax;
    map->results[map->result_count++] = {step_of[static_cast<size_t>(out.node)],
                                         static_cast<uint8_t>(place(walk.streams, layout.of_output(output))), join};
  }
}

}  // namespace

std::vector<MapWalk> interpreted_walks(const OpInstance& instance) {
  return walks_of(instance, MapLayout(instance.op->as<MapBody>(), instance.inputs, instance.outputs));
}

std::string refuse_interpreted_map(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  if (const std::string reason = refuse_map_text(instance); !reason.empty()) return reason;
  if (body.domain.count() == 0) return "no elements";
  if (body.domain.count() > InterpretedMap::kMostElements) return fmt::format("{} elements", body.domain.count());
  const std::vector<MapWalk> walks = interpreted_walks(instance);
  return std::all_of(walks.begin(), walks.end(), fits)
             ? ""
             : "more nodes, operands, axes or keys than the interpreter takes, or tables";
}

std::vector<InterpretedMap> interpreted_map(const OpInstance& instance, const Addresses& at, const uint64_t* pass) {
  const MapBody& body = instance.op->as<MapBody>();
  const MapLayout layout(body, instance.inputs, instance.outputs);
  std::vector<InterpretedMap> maps;
  for (const MapWalk& walk : walks_of(instance, layout)) {
    InterpretedMap map;
    set_dims(walk, &map);
    set_steps(body, layout, walk, &map);
    for (int operand : walk.operands) {
      const size_t i = static_cast<size_t>(operand);
      InterpretedMap::Stream& stream = map.streams[place(walk.streams, operand)];
      stream.base = at.inputs[i];
      stream.type = type_of(instance.inputs[i]);
    }
    for (size_t i : walk.outputs) {
      InterpretedMap::Stream& stream = map.streams[place(walk.streams, layout.of_output(i))];
      stream.base = at.outputs[i];
      stream.type = type_of(instance.outputs[i]);
    }
    for (size_t i = 0; i < walk.keys.size(); ++i) map.keys[i] = body.keys[static_cast<size_t>(walk.keys[i])];
    map.pass = pass;
    maps.push_back(map);
  }
  return maps;
}

}  // namespace trainer::cuda
