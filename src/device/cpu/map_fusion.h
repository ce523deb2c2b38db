// Fuses the nodes of a map's body into primitives.
#pragma once

#include <vector>

#include "device/cpu/isa/map_table.h"
#include "ops/map.h"

namespace trainer::cpu {

// A primitive: its op and the nodes that it reads (-1 if unused).
struct FusedNode {
  TileOp op = TileOp::kCopy;
  int a = -1, b = -1, c = -1;
  float k = 0;
};

// Replaces powers by simpler functions: a^0 by 1, a^2 by a * a.
std::vector<MapNode> plain_nodes(const std::vector<MapNode>& nodes);

// `may_join[i]`: node i may become part of its reader: it is read once, by a node that runs equally often, and is not a
// scalar. Sets `joined[i]` for nodes that become part of their reader. The result is indexed by node; entries of leaves
// and joined nodes are unused.
std::vector<FusedNode> fuse_nodes(const std::vector<MapNode>& nodes, const std::vector<bool>& may_join,
                                  std::vector<bool>* joined);

}  // namespace trainer::cpu
