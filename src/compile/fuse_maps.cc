// Fuses maps: a group of maps over one domain becomes one map, a single pass over memory.
#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "base/error.h"
#include "compile/passes.h"

namespace trainer {
namespace {

// A partition of the ops of a graph into groups; each group becomes one op. At first each op is a group. The groups are
// kept in a topological order, so that a test for a path between two groups searches only the groups between them.
class Groups {
 public:
  explicit Groups(const Graph& graph)
      : graph_(graph),
        group_(graph.ops.size()),
        members_(graph.ops.size()),
        sequence_(graph.ops.size()),
        rank_(graph.ops.size()),
        visited_(graph.ops.size(), 0) {
    readers_ = readers_of(graph);
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      group_[i] = sequence_[i] = rank_[i] = static_cast<int>(i);
      members_[i] = {static_cast<int>(i)};
    }
  }

  int of(int op) const { return group_[static_cast<size_t>(op)]; }
  const std::vector<int>& members(int group) const { return members_[static_cast<size_t>(group)]; }

  bool try_join(int a, int b) {
    if (a == b) return true;
    const Op& first = graph_.ops[static_cast<size_t>(members(a).front())];
    const Op& second = graph_.ops[static_cast<size_t>(members(b).front())];
    if (first.kind != OpKind::kMap || second.kind != OpKind::kMap || first.pass() != second.pass()) return false;
    if (first.as<MapBody>().domain != second.as<MapBody>().domain) return false;
    if (too_large(a, b) || reads_reduced(a, b) || reads_reduced(b, a)) return false;
    const int former = rank(a) < rank(b) ? a : b, latter = former == a ? b : a;
    if (path_outside(former, latter)) return false;
    reorder(a, former, latter);
    for (int op : members(b)) group_[static_cast<size_t>(op)] = a;
    auto& into = members_[static_cast<size_t>(a)];
    into.insert(into.end(), members(b).begin(), members(b).end());
    std::sort(into.begin(), into.end());
    members_[static_cast<size_t>(b)].clear();
    return true;
  }

  // The groups whose results this group reads.
  std::set<int> sources(int group) const {
    std::set<int> out;
    for (int op : members(group)) {
      for (int input : graph_.ops[static_cast<size_t>(op)].inputs)
        out.insert(of(graph_.values[static_cast<size_t>(input)].producer));
    }
    out.erase(group);
    return out;
  }

 private:
  bool too_large(int a, int b) const {
    size_t nodes = 0;
    std::set<int> operands;
    for (int group : {a, b}) {
      for (int op : members(group)) {
        nodes += graph_.ops[static_cast<size_t>(op)].as<MapBody>().nodes.size();
        for (int input : graph_.ops[static_cast<size_t>(op)].inputs) {
          const int producer = of(graph_.values[static_cast<size_t>(input)].producer);
          if (producer != a && producer != b) operands.insert(input);
        }
      }
    }
    return nodes > kMaxMapNodes || operands.size() > kMaxMapOperands;
  }

  // Whether b reads a reduced result of a: a reduction is complete only at the end of a's pass.
  bool reads_reduced(int a, int b) const {
    for (int op : members(b)) {
      for (int input : graph_.ops[static_cast<size_t>(op)].inputs) {
        const int producer = graph_.values[static_cast<size_t>(input)].producer;
        if (of(producer) != a) continue;
        const Op& made_by = graph_.ops[static_cast<size_t>(producer)];
        const auto at = std::find(made_by.outputs.begin(), made_by.outputs.end(), input) - made_by.outputs.begin();
        if (made_by.as<MapBody>().outputs[static_cast<size_t>(at)].reduction != Reduction::kNone) return true;
      }
    }
    return false;
  }

  int rank(int group) const { return rank_[static_cast<size_t>(group)]; }

  // For b after a in the order: whether a path from a to b goes through another group, so that joining them would
  // create a cycle. If not, all groups before b that a path from a reaches are marked as visited.
  bool path_outside(int a, int b) {
    ++visit_;
    visited_[static_cast<size_t>(a)] = visit_;
    std::vector<int> stack;
    auto push_readers = [&](int group) {
      for (int op : members(group)) {
        for (int output : graph_.ops[static_cast<size_t>(op)].outputs) {
          for (int reader : readers_[static_cast<size_t>(output)]) {
            const int next = of(reader);
            if (rank(next) > rank(b) || (group == a && next == b) || visited_[static_cast<size_t>(next)] == visit_)
              continue;
            visited_[static_cast<size_t>(next)] = visit_;
            stack.push_back(next);
          }
        }
      }
    };
    push_readers(a);
    while (!stack.empty()) {
      const int group = stack.back();
      stack.pop_back();
      if (group == b) return true;
      push_readers(group);
    }
    return false;
  }

  // Restores the order for `joined`, the group into which former and latter merge: the visited groups between the two
  // come after it, the others before it.
  void reorder(int joined, int former, int latter) {
    const size_t begin = static_cast<size_t>(rank(former)), end = static_cast<size_t>(rank(latter));
    std::vector<int> after;
    size_t at = begin;
    for (size_t i = begin + 1; i < end; ++i) {
      const int group = sequence_[i];
      if (visited_[static_cast<size_t>(group)] == visit_) {
        after.push_back(group);
      } else {
        sequence_[at++] = group;
      }
    }
    sequence_[at++] = joined;
    for (int group : after) sequence_[at++] = group;
    sequence_[at] = joined == former ? latter : former;  // the merged group, which is empty
    for (size_t i = begin; i <= end; ++i) rank_[static_cast<size_t>(sequence_[i])] = static_cast<int>(i);
  }

  const Graph& graph_;
  std::vector<int> group_;
  std::vector<std::vector<int>> members_;
  std::vector<int> sequence_, rank_;  // the groups in topological order; by group: its position there
  std::vector<std::vector<int>> readers_;
  std::vector<int> visited_;
  int visit_ = 0;
};

// Builds the fused map of a group: the nodes of its members in order, without duplicates.
class BodyBuilder {
 public:
  BodyBuilder(const Graph& graph, const Groups& groups, int group) : graph_(graph), groups_(groups), group_(group) {}

  // `kept`: the values that are read outside the group. Stores the values that the map's results replace in `results`.
  Op build(const std::set<int>& kept, std::vector<int>* results) {
    Op fused;
    fused.kind = OpKind::kMap;
    for (int member : groups_.members(group_)) {
      const Op& op = graph_.ops[static_cast<size_t>(member)];
      const MapBody& body = op.as<MapBody>();
      body_.domain = body.domain;
      std::vector<int> node_of(body.nodes.size());
      for (size_t i = 0; i < body.nodes.size(); ++i) node_of[i] = add(op, body, body.nodes[i], node_of);
      for (size_t i = 0; i < body.outputs.size(); ++i) {
        MapOutput output = body.outputs[i];
        output.node = node_of[static_cast<size_t>(output.node)];
        if (output.reduction == Reduction::kNone) value_node_[op.outputs[i]] = output.node;
        if (!kept.count(op.outputs[i])) continue;
        body_.outputs.push_back(output);
        results->push_back(op.outputs[i]);
      }
      add_shares(op, &fused);
    }
    drop_dead_nodes();
    fused.inputs = operands_;
    fused.attributes = body_;
    return fused;
  }

 private:
  // Adds the shares of a member, scaled to its arithmetic.
  static void add_shares(const Op& op, Op* fused) {
    double total = 0;
    for (const LayerShare& share : op.shares) total += share.weight;
    for (LayerShare share : op.shares) {
      share.weight *= std::max(1, op.as<MapBody>().arithmetic_nodes()) / total;
      const auto same = std::find_if(fused->shares.begin(), fused->shares.end(), [&](const LayerShare& other) {
        return other.layer == share.layer && other.pass == share.pass;
      });
      if (same == fused->shares.end()) {
        fused->shares.push_back(share);
      } else {
        same->weight += share.weight;
      }
    }
  }

  int add(const Op& op, const MapBody& body, MapNode node, const std::vector<int>& node_of) {
    const int arguments = arity_of(node.fn);
    if (node.fn == Fn::kInput) {
      const int value = op.inputs[static_cast<size_t>(node.a)];
      const auto inner = value_node_.find(value);
      if (inner != value_node_.end()) return inner->second;
      const auto at = std::find(operands_.begin(), operands_.end(), value);
      node.a = static_cast<int>(at - operands_.begin());
      if (at == operands_.end()) operands_.push_back(value);
    } else if (node.fn == Fn::kUniform || node.fn == Fn::kNormal) {
      node.a = position(&body_.keys, body.keys[static_cast<size_t>(node.a)]);
    } else if (node.fn == Fn::kSegment) {
      node.a = position(&body_.segments, body.segments[static_cast<size_t>(node.a)]);
    } else if (arguments > 0) {
      node.a = node_of[static_cast<size_t>(node.a)];
      if (arguments > 1) node.b = node_of[static_cast<size_t>(node.b)];
      if (arguments > 2) node.c = node_of[static_cast<size_t>(node.c)];
      // The result of a relu is positive where its argument is.
      const MapNode& of = body_.nodes[static_cast<size_t>(node.a)];
      if (node.fn == Fn::kReluGradient && of.fn == Fn::kRelu && of.k >= 0) node.a = of.a;
    }
    const auto same = std::find(body_.nodes.begin(), body_.nodes.end(), node);
    if (same != body_.nodes.end()) return static_cast<int>(same - body_.nodes.begin());
    body_.nodes.push_back(node);
    return static_cast<int>(body_.nodes.size()) - 1;
  }

  template <typename T>
  static int position(std::vector<T>* list, const T& item) {
    const auto at = std::find(list->begin(), list->end(), item);
    const int index = static_cast<int>(at - list->begin());
    if (at == list->end()) list->push_back(item);
    return index;
  }

  void drop_dead_nodes() {
    std::vector<bool> live(body_.nodes.size(), false);
    for (const MapOutput& output : body_.outputs) live[static_cast<size_t>(output.node)] = true;
    for (size_t i = body_.nodes.size(); i-- > 0;) {
      const MapNode& node = body_.nodes[i];
      const int arguments = arity_of(node.fn);
      if (!live[i] || arguments == 0) continue;
      for (int argument : {node.a, arguments > 1 ? node.b : node.a, arguments > 2 ? node.c : node.a})
        live[static_cast<size_t>(argument)] = true;
    }
    std::vector<int> moved(body_.nodes.size(), -1), operand_moved(operands_.size(), -1);
    std::vector<MapNode> nodes;
    std::vector<int> operands;
    for (size_t i = 0; i < body_.nodes.size(); ++i) {
      if (!live[i]) continue;
      MapNode node = body_.nodes[i];
      if (node.fn == Fn::kInput) {
        int& at = operand_moved[static_cast<size_t>(node.a)];
        if (at < 0) {
          at = static_cast<int>(operands.size());
          operands.push_back(operands_[static_cast<size_t>(node.a)]);
        }
        node.a = at;
      } else if (arity_of(node.fn) > 0) {
        node.a = moved[static_cast<size_t>(node.a)];
        if (node.b >= 0) node.b = moved[static_cast<size_t>(node.b)];
        if (node.c >= 0) node.c = moved[static_cast<size_t>(node.c)];
      }
      moved[i] = static_cast<int>(nodes.size());
      nodes.push_back(node);
    }
    for (MapOutput& output : body_.outputs) output.node = moved[static_cast<size_t>(output.node)];
    body_.nodes = std::move(nodes);
    operands_ = std::move(operands);
  }

  const Graph& graph_;
  const Groups& groups_;
  int group_;
  MapBody body_;
  std::vector<int> operands_;
  std::map<int, int> value_node_;  // node of each unreduced value that the group produces
};

void join_groups(const Graph& graph, Groups* groups) {
  const auto readers = readers_of(graph);
  // Values with one reader come first: a copy that was made for its reader joins it, rather than the map that it reads.
  for (const bool all : {false, true}) {
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      if (graph.ops[i].kind != OpKind::kMap) continue;
      for (int input : graph.ops[i].inputs) {
        if (all || readers[static_cast<size_t>(input)].size() == 1)
          groups->try_join(groups->of(graph.values[static_cast<size_t>(input)].producer),
                           groups->of(static_cast<int>(i)));
      }
    }
  }
  // Siblings: all maps that read a value share one read of it.
  for (size_t value = 0; value < graph.values.size(); ++value) {
    const auto& list = readers[value];
    for (size_t a = 0; a < list.size(); ++a) {
      for (size_t b = a + 1; b < list.size(); ++b) {
        if (graph.ops[static_cast<size_t>(list[a])].kind != OpKind::kMap ||
            graph.ops[static_cast<size_t>(list[b])].kind != OpKind::kMap)
          continue;
        if (graph.desc(static_cast<int>(value)).shape != graph.ops[static_cast<size_t>(list[a])].as<MapBody>().domain)
          continue;
        groups->try_join(groups->of(list[a]), groups->of(list[b]));
      }
    }
  }
}

// The groups in topological order; among groups whose sources are done, by the position of their last member.
std::vector<int> ordered_groups(const Graph& graph, const Groups& groups) {
  std::map<int, int> waiting;
  std::map<int, std::vector<int>> readers;
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const int group = static_cast<int>(i);
    if (groups.members(group).empty()) continue;
    const std::set<int> sources = groups.sources(group);
    waiting[group] = static_cast<int>(sources.size());
    for (int source : sources) readers[source].push_back(group);
  }
  using Entry = std::pair<int, int>;  // last member, group
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> ready;
  for (const auto& [group, count] : waiting) {
    if (count == 0) ready.push({groups.members(group).back(), group});
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int group = ready.top().second;
    ready.pop();
    order.push_back(group);
    for (int reader : readers[group]) {
      if (--waiting[reader] == 0) ready.push({groups.members(reader).back(), reader});
    }
  }
  TRAINER_ASSERT(order.size() == waiting.size());
  return order;
}

}  // namespace

Module fuse_maps(const Module& module) {
  const Graph& graph = *module.graph;
  Groups groups(graph);
  join_groups(graph, &groups);

  const std::vector<bool> lasting = lasting_values(module);
  const auto readers = readers_of(graph);

  Rewriter rewriter(graph);
  for (int group : ordered_groups(graph, groups)) {
    const Op& first = graph.ops[static_cast<size_t>(groups.members(group).front())];
    if (first.kind != OpKind::kMap) {
      rewriter.copy(first);
      continue;
    }
    std::set<int> kept;
    for (int member : groups.members(group)) {
      for (int output : graph.ops[static_cast<size_t>(member)].outputs) {
        bool outside = lasting[static_cast<size_t>(output)];
        for (int reader : readers[static_cast<size_t>(output)]) outside = outside || groups.of(reader) != group;
        if (outside) kept.insert(output);
      }
    }
    if (kept.empty()) continue;
    std::vector<int> values;
    Op fused = BodyBuilder(graph, groups, group).build(kept, &values);
    for (int& input : fused.inputs) input = rewriter.mapped(input);
    rewriter.append_for(values, std::move(fused));
  }
  return rewriter.finish(module);
}

Module fuse_epilogues(const Module& module) {
  const Graph& graph = *module.graph;
  const auto readers = readers_of(graph);
  const std::vector<bool> lasting = lasting_values(module);
  const auto only_maps_read = [&](int value) {
    const auto& list = readers[static_cast<size_t>(value)];
    return !lasting[static_cast<size_t>(value)] && std::all_of(list.begin(), list.end(), [&](int reader) {
      const Op& op = graph.ops[static_cast<size_t>(reader)];
      return op.kind == OpKind::kMap && op.as<MapBody>().domain == graph.desc(value).shape;
    });
  };

  Rewriter rewriter(graph);
  std::map<int, int> producer_in_new;  // value of the new graph -> op of the new graph that can take an epilogue
  for (const Op& op : graph.ops) {
    if (op.kind == OpKind::kMap && op.inputs.size() == 1 && readers[static_cast<size_t>(op.inputs[0])].size() == 1 &&
        !lasting[static_cast<size_t>(op.inputs[0])] && !only_maps_read(op.outputs[0])) {
      const MapBody& body = op.as<MapBody>();
      const auto found = producer_in_new.find(rewriter.mapped(op.inputs[0]));
      if (found != producer_in_new.end() && body.nodes.size() == 2 && body.nodes[1].fn == Fn::kRelu &&
          body.outputs.size() == 1 && body.outputs[0].reduction == Reduction::kNone && body.outputs[0].node == 1) {
        Op& target = rewriter.to().ops[static_cast<size_t>(found->second)];
        const Epilogue epilogue{true, body.nodes[1].k};
        if (target.kind == OpKind::kConvolution) {
          target.as<ConvolutionAttributes>().epilogue = epilogue;
        } else {
          target.as<MatmulAttributes>().epilogue = epilogue;
        }
        add_absorbed_shares(op, &target);
        const int value = rewriter.mapped(op.inputs[0]);
        rewriter.set(op.outputs[0], value);
        rewriter.to().values[static_cast<size_t>(value)].name = graph.values[static_cast<size_t>(op.outputs[0])].name;
        producer_in_new.erase(found);
        continue;
      }
    }
    rewriter.copy(op);
    if (op.kind == OpKind::kConvolution || op.kind == OpKind::kMatmul)
      producer_in_new[rewriter.mapped(op.outputs[0])] = static_cast<int>(rewriter.to().ops.size()) - 1;
  }
  return rewriter.finish(module);
}

}  // namespace trainer
