// Lays out the memory of a program and runs it on a tile.
#include "device/cpu/map_bound_program.h"

#include <algorithm>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/map_load.h"

namespace trainer::cpu {
namespace {

// Padding after a buffer for primitives that write past a tile. It also maps buffers to different cache sets.
constexpr int64_t kBufferFloats = kTileFloats + 16;

}  // namespace

BoundProgram::BoundProgram(TileProgram program, const MapBody& body, const MapStreams& streams,
                           const MapIteration& iteration, const MapTable& table)
    : program_(std::move(program)),
      body_(body),
      streams_(streams),
      table_(table),
      whole_tile_(iteration.whole_tile()) {}

int64_t BoundProgram::constants() const {
  return std::count_if(program_.slots.begin(), program_.slots.end(),
                       [](const TileSlot& slot) { return slot.kind == SlotKind::kConstant; });
}

int64_t BoundProgram::bytes() const {
  return aligned(program_.buffers * kBufferFloats * 4) + aligned((program_.scalars + constants()) * 4);
}

void BoundProgram::bind(std::span<void* const> operands, std::span<void* const> outputs,
                        const std::vector<int64_t>& operand_bytes, const std::vector<int64_t>& output_bytes,
                        bool prefetches) {
  operands_.assign(operands.begin(), operands.end());
  outputs_.assign(outputs.begin(), outputs.end());
  prefetches_ = prefetches;
  choose_deferred(operand_bytes, output_bytes);
  cursors_.clear();
  for (size_t slot = 0; slot < program_.slots.size(); ++slot) {
    if (program_.slots[slot].kind == SlotKind::kOperand)
      cursors_.push_back({static_cast<int>(slot), program_.slots[slot].index});
  }
  for (size_t i = 0; i < program_.stored.size(); ++i) {
    if (!deferred_[i])
      cursors_.push_back({program_.stored[i].slot, streams_.of_output(static_cast<size_t>(program_.stored[i].output))});
  }
  ahead_.clear();
  for (const Cursor& cursor : cursors_) {
    const Stream& walked = stream(cursor.stream);
    if (!prefetches || walked.strides_of_loops.empty() || !walked.contiguous()) continue;
    const bool in_place = program_.slots[static_cast<size_t>(cursor.slot)].kind == SlotKind::kStored &&
                          std::find(operands_.begin(), operands_.end(), base_of(cursor.slot)) != operands_.end();
    if (!in_place && walked.strides_of_loops.back() != 0)
      ahead_.push_back({cursor.slot, walked.strides_of_loops.back()});
  }
}

// Outputs that have another order, are rounded when they are stored, or share memory with an operand that is read
// later.
void BoundProgram::choose_deferred(const std::vector<int64_t>& operand_bytes,
                                   const std::vector<int64_t>& output_bytes) {
  deferred_.assign(program_.stored.size(), false);
  for (size_t i = 0; i < program_.stored.size(); ++i) {
    const size_t output = static_cast<size_t>(program_.stored[i].output);
    const Stream& walked = stream(streams_.of_output(output));
    deferred_[i] = (!walked.whole.empty() && !walked.contiguous()) || streams_.output_dtypes[output] != DType::kF32;
    const auto* begin = static_cast<const std::byte*>(outputs_[output]);
    for (size_t operand = 0; operand < operands_.size(); ++operand) {
      const auto* from = static_cast<const std::byte*>(operands_[operand]);
      if (from >= begin + output_bytes[output] || begin >= from + operand_bytes[operand]) continue;
      if (program_.last_read[operand] > static_cast<int64_t>(program_.stored[i].position)) deferred_[i] = true;
    }
  }
  any_deferred_ = std::find(deferred_.begin(), deferred_.end(), true) != deferred_.end();
}

void BoundProgram::place(std::byte* memory, const std::vector<AccumulatorMemory>& accumulators, Slots* slots) const {
  float* buffers = reinterpret_cast<float*>(memory);
  float* scalars = reinterpret_cast<float*>(memory + aligned(program_.buffers * kBufferFloats * 4));
  float* constant = scalars + program_.scalars;
  slots->assign(program_.slots.size(), nullptr);
  for (size_t i = 0; i < program_.slots.size(); ++i) {
    const TileSlot& slot = program_.slots[i];
    float*& address = (*slots)[i];
    switch (slot.kind) {
      case SlotKind::kBuffer: address = buffers + std::max(slot.index, 0) * kBufferFloats; break;
      case SlotKind::kScalar: address = scalars + slot.index; break;
      case SlotKind::kConstant: address = constant++; break;
      case SlotKind::kAccumulator: address = accumulators[static_cast<size_t>(slot.index)].tile; break;
      case SlotKind::kOperand:
      case SlotKind::kStored: break;
    }
  }
  for (size_t i = 0; i < program_.stored.size(); ++i) {
    const StoredOutput& stored = program_.stored[i];
    if (deferred_[i]) (*slots)[static_cast<size_t>(stored.slot)] = (*slots)[static_cast<size_t>(stored.buffer)];
  }
}

float* BoundProgram::base_of(int slot) const {
  const TileSlot& s = program_.slots[static_cast<size_t>(slot)];
  const auto& memory = s.kind == SlotKind::kStored ? outputs_ : operands_;
  return static_cast<float*>(memory[static_cast<size_t>(s.index)]);
}

void BoundProgram::start(const int64_t* offsets, Slots* slots) const {
  for (const Cursor& cursor : cursors_)
    (*slots)[static_cast<size_t>(cursor.slot)] = base_of(cursor.slot) + offsets[cursor.stream];
  for (size_t i = 0; i < program_.slots.size(); ++i) {
    if (program_.slots[i].kind == SlotKind::kConstant) *(*slots)[i] = program_.slots[i].constant;
  }
}

void BoundProgram::move(const int64_t* step, Slots* slots) const {
  for (const Cursor& cursor : cursors_) (*slots)[static_cast<size_t>(cursor.slot)] += step[cursor.stream];
}

void BoundProgram::run_levels(size_t first, size_t end, const Tile& tile, const Slots& slots) const {
  float* const* at = slots.data();
  for (size_t level = first; level < end; ++level) {
    for (const TileLoad& load : program_.loads[level]) run_load(load, tile, slots);
    size_t next = level + 1 == program_.instructions.size() ? 0 : ahead_.size();
    for (const TileInstruction& i : program_.instructions[level]) {
      if (next < ahead_.size()) prefetch(at[ahead_[next].slot] + ahead_[next].distance), ++next;
      i.run(at[i.out], at[i.a], at[i.b], at[i.c], i.k, tile.lengths[static_cast<int>(i.length)]);
    }
    for (; next < ahead_.size(); ++next) prefetch(at[ahead_[next].slot] + ahead_[next].distance);
  }
}

// The hardware prefetcher restarts on each page, and a tile reads a page of each operand in turn.
void BoundProgram::prefetch(const float* tile) const {
  for (int64_t i = 0; i < whole_tile_; i += 16) __builtin_prefetch(tile + i, 0, 2);
}

void BoundProgram::prefetch_next(const Stream& walked, const Bf16* tile) const {
  if (!prefetches_ || walked.strides_of_loops.empty()) return;
  tile += 2 * walked.strides_of_loops.back();
  for (int64_t i = 0; i < whole_tile_; i += 32) __builtin_prefetch(tile + i, 0, 2);
}

void BoundProgram::run_load(const TileLoad& load, const Tile& tile, const Slots& slots) const {
  static const TilePattern kOneElement;
  const Stream& walked = stream(load.stream);
  if (load.converts && walked.contiguous()) {
    const Bf16* from =
        static_cast<const Bf16*>(operands_[static_cast<size_t>(load.leaf.a)]) + tile.offsets[load.stream];
    prefetch_next(walked, from);
    table_.convert_bf16(slots[static_cast<size_t>(load.out)], from, tile.lengths[static_cast<int>(load.length)]);
    return;
  }
  const bool is_operand = load.leaf.fn == Fn::kInput;
  const size_t a = static_cast<size_t>(load.leaf.a);
  const LeafSource source{body_, table_, tile.pass, is_operand ? operands_[a] : nullptr,
                          is_operand ? streams_.operand_dtypes[a] : DType::kF32};
  const bool shorter = load.length == TileLength::kTile && tile.last;
  const TilePattern& pattern = load.length == TileLength::kOne ? kOneElement : shorter ? walked.last : walked.whole;
  load_leaf(source, load.leaf, pattern, tile.offsets[load.stream], slots[static_cast<size_t>(load.out)]);
}

void BoundProgram::store_deferred(const Tile& tile, const Slots& slots) const {
  if (!any_deferred_) return;
  for (size_t i = 0; i < deferred_.size(); ++i) {
    if (!deferred_[i]) continue;
    const StoredOutput& stored = program_.stored[i];
    const int index = streams_.of_output(static_cast<size_t>(stored.output));
    const DType dtype = streams_.output_dtypes[static_cast<size_t>(stored.output)];
    void* to = outputs_[static_cast<size_t>(stored.output)];
    if (dtype == DType::kBF16 && stream(index).contiguous()) {
      Bf16* at = static_cast<Bf16*>(to) + tile.offsets[index];
      prefetch_next(stream(index), at);
      table_.round_bf16(at, slots[static_cast<size_t>(stored.buffer)],
                        tile.lengths[static_cast<int>(TileLength::kTile)]);
      continue;
    }
    scatter_tile(table_, slots[static_cast<size_t>(stored.buffer)],
                 tile.last ? stream(index).last : stream(index).whole, tile.offsets[index], dtype, to);
  }
}

}  // namespace trainer::cpu
