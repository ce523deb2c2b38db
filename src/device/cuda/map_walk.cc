// The choice of a walk.
#include "device/cuda/map_walk.h"

#include <algorithm>
#include <limits>

namespace trainer::cuda {
namespace {

constexpr int kElementThreads = 256, kWidth = 4;
// A multiprocessor's share of a large map: blocks at a time. What a lane sums at least before a part ends.
constexpr int64_t kBlocksEach = 8, kLeastOfPart = 64;

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool is_reduced(const MapBody& body, size_t output) {
  return body.outputs[output].reduction != Reduction::kNone;
}

std::vector<bool> nodes_behind(const MapBody& body, const std::vector<size_t>& outputs) {
  std::vector<bool> used(body.nodes.size(), false);
  for (size_t output : outputs) used[static_cast<size_t>(body.outputs[output].node)] = true;
  for (size_t i = used.size(); i-- > 0;) {
    if (!used[i]) continue;
    const MapNode& n = body.nodes[i];
    const int arguments[] = {n.a, n.b, n.c};
    for (int argument = 0; argument < arity_of(n.fn); ++argument)
      used[static_cast<size_t>(arguments[argument])] = true;
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

// Whether neighbours along the innermost dim can be read and written `kWidth` at a time. `tensors`: streams
// that are places of operands and outputs.
bool can_be_wide(const MapWalk& walk, int tensors) {
  const size_t last = walk.innermost();
  if (walk.extent(last) % kWidth != 0) return false;
  for (int s : walk.streams) {
    if (s >= tensors || walk.stride(s, last) == 0) continue;
    if (walk.stride(s, last) != 1) return false;
    for (size_t dim = 0; dim < last; ++dim) {
      if (walk.stride(s, dim) % kWidth != 0) return false;
    }
  }
  return true;
}

void walk_elements(const MapBody& body, const MapLayout& layout, MapWalk* walk) {
  for (size_t dim = 0; dim <= walk->innermost(); ++dim) walk->kept.push_back(dim);
  walk->kind = MapWalk::Kind::kElements;
  walk->width = can_be_wide(*walk, layout.operands + static_cast<int>(body.outputs.size())) ? kWidth : 1;
  walk->units = body.domain.count() / walk->width;
  walk->lanes = kElementThreads;
  walk->rows = 1;
  walk->blocks = ceiling(walk->units, kElementThreads);
}

void walk_sums(const MapLayout& layout, int multiprocessors, MapWalk* walk) {
  const int any = layout.of_output(walk->reduced[0]);
  for (size_t dim = 0; dim <= walk->innermost(); ++dim) {
    const bool summed = walk->stride(any, dim) == 0 && walk->extent(dim) != 1;
    (summed ? walk->summed : walk->kept).push_back(dim);
    (summed ? walk->summed_count : walk->kept_count) *= walk->extent(dim);
  }
  const bool rows = !walk->summed.empty() && walk->summed.back() == walk->innermost();
  walk->kind = rows ? MapWalk::Kind::kRows : MapWalk::Kind::kColumns;
  // As many parts as keep the device busy, none of them small.
  const int64_t across = rows ? kLanes : kRows;
  const int64_t results = ceiling(walk->kept_count, rows ? kRows : kLanes);
  const int64_t wanted = ceiling(multiprocessors * kBlocksEach, std::max<int64_t>(results, 1));
  walk->parts = std::max<int64_t>(1, std::min(wanted, walk->summed_count / (across * kLeastOfPart)));
  walk->chunk = std::max<int64_t>(ceiling(walk->summed_count, walk->parts), 1);
  walk->parts = std::max<int64_t>(ceiling(walk->summed_count, walk->chunk), 1);
  walk->units = (rows ? walk->kept_count : ceiling(walk->kept_count, kLanes)) * walk->parts;
  walk->blocks = rows ? ceiling(walk->units, kRows) : walk->units;
  if (walk->parts > 1) walk->finish_blocks = ceiling(walk->kept_count, kLanes * kRows);
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
  if (reduced.empty()) {
    walk_elements(body, layout, this);
  } else {
    walk_sums(layout, multiprocessors, this);
  }
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
  for (const std::vector<size_t>& group : groups)
    walks.emplace_back(instance, layout, group, multiprocessors);
  return walks;
}

}  // namespace trainer::cuda
