// The choice of a walk.
#include "device/cuda/map_walk.h"

#include <algorithm>
#include <limits>

namespace trainer::cuda {
namespace {

constexpr int kWidth = 4;
// A multiprocessor's share of a large sum: blocks at a time. Groups that a lane sums at least before a part
// ends.
constexpr int64_t kBlocksEach = 4, kLeastOfPart = 16;

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool is_reduced(const MapBody& body, size_t output) { return body.outputs[output].reduction != Reduction::kNone; }

std::vector<bool> nodes_behind(const MapBody& body, const std::vector<size_t>& outputs) {
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

void number_arguments(const MapBody& body, const MapLayout& layout, MapWalk* walk) {
  auto number = [](std::vector<int>* list, int value) {
    if (std::find(list->begin(), list->end(), value) == list->end()) list->push_back(value);
  };
  for (size_t i = 0; i < walk->used.size(); ++i) {
    if (!walk->used[i]) continue;
    const MapNode& n = body.nodes[i];
    if (layout.of_node[i] >= 0) number(&walk->streams, layout.of_node[i]);
    if (n.fn == Fn::kInput) number(&walk->operands, n.a);
    if (n.fn == Fn::kSegment) number(&walk->tables, n.a);
    if (n.fn == Fn::kUniform || n.fn == Fn::kNormal) number(&walk->keys, n.a);
  }
  for (size_t output : walk->outputs) number(&walk->streams, layout.of_output(output));
}

bool has_far_offsets(const MapBody& body, const MapWalk& walk) {
  int64_t furthest = body.domain.count();
  for (int s : walk.streams) {
    int64_t last = 0;
    for (size_t dim = 0; dim <= walk.innermost(); ++dim) last += walk.stride(s, dim) * (walk.extent(dim) - 1);
    furthest = std::max(furthest, last);
  }
  return furthest > std::numeric_limits<int32_t>::max() / 2;
}

// Whether neighbours along the innermost dim can be read and written `width` at a time. `tensors`: streams
// that are places of operands and outputs.
bool can_be_wide(const MapWalk& walk, int tensors, int width) {
  const size_t last = walk.innermost();
  if (walk.extent(last) % width != 0) return false;
  for (int s : walk.streams) {
    if (s >= tensors || walk.stride(s, last) == 0) continue;
    if (walk.stride(s, last) != 1) return false;
    for (size_t dim = 0; dim < last; ++dim) {
      if (walk.stride(s, dim) % width != 0) return false;
    }
  }
  return true;
}

// As many neighbours as make 16 bytes of the narrowest floats, if so many can be taken together; or half of
// that.
int widest(const OpInstance& instance, const MapLayout& layout, const MapWalk& walk) {
  const int tensors = layout.operands + static_cast<int>(instance.outputs.size());
  const auto is_narrow = [&](int s) {
    if (s >= tensors || walk.stride(s, walk.innermost()) == 0) return false;
    const size_t i = static_cast<size_t>(s), operands = instance.inputs.size();
    const DType dtype = i < operands ? instance.inputs[i].dtype : instance.outputs[i - operands].dtype;
    return dtype == DType::kBF16 || dtype == DType::kF16;
  };
  if (std::any_of(walk.streams.begin(), walk.streams.end(), is_narrow) && can_be_wide(walk, tensors, 2 * kWidth))
    return 2 * kWidth;
  return can_be_wide(walk, tensors, kWidth) ? kWidth : 1;
}

void walk_elements(const MapBody& body, MapWalk* walk) {
  for (size_t dim = 0; dim <= walk->innermost(); ++dim) walk->kept.push_back(dim);
  walk->units = body.domain.count() / walk->width;
  walk->blocks = ceiling(walk->units, kThreads);
}

// Loads in flight cost registers: the fewer operands, the more groups of each. Draws take longer than loads.
int groups_in_flight(const MapWalk& walk) {
  const auto moving =
      std::count_if(walk.operands.begin(), walk.operands.end(), [&](int operand) { return walk.moves(operand); });
  return moving > 4 || !walk.keys.empty() ? 1 : moving > 2 ? 2 : 4;
}

// The power of two that is enough threads for `count`, at most a warp's.
int lanes_for(int64_t count) {
  int lanes = 1;
  while (lanes < kLanes && lanes < count) lanes *= 2;
  return lanes;
}

void walk_sums(const MapLayout& layout, int multiprocessors, MapWalk* walk) {
  const int any = layout.of_output(walk->reduced[0]);
  for (size_t dim = 0; dim <= walk->innermost(); ++dim) {
    const bool summed = walk->stride(any, dim) == 0 && walk->extent(dim) != 1;
    (summed ? walk->summed : walk->kept).push_back(dim);
    (summed ? walk->summed_groups : walk->kept_groups) *= walk->extent(dim);
  }
  const bool rows = !walk->summed.empty() && walk->summed.back() == walk->innermost();
  walk->kind = rows ? MapWalk::Kind::kRows : MapWalk::Kind::kColumns;
  if (rows && walk->summed_groups < walk->width * kLanes) walk->width = 1;  // lanes would be idle
  (rows ? walk->summed_groups : walk->kept_groups) /= walk->width;
  walk->in_flight = groups_in_flight(*walk);
  walk->lanes = !rows                                           ? lanes_for(walk->kept_groups)
                : walk->summed_groups < kThreads * kLeastOfPart ? kLanes
                                                                : kThreads;
  walk->rows = kThreads / walk->lanes;
  // As many parts as keep the device busy, none of them small.
  const int64_t results = ceiling(walk->kept_groups, rows ? walk->rows : walk->lanes);  // in blocks
  const int64_t wanted = ceiling(multiprocessors * kBlocksEach, std::max<int64_t>(results, 1));
  const int64_t across = rows ? walk->lanes : walk->rows;
  walk->parts = std::max<int64_t>(1, std::min(wanted, walk->summed_groups / (across * kLeastOfPart)));
  walk->chunk = std::max<int64_t>(ceiling(walk->summed_groups, walk->parts), 1);
  walk->parts = std::max<int64_t>(ceiling(walk->summed_groups, walk->chunk), 1);
  walk->units = (rows ? walk->kept_groups : results) * walk->parts;
  walk->blocks = rows ? ceiling(walk->units, walk->rows) : walk->units;
  if (walk->parts > 1) walk->finish_blocks = ceiling(walk->kept_groups * walk->width_of_results(), kThreads / kLanes);
}

}  // namespace

MapWalk::MapWalk(const OpInstance& instance, const MapLayout& layout, const std::vector<size_t>& of_outputs,
                 int multiprocessors)
    : outputs(of_outputs), dims(instance.op->as<MapBody>().domain, layout.order, layout.strides) {
  const MapBody& body = instance.op->as<MapBody>();
  for (size_t output : outputs) (is_reduced(body, output) ? reduced : stored).push_back(output);
  used = nodes_behind(body, outputs);
  number_arguments(body, layout, this);
  has_far = has_far_offsets(body, *this);
  width = widest(instance, layout, *this);
  if (reduced.empty()) {
    walk_elements(body, this);
  } else {
    walk_sums(layout, multiprocessors, this);
  }
}

bool MapWalk::moves(int stream) const {
  return std::any_of(summed.begin(), summed.end(), [&](size_t dim) { return stride(stream, dim) != 0; });
}

std::vector<MapWalk> map_walks(const OpInstance& instance, const MapLayout& layout, int multiprocessors) {
  const MapBody& body = instance.op->as<MapBody>();
  // Outputs that keep the same axes are made together.
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
  std::vector<MapWalk> walks;
  for (const std::vector<size_t>& group : groups) walks.emplace_back(instance, layout, group, multiprocessors);
  return walks;
}

}  // namespace trainer::cuda
