// The table of fused pairs, and a greedy cover from the last node to the first.
#include "device/cpu/map_fusion.h"

#include <cmath>

#include "base/error.h"

namespace trainer::cpu {
namespace {

TileOp power_op(float k) {
  if (k == 0.5f) return TileOp::kSquareRootPower;
  if (k == -0.5f) return TileOp::kInverseSquareRoot;
  if (k == 0.75f) return TileOp::kThreeQuarters;
  if (k == -0.75f) return TileOp::kInverseThreeQuarters;
  if (std::floor(k) == k && std::fabs(k) >= 1 && std::fabs(k) <= 4) return TileOp::kSmallPower;
  return TileOp::kPowerConstant;
}

TileOp single_op(const MapNode& node) {
  if (node.fn == Fn::kPowerConstant) return power_op(node.k);
#define TRAINER_FUNCTION(name, ...) \
  case Fn::k##name: return TileOp::k##name;
  switch (node.fn) {
#include "ops/functions.def"
    default: return TileOp::kCopy;
  }
}

struct Pair {
  Fn outer, inner;
  bool inner_first;  // the inner node is the outer's first argument
  TileOp op;
};
constexpr Pair kPairs[] = {
    {Fn::kAdd, Fn::kMultiply, true, TileOp::kMultiplyAdd},
    {Fn::kAdd, Fn::kMultiply, false, TileOp::kMultiplyAdd},
    {Fn::kSubtract, Fn::kMultiply, true, TileOp::kMultiplySubtract},
    {Fn::kSubtract, Fn::kMultiply, false, TileOp::kMultiplySubtractFrom},
    {Fn::kMultiply, Fn::kSubtract, true, TileOp::kSubtractMultiply},
    {Fn::kMultiply, Fn::kSubtract, false, TileOp::kSubtractMultiply},
    {Fn::kMultiply, Fn::kAdd, true, TileOp::kAddMultiply},
    {Fn::kMultiply, Fn::kAdd, false, TileOp::kAddMultiply},
    {Fn::kMultiply, Fn::kMultiply, true, TileOp::kMultiplyMultiply},
    {Fn::kMultiply, Fn::kMultiply, false, TileOp::kMultiplyMultiply},
    {Fn::kAdd, Fn::kAdd, true, TileOp::kAddAdd},
    {Fn::kAdd, Fn::kAdd, false, TileOp::kAddAdd},
    {Fn::kAdd, Fn::kSubtract, true, TileOp::kSubtractAdd},
    {Fn::kAdd, Fn::kSubtract, false, TileOp::kSubtractAdd},
    {Fn::kSubtract, Fn::kAdd, true, TileOp::kAddSubtract},
    {Fn::kSubtract, Fn::kAdd, false, TileOp::kAddSubtractFrom},
    {Fn::kSubtract, Fn::kSubtract, true, TileOp::kSubtractSubtract},
    {Fn::kSubtract, Fn::kSubtract, false, TileOp::kSubtractSubtractFrom},
};

class Fusion {
 public:
  Fusion(const std::vector<MapNode>& nodes, const std::vector<bool>& may_join, std::vector<bool>* joined)
      : nodes_(nodes), may_join_(may_join), joined_(*joined) {}

  FusedNode fuse(const MapNode& node) {
    if (node.fn == Fn::kRelu && joins(node.a, Fn::kAdd)) return fuse_relu(node);
    for (const Pair& pair : kPairs) {
      const int argument = pair.inner_first ? node.a : node.b;
      if (pair.outer != node.fn || !joins(argument, pair.inner)) continue;
      const MapNode& inner = take(argument);
      return {pair.op, inner.a, inner.b, pair.inner_first ? node.b : node.a, 0};
    }
    return {single_op(node), node.a, node.b, node.c, node.k};
  }

 private:
  bool joins(int argument, Fn fn) const {
    return argument >= 0 && may_join_[static_cast<size_t>(argument)] && nodes_[static_cast<size_t>(argument)].fn == fn;
  }
  const MapNode& take(int argument) {
    joined_[static_cast<size_t>(argument)] = true;
    return nodes_[static_cast<size_t>(argument)];
  }

  FusedNode fuse_relu(const MapNode& relu) {
    const MapNode& sum = take(relu.a);
    for (int product : {sum.a, sum.b}) {
      if (!joins(product, Fn::kMultiply)) continue;
      const MapNode& inner = take(product);
      return {TileOp::kMultiplyAddRelu, inner.a, inner.b, product == sum.a ? sum.b : sum.a, relu.k};
    }
    return {TileOp::kAddRelu, sum.a, sum.b, -1, relu.k};
  }

  const std::vector<MapNode>& nodes_;
  const std::vector<bool>& may_join_;
  std::vector<bool>& joined_;
};

}  // namespace

std::vector<MapNode> plain_nodes(const std::vector<MapNode>& nodes) {
  std::vector<MapNode> plain = nodes;
  for (MapNode& node : plain) {
    if (node.fn != Fn::kPowerConstant) continue;
    if (node.k == 0)
      node = {Fn::kConstant, -1, -1, -1, 1};
    else if (node.k == 2)
      node = {Fn::kMultiply, node.a, node.a, -1, 0};
  }
  return plain;
}

std::vector<FusedNode> fuse_nodes(const std::vector<MapNode>& nodes, const std::vector<bool>& may_join,
                                  std::vector<bool>* joined) {
  TRAINER_ASSERT(may_join.size() == nodes.size() && joined->size() == nodes.size());
  std::vector<FusedNode> fused(nodes.size());
  Fusion fusion(nodes, may_join, joined);
  for (size_t i = nodes.size(); i-- > 0;) {
    if (arity_of(nodes[i].fn) > 0 && !(*joined)[i]) fused[i] = fusion.fuse(nodes[i]);
  }
  return fused;
}

}  // namespace trainer::cpu
