// Chooses a schedule.
#include "device/cuda/map_schedule.h"

#include <algorithm>
#include <limits>

namespace trainer::cuda {
namespace {

constexpr int kWidth = 4;
// Of a large reduction: blocks per multiprocessor, the minimum of groups per lane in a part, and the maximum of parts,
// which one block joins.
constexpr int64_t kBlocksPerMultiprocessor = 4, kMinGroupsPerLane = 16, kMaxParts = 256;
constexpr int64_t kMinGroupsOfBlock = 1024;  // a warp takes a sum of fewer groups
// Lanes with vectors of 16 bytes read whole sectors of 128 bytes. More lanes would leave more parts for each result.
constexpr int kVectorLanes = 8;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool is_reduced(const MapBody& body, size_t output) { return body.outputs[output].reduction != Reduction::kNone; }

std::vector<bool> nodes_of(const MapBody& body, const std::vector<size_t>& outputs) {
  std::vector<bool> used(body.nodes.size(), false);
  for (size_t output : outputs) used[static_cast<size_t>(body.outputs[output].node)] = true;
  for (size_t i = used.size(); i-- > 0;) {
    if (!used[i]) continue;
    const MapNode& n = body.nodes[i];
    const int arguments[] = {n.a, n.b, n.c};
    for (int argument = 0; argument < arity_of(n.fn); ++argument) used[static_cast<size_t>(arguments[argument])] = true;
  }
  return used;
}

void number_arguments(const MapBody& body, const MapLayout& layout, MapSchedule* schedule) {
  auto number = [](std::vector<int>* list, int value) {
    if (std::find(list->begin(), list->end(), value) == list->end()) list->push_back(value);
  };
  for (size_t i = 0; i < schedule->used.size(); ++i) {
    if (!schedule->used[i]) continue;
    const MapNode& n = body.nodes[i];
    if (layout.of_node[i] >= 0) number(&schedule->streams, layout.of_node[i]);
    if (n.fn == Fn::kInput) number(&schedule->operands, n.a);
    if (n.fn == Fn::kSegment) number(&schedule->tables, n.a);
    if (n.fn == Fn::kUniform || n.fn == Fn::kNormal) number(&schedule->keys, n.a);
  }
  for (size_t output : schedule->outputs) number(&schedule->streams, layout.of_output(output));
}

bool exceeds_32_bits(const MapBody& body, const MapSchedule& schedule) {
  int64_t furthest = body.domain.count();
  for (int s : schedule.streams) {
    int64_t last = 0;
    for (size_t dim = 0; dim <= schedule.innermost(); ++dim)
      last += schedule.stride(s, dim) * (schedule.extent(dim) - 1);
    furthest = std::max(furthest, last);
  }
  return furthest > std::numeric_limits<int32_t>::max() / 2;
}

// Whether vectors of `width` neighbors along the innermost dim are possible. `tensors`: the number of streams that are
// operands and outputs.
bool can_vectorize(const MapSchedule& schedule, int tensors, int width) {
  const size_t last = schedule.innermost();
  if (schedule.extent(last) % width != 0) return false;
  for (int s : schedule.streams) {
    if (s >= tensors || schedule.stride(s, last) == 0) continue;
    if (schedule.stride(s, last) != 1) return false;
    for (size_t dim = 0; dim < last; ++dim) {
      if (schedule.stride(s, dim) % width != 0) return false;
    }
  }
  return true;
}

// The vector width: 16 bytes of the narrowest float type, or half of that, or 1.
int vector_width(const OpInstance& instance, const MapLayout& layout, const MapSchedule& schedule) {
  const int tensors = layout.operands + static_cast<int>(instance.outputs.size());
  const auto is_narrow = [&](int s) {
    if (s >= tensors || schedule.stride(s, schedule.innermost()) == 0) return false;
    const size_t i = static_cast<size_t>(s), operands = instance.inputs.size();
    const DType dtype = i < operands ? instance.inputs[i].dtype : instance.outputs[i - operands].dtype;
    return dtype == DType::kBF16 || dtype == DType::kF16;
  };
  if (std::any_of(schedule.streams.begin(), schedule.streams.end(), is_narrow) &&
      can_vectorize(schedule, tensors, 2 * kWidth))
    return 2 * kWidth;
  return can_vectorize(schedule, tensors, kWidth) ? kWidth : 1;
}

void schedule_elements(const MapBody& body, MapSchedule* schedule) {
  for (size_t dim = 0; dim <= schedule->innermost(); ++dim) schedule->kept.push_back(dim);
  schedule->units = body.domain.count() / schedule->width;
  schedule->blocks = ceil_div(schedule->units, kThreads);
}

// Loads in flight need registers: fewer operands allow more groups. Random numbers take longer than loads.
int groups_in_flight(const MapSchedule& schedule) {
  const auto moving = std::count_if(schedule.operands.begin(), schedule.operands.end(),
                                    [&](int operand) { return schedule.moves(operand); });
  return moving > 4 || !schedule.keys.empty() ? 1 : moving > 2 ? 2 : 4;
}

// `count` rounded up to a power of two, at most `most`.
int lanes_for(int64_t count, int most) {
  int lanes = 1;
  while (lanes < most && lanes < count) lanes *= 2;
  return lanes;
}

void schedule_reduction(const MapLayout& layout, int multiprocessors, MapSchedule* schedule) {
  const int any = layout.of_output(schedule->reduced[0]);
  for (size_t dim = 0; dim <= schedule->innermost(); ++dim) {
    const bool summed = schedule->stride(any, dim) == 0 && schedule->extent(dim) != 1;
    (summed ? schedule->summed : schedule->kept).push_back(dim);
    (summed ? schedule->summed_groups : schedule->kept_groups) *= schedule->extent(dim);
  }
  const bool rows = !schedule->summed.empty() && schedule->summed.back() == schedule->innermost();
  schedule->kind = rows ? MapSchedule::Kind::kRows : MapSchedule::Kind::kColumns;
  if (rows && schedule->summed_groups < schedule->width * kLanes) schedule->width = 1;  // lanes would be idle
  (rows ? schedule->summed_groups : schedule->kept_groups) /= schedule->width;
  schedule->in_flight = groups_in_flight(*schedule);
  schedule->lanes = !rows ? lanes_for(schedule->kept_groups, schedule->width > 1 ? kVectorLanes : kLanes)
                    : schedule->summed_groups < kMinGroupsOfBlock ? kLanes
                                                                  : kThreads;
  schedule->rows = kThreads / schedule->lanes;
  // Enough parts to keep the device busy, each with enough work.
  const int64_t results = ceil_div(schedule->kept_groups, rows ? schedule->rows : schedule->lanes);  // in blocks
  const int64_t wanted = ceil_div(multiprocessors * kBlocksPerMultiprocessor, std::max<int64_t>(results, 1));
  const int64_t across = rows ? kThreads : schedule->rows;
  schedule->parts =
      std::clamp<int64_t>(std::min(wanted, schedule->summed_groups / (across * kMinGroupsPerLane)), 1, kMaxParts);
  schedule->chunk = std::max<int64_t>(ceil_div(schedule->summed_groups, schedule->parts), 1);
  schedule->parts = std::max<int64_t>(ceil_div(schedule->summed_groups, schedule->chunk), 1);
  schedule->units = (rows ? schedule->kept_groups : results) * schedule->parts;
  schedule->blocks = rows ? ceil_div(schedule->units, schedule->rows) : schedule->units;
}

}  // namespace

MapSchedule::MapSchedule(const OpInstance& instance, const MapLayout& layout, const std::vector<size_t>& of_outputs,
                         int multiprocessors)
    : outputs(of_outputs), dims(instance.op->as<MapBody>().domain, layout.order, layout.strides) {
  const MapBody& body = instance.op->as<MapBody>();
  for (size_t output : outputs) (is_reduced(body, output) ? reduced : stored).push_back(output);
  used = nodes_of(body, outputs);
  number_arguments(body, layout, this);
  needs_64_bits = exceeds_32_bits(body, *this);
  width = vector_width(instance, layout, *this);
  if (reduced.empty()) {
    schedule_elements(body, this);
  } else {
    schedule_reduction(layout, multiprocessors, this);
  }
}

bool MapSchedule::moves(int stream) const {
  return std::any_of(summed.begin(), summed.end(), [&](size_t dim) { return stride(stream, dim) != 0; });
}

std::vector<MapSchedule> map_schedules(const OpInstance& instance, const MapLayout& layout, int multiprocessors) {
  const MapBody& body = instance.op->as<MapBody>();
  // Reduced outputs that keep the same axes share a launch.
  std::vector<std::vector<size_t>> groups;
  std::vector<size_t> stored;
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    if (!is_reduced(body, i)) {
      stored.push_back(i);
      continue;
    }
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const std::vector<size_t>& group) {
      return instance.outputs[group[0]].shape == instance.outputs[i].shape;
    });
    if (same == groups.end()) {
      groups.push_back({i});
    } else {
      same->push_back(i);
    }
  }
  if (groups.empty()) {
    groups.push_back(stored);
  } else {
    groups.back().insert(groups.back().end(), stored.begin(), stored.end());
  }
  std::vector<MapSchedule> schedules;
  for (const std::vector<size_t>& group : groups) schedules.emplace_back(instance, layout, group, multiprocessors);
  return schedules;
}

int64_t bytes_read_again(const OpInstance& instance, const std::vector<MapSchedule>& schedules) {
  std::vector<bool> read(instance.inputs.size(), false);
  int64_t bytes = 0;
  for (const MapSchedule& schedule : schedules) {
    for (const int operand : schedule.operands) {
      const size_t i = static_cast<size_t>(operand);
      if (read[i]) bytes += instance.inputs[i].bytes();
      read[i] = true;
    }
  }
  return bytes;
}

}  // namespace trainer::cuda
