// Compiles a body: levels, fused primitives, slots, and buffers by linear scan.
#include "device/cpu/map_program.h"

#include <algorithm>

#include "base/error.h"
#include "device/cpu/map_fusion.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kReadByReduction = INT64_MAX;
constexpr int kUnread = 0;  // the slot of unused operands

struct NodeInfo {
  int uses = 0;
  bool scalar = false;
  uint32_t loops = 0;  // that the node depends on
  int slot = -1;
};

int highest_bit(uint32_t mask) { return mask == 0 ? -1 : 31 - __builtin_clz(mask); }

class Compiler {
 public:
  Compiler(const MapBody& body, const MapStreams& streams, const MapIteration& iteration, const MapTable& table,
           Segments segments, TileProgram* program)
      : body_(body),
        nodes_(plain_nodes(body.nodes)),
        streams_(streams),
        iteration_(iteration),
        table_(table),
        segments_(segments),
        program_(*program),
        info_(nodes_.size()),
        operand_slot_(streams.operand_dtypes.size(), -1) {
    program_.loads.resize(last_level() + 1);
    program_.instructions.resize(last_level() + 1);
    program_.last_read.assign(streams.operand_dtypes.size(), -1);
  }

  void compile() {
    add_slot(SlotKind::kConstant);  // kUnread
    analyse();
    find_products();
    for (size_t i = 0; i < nodes_.size(); ++i)
      joined_.push_back(info_[i].uses == 0 || only_summed(static_cast<int>(i)));
    fused_ = fuse_nodes(nodes_, joinable(), &joined_);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!joined_[i]) emit_node(static_cast<int>(i));
      emit_outputs(static_cast<int>(i));
    }
    note_reads();
    assign_buffers();
  }

 private:
  size_t last_level() const { return iteration_.loops().size(); }
  size_t level_of(int node) const { return static_cast<size_t>(highest_bit(info(node).loops) + 1); }
  NodeInfo& info(int node) { return info_[static_cast<size_t>(node)]; }
  const NodeInfo& info(int node) const { return info_[static_cast<size_t>(node)]; }
  const Stream& stream_of(int node) const {
    return streams_.all[static_cast<size_t>(streams_.of_node[static_cast<size_t>(node)])];
  }
  std::vector<int> arguments(const MapNode& node) const {
    const int all[] = {node.a, node.b, node.c};
    return std::vector<int>(all, all + arity_of(node.fn));
  }

  void analyse() {
    for (const MapOutput& output : body_.outputs) ++info(output.node).uses;
    for (size_t i = nodes_.size(); i-- > 0;) {
      if (info_[i].uses == 0) continue;
      for (int argument : arguments(nodes_[i])) ++info(argument).uses;
    }
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (info_[i].uses == 0) continue;
      info_[i].scalar = true;
      if (arity_of(nodes_[i].fn) == 0) {
        if (nodes_[i].fn == Fn::kConstant) continue;
        info_[i].scalar =
            stream_of(static_cast<int>(i)).constant() || (nodes_[i].fn == Fn::kSegment && segments_ == Segments::kOne);
        info_[i].loops = stream_of(static_cast<int>(i)).loops;
      }
      for (int argument : arguments(nodes_[i])) {
        info_[i].scalar = info_[i].scalar && info(argument).scalar;
        info_[i].loops |= info(argument).loops;
      }
    }
  }

  // Nodes that are read once, by a node of the same level.
  std::vector<bool> joinable() const {
    std::vector<bool> result(nodes_.size(), false);
    for (size_t reader = 0; reader < nodes_.size(); ++reader) {
      if (info_[reader].uses == 0) continue;
      for (int argument : arguments(nodes_[reader])) {
        const NodeInfo& read = info(argument);
        result[static_cast<size_t>(argument)] =
            read.uses == 1 && !read.scalar && level_of(argument) == level_of(static_cast<int>(reader));
      }
    }
    return result;
  }

  const Stream& output_stream(size_t output) const {
    return streams_.all[static_cast<size_t>(streams_.of_output(output))];
  }
  // Whether neighboring tiles add to the same accumulators, and there is more than one.
  bool accumulates(size_t output) const {
    const size_t loops = iteration_.loops().size();
    const Stream& stream = output_stream(output);
    return loops > 0 && (stream.loops >> (loops - 1)) == 0 && !stream.constant();
  }

  // A product that only a sum reads becomes part of the sum.
  void find_products() {
    product_.assign(body_.outputs.size(), false);
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      const MapOutput& output = body_.outputs[i];
      const size_t node = static_cast<size_t>(output.node);
      if (output.reduction != Reduction::kSum || nodes_[node].fn != Fn::kMultiply || info_[node].uses != 1 ||
          info_[node].scalar || level_of(output.node) != last_level())
        continue;
      const bool vectors = !info(nodes_[node].a).scalar && !info(nodes_[node].b).scalar;
      product_[i] = accumulates(i) || (vectors && output_stream(i).constant());
      if (product_[i]) joined_product_.push_back(output.node);
    }
  }
  bool only_summed(int node) const {
    return std::find(joined_product_.begin(), joined_product_.end(), node) != joined_product_.end();
  }

  int add_slot(SlotKind kind, int index = 0, float constant = 0) {
    program_.slots.push_back({kind, index, constant});
    return static_cast<int>(program_.slots.size()) - 1;
  }
  TileLength length_of(int node) const {
    if (info(node).scalar) return TileLength::kOne;
    const int tiled = iteration_.tiled_loop();
    return tiled < 0 || ((info(node).loops >> tiled) & 1) ? TileLength::kTile : TileLength::kWhole;
  }
  int new_slot(int node) {
    return info(node).scalar ? add_slot(SlotKind::kScalar, program_.scalars++) : add_slot(SlotKind::kBuffer, -1);
  }

  void emit_node(int node) {
    const MapNode& n = nodes_[static_cast<size_t>(node)];
    if (n.fn == Fn::kConstant) {
      info(node).slot = add_slot(SlotKind::kConstant, 0, n.k);
    } else if (arity_of(n.fn) == 0) {
      emit_leaf(node);
    } else {
      info(node).slot = new_slot(node);
      const FusedNode& f = fused_[static_cast<size_t>(node)];
      emit(level_of(node), f, info(node).slot, length_of(node));
    }
  }

  void emit_leaf(int node) {
    const MapNode& leaf = nodes_[static_cast<size_t>(node)];
    const bool converts = leaf.fn == Fn::kInput &&
                          streams_.operand_dtypes[static_cast<size_t>(leaf.a)] == DType::kBF16 && !info(node).scalar;
    if (leaf.fn == Fn::kInput) {
      int& slot = operand_slot_[static_cast<size_t>(leaf.a)];
      const Stream& stream = stream_of(node);
      const bool in_place = streams_.operand_dtypes[static_cast<size_t>(leaf.a)] == DType::kF32 &&
                            (stream.contiguous() || stream.constant());
      const bool known = slot >= 0;
      if (!known) slot = in_place ? add_slot(SlotKind::kOperand, leaf.a) : new_slot(node);
      info(node).slot = slot;
      if (known || in_place) return;
    } else {
      info(node).slot = new_slot(node);
    }
    program_.loads[level_of(node)].push_back(
        {leaf, streams_.of_node[static_cast<size_t>(node)], info(node).slot, length_of(node), converts});
  }

  void emit(size_t level, const FusedNode& f, int out, TileLength length) {
    int mode = 0, slots[3] = {kUnread, kUnread, kUnread};
    const int arguments[3] = {f.a, f.b, f.c};
    for (int i = 0; i < 3; ++i) {
      if (arguments[i] < 0) continue;
      slots[i] = info(arguments[i]).slot;
      if (info(arguments[i]).scalar && length != TileLength::kOne) mode |= 1 << i;
    }
    emit_slots(level, f.op, mode, out, slots, f.k, length);
  }

  void emit_slots(size_t level, TileOp op, int mode, int out, const int (&slots)[3], float k, TileLength length) {
    const TilePrimitive primitive = table_.primitives[static_cast<int>(op)][mode];
    TRAINER_ASSERT(primitive != nullptr);
    program_.instructions[level].push_back({primitive, out, slots[0], slots[1], slots[2], k, length});
  }

  void emit_outputs(int node) {
    for (const bool reduced : {false, true}) {
      for (size_t i = 0; i < body_.outputs.size(); ++i) {
        if (body_.outputs[i].node != node || (body_.outputs[i].reduction != Reduction::kNone) != reduced) continue;
        if (reduced) {
          emit_reduction(i, node);
        } else {
          emit_store(static_cast<int>(i), node);
        }
      }
    }
  }

  // If possible, the instruction of the node writes the output.
  void emit_store(int output, int node) {
    auto& last = program_.instructions[last_level()];
    const int buffer = add_slot(SlotKind::kBuffer, -1);
    dedicated_.push_back(buffer);
    const bool direct = !last.empty() && last.back().out == info(node).slot &&
                        last.back().length == TileLength::kTile &&
                        program_.slots[static_cast<size_t>(info(node).slot)].kind == SlotKind::kBuffer;
    if (direct) {
      program_.slots[static_cast<size_t>(info(node).slot)] = {SlotKind::kStored, output, 0};
      program_.stored.push_back({output, info(node).slot, buffer, last.size() - 1});
      return;
    }
    const int slot = add_slot(SlotKind::kStored, output);
    const int slots[3] = {info(node).slot, kUnread, kUnread};
    emit_slots(last_level(), TileOp::kCopy, info(node).scalar ? kScalarA : 0, slot, slots, 0, TileLength::kTile);
    program_.stored.push_back({output, slot, buffer, last.size() - 1});
  }

  void emit_reduction(size_t output, int node) {
    TileReduction reduction{static_cast<int>(output), body_.outputs[output].reduction};
    const int index = static_cast<int>(program_.reductions.size());
    const MapNode& n = nodes_[static_cast<size_t>(node)];
    const bool sum = reduction.kind == Reduction::kSum;
    if (accumulates(output)) {
      reduction.accumulator = add_slot(SlotKind::kAccumulator, index);
      if (product_[output]) {
        const int slots[3] = {info(n.a).slot, info(n.b).slot, reduction.accumulator};
        const int mode = (info(n.a).scalar ? kScalarA : 0) | (info(n.b).scalar ? kScalarB : 0);
        emit_slots(last_level(), TileOp::kMultiplyAdd, mode, reduction.accumulator, slots, 0, TileLength::kTile);
      } else {
        const int slots[3] = {reduction.accumulator, info(node).slot, kUnread};
        emit_slots(last_level(), sum ? TileOp::kAdd : TileOp::kMaximum, info(node).scalar ? kScalarB : 0,
                   reduction.accumulator, slots, 0, TileLength::kTile);
      }
    } else if (product_[output]) {
      reduction.a = info(n.a).slot;
      reduction.b = info(n.b).slot;
    } else {
      reduction.a = info(node).scalar ? filled(node) : info(node).slot;
    }
    program_.reductions.push_back(reduction);
  }

  // A tile filled with a scalar node.
  int filled(int node) {
    const int slot = add_slot(SlotKind::kBuffer, -1);
    const int slots[3] = {info(node).slot, kUnread, kUnread};
    emit_slots(last_level(), TileOp::kCopy, kScalarA, slot, slots, 0, TileLength::kTile);
    return slot;
  }

  template <typename Visit>
  static void each_read(const TileInstruction& instruction, const Visit& visit) {
    visit(instruction.a);
    visit(instruction.b);
    visit(instruction.c);
  }

  void note_reads() {
    auto note = [&](int slot, int64_t position) {
      if (slot < 0 || program_.slots[static_cast<size_t>(slot)].kind != SlotKind::kOperand) return;
      int64_t& last = program_.last_read[static_cast<size_t>(program_.slots[static_cast<size_t>(slot)].index)];
      last = std::max(last, position);
    };
    const auto& last = program_.instructions[last_level()];
    for (size_t i = 0; i < last.size(); ++i) each_read(last[i], [&](int slot) { note(slot, static_cast<int64_t>(i)); });
    for (const TileReduction& reduction : program_.reductions) {
      note(reduction.a, kReadByReduction);
      note(reduction.b, kReadByReduction);
    }
  }

  // Buffers of outer levels and of stored outputs are not reused. In the last level, buffers are reused: a result
  // overwrites an operand that is read for the last time, if possible.
  void assign_buffers() {
    auto& slots = program_.slots;
    std::vector<int64_t> last_use(slots.size(), -1);
    const auto& last = program_.instructions[last_level()];
    for (size_t i = 0; i < last.size(); ++i)
      each_read(last[i], [&](int slot) { last_use[static_cast<size_t>(slot)] = static_cast<int64_t>(i); });
    for (const TileReduction& reduction : program_.reductions) {
      if (reduction.a >= 0) last_use[static_cast<size_t>(reduction.a)] = kReadByReduction;
      if (reduction.b >= 0) last_use[static_cast<size_t>(reduction.b)] = kReadByReduction;
    }
    auto keep = [&](int slot) {
      TileSlot& s = slots[static_cast<size_t>(slot)];
      if (s.kind == SlotKind::kBuffer && s.index < 0) s.index = program_.buffers++;
    };
    for (int slot : dedicated_) keep(slot);
    for (size_t level = 0; level < last_level(); ++level) {
      for (const TileLoad& load : program_.loads[level]) keep(load.out);
      for (const TileInstruction& instruction : program_.instructions[level]) keep(instruction.out);
    }
    const int kept = program_.buffers;
    std::vector<int> free;
    auto take = [&](int slot) {
      TileSlot& s = slots[static_cast<size_t>(slot)];
      if (s.kind != SlotKind::kBuffer || s.index >= 0) return;
      if (free.empty()) free.push_back(program_.buffers++);
      s.index = free.back();
      free.pop_back();
    };
    for (const TileLoad& load : program_.loads[last_level()]) take(load.out);
    for (size_t i = 0; i < last.size(); ++i) {
      each_read(last[i], [&](int slot) {
        const TileSlot& s = slots[static_cast<size_t>(slot)];
        if (s.kind != SlotKind::kBuffer || s.index < kept ||
            last_use[static_cast<size_t>(slot)] != static_cast<int64_t>(i))
          return;
        free.push_back(s.index);
        last_use[static_cast<size_t>(slot)] = -1;  // only once if the instruction reads it twice
      });
      take(last[i].out);
    }
  }

  const MapBody& body_;
  const std::vector<MapNode> nodes_;
  const MapStreams& streams_;
  const MapIteration& iteration_;
  const MapTable& table_;
  const Segments segments_;
  TileProgram& program_;
  std::vector<NodeInfo> info_;
  std::vector<int> operand_slot_;
  std::vector<FusedNode> fused_;
  std::vector<bool> joined_, product_;
  std::vector<int> joined_product_;
  std::vector<int> dedicated_;
};

}  // namespace

TileProgram::TileProgram(const MapBody& body, const MapStreams& streams, const MapIteration& iteration,
                         const MapTable& table, Segments segments) {
  Compiler(body, streams, iteration, table, segments, this).compile();
}

}  // namespace trainer::cpu
