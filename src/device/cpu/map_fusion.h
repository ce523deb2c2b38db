// Which nodes of a map's body become one primitive.
#pragma once

#include <vector>

#include "device/cpu/isa/map_table.h"
#include "ops/map.h"

namespace trainer::cpu {

// One primitive to run: its op and the nodes it reads (-1 where it has fewer).
struct FusedNode {
  TileOp op = TileOp::kCopy;
  int a = -1, b = -1, c = -1;
  float k = 0;
};

// Replaces powers by plainer functions: a^0 is 1, a^2 is a * a.
std::vector<MapNode> plain_nodes(const std::vector<MapNode>& nodes);

// `may_join[i]`: node i is read once, by a node that runs equally often, and is not one float. `joined[i]`:
// node i needs no primitive of its own; those taken into their reader are added. Result by node, of no
// meaning for leaves and joined nodes.
std::vector<FusedNode> fuse_nodes(const std::vector<MapNode>& nodes, const std::vector<bool>& may_join,
                                  std::vector<bool>* joined);

}  // namespace trainer::cpu
