// Runs a tile program over a domain.
#include "device/cpu/map_tiles.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "device/cpu/bound_kernel.h"
#include "device/cpu/isa.h"
#include "device/cpu/map_accumulators.h"
#include "device/cpu/map_load.h"
#include "device/cpu/map_partition.h"
#include "device/cpu/map_program.h"

namespace trainer::cpu {
namespace {

// Room behind a buffer for primitives that write past a tile; also keeps buffers apart in the cache's sets.
constexpr int64_t kBufferFloats = kTileFloats + 16;
// A team of threads costs some microseconds: less work stays on the caller. In units of about 0.05 ns.
constexpr int64_t kSerialWork = 300000;

// What surely stays in a core's own cache from one op to the next needs no prefetching.
constexpr int64_t kCachedBytes = int64_t{1} << 19;

int64_t cost_of(Fn fn) {
  switch (fn) {
    case Fn::kConstant: return 0;
    case Fn::kInput: return 4;
    case Fn::kDivide:
    case Fn::kSqrt: return 4;
    case Fn::kUniform: return 8;
    case Fn::kExp:
    case Fn::kLog:
    case Fn::kSigmoid: return 10;
    case Fn::kTanh:
    case Fn::kSoftplus: return 20;
    case Fn::kPowerConstant:
    case Fn::kPower:
    case Fn::kNormal: return 40;
    default: return 1;
  }
}

int worthwhile_threads(const MapBody& body, int threads) {
  int64_t cost = 0;
  for (const MapNode& node : body.nodes) cost += cost_of(node.fn);
  for (const MapOutput& output : body.outputs) cost += output.reduction == Reduction::kNone ? 4 : 2;
  return body.domain.count() * cost < kSerialWork ? 1 : threads;
}

class MapTiles : public BoundKernel {
 public:
  MapTiles(const OpInstance& instance, const MapTable& table, int threads)
      : BoundKernel(instance), body_(instance.op->as<MapBody>()), table_(table), streams_(instance),
        iteration_(body_.domain, streams_.order(), streams_.pointers()),
        partition_(&iteration_, reduced_streams(), threads),
        program_(body_, streams_, iteration_, table) {
    for (const TensorDesc& desc : instance.inputs) operand_bytes_.push_back(desc.bytes());
    for (const TensorDesc& desc : instance.outputs) output_bytes_.push_back(desc.bytes());
    int reduced = 0;
    std::vector<bool> owned(body_.outputs.size());
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      if (body_.outputs[i].reduction != Reduction::kNone) owned[i] = partition_.owned[static_cast<size_t>(reduced++)];
    }
    for (const TileReduction& reduction : program_.reductions) {
      const size_t output = static_cast<size_t>(reduction.output);
      accumulators_.emplace_back(reduction, stream_of_output(output), body_.output_shape(output).count(), owned[output],
                                 iteration_, table);
    }
    for (size_t loop = 0; loop < iteration_.loops().size(); ++loop) {
      for (const Stream& stream : streams_.all) steps_.push_back(stream.steps[loop]);
    }
    for (size_t slot = 0; slot < program_.slots.size(); ++slot) {
      const TileSlot& s = program_.slots[slot];
      if (s.kind == SlotKind::kOperand) cursors_.push_back({static_cast<int>(slot), s.index});
    }
    for (int part = 0; part < partition_.parts; ++part) parts_.push_back(make_part(part));
  }

  int64_t workspace_bytes() const override { return part_bytes() * partition_.parts; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    BoundKernel::bind(inputs, outputs, workspace);
    choose_deferred();
    choose_prefetches();
    for (size_t i = 0; i < parts_.size(); ++i)
      place(&parts_[i], static_cast<std::byte*>(workspace) + part_bytes() * static_cast<int64_t>(i));
  }

  void run(const RunContext& context) override {
    if (partition_.parts == 1) {
      run_part(&parts_[0], context.pass);
    } else {
      const int parts = partition_.parts;
#pragma omp parallel num_threads(parts)
      {
        for (int part = omp_get_thread_num(); part < parts; part += omp_get_num_threads())
          run_part(&parts_[static_cast<size_t>(part)], context.pass);
      }
    }
    add_up_parts();
  }

 private:
  // A slot that moves through an operand's or output's memory.
  struct Cursor {
    int slot, stream;
  };
  // A slot whose next tile is fetched ahead, and how far on that lies.
  struct Ahead {
    int slot;
    int64_t distance;
  };
  struct Part {
    int64_t tiles = 0;
    std::vector<int64_t> first_counters, first_offsets;
    std::vector<int64_t> counters, offsets;
    std::vector<float*> slots;
    std::vector<AccumulatorMemory> accumulators;
  };

  const Stream& stream_of_output(size_t output) const {
    return streams_.all[static_cast<size_t>(streams_.of_output(output))];
  }

  std::vector<ReducedStream> reduced_streams() const {
    std::vector<ReducedStream> reduced;
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      if (body_.outputs[i].reduction == Reduction::kNone) continue;
      reduced.push_back({&stream_of_output(i), body_.output_shape(i).count()});
    }
    return reduced;
  }

  Part make_part(int index) const {
    Part part;
    const auto& loops = iteration_.loops();
    int64_t step = partition_.first_step(index);
    part.tiles = (partition_.first_step(index + 1) - step) * partition_.tiles_per_step;
    part.first_counters.assign(loops.size(), 0);
    for (int i = partition_.loops; i-- > 0;) {
      part.first_counters[static_cast<size_t>(i)] = step % loops[static_cast<size_t>(i)].trips;
      step /= loops[static_cast<size_t>(i)].trips;
    }
    for (const Stream& stream : streams_.all) {
      int64_t offset = 0;
      for (size_t i = 0; i < loops.size(); ++i) offset += part.first_counters[i] * stream.strides_of_loops[i];
      part.first_offsets.push_back(offset);
    }
    part.counters.resize(loops.size());
    part.offsets.resize(streams_.all.size());
    part.slots.resize(program_.slots.size());
    part.accumulators.resize(accumulators_.size());
    return part;
  }

  int64_t part_bytes() const {
    int64_t bytes = aligned(program_.buffers * kBufferFloats * 4) + aligned((program_.scalars + constants()) * 4);
    for (const Accumulator& accumulator : accumulators_) {
      if (accumulator.gathers()) bytes += aligned(kBufferFloats * 4);
      bytes += aligned(accumulator.window() * 8);
      if (!accumulator.owned()) bytes += aligned(accumulator.count() * 8);
    }
    return bytes;
  }
  int64_t constants() const {
    return std::count_if(program_.slots.begin(), program_.slots.end(),
                         [](const TileSlot& slot) { return slot.kind == SlotKind::kConstant; });
  }

  // Lays a part's memory out from `at`, as part_bytes counts it.
  void place(Part* part, std::byte* at) const {
    auto take = [&](int64_t bytes) {
      std::byte* begin = at;
      at += aligned(bytes);
      return begin;
    };
    float* buffers = reinterpret_cast<float*>(take(program_.buffers * kBufferFloats * 4));
    float* scalars = reinterpret_cast<float*>(take((program_.scalars + constants()) * 4));
    float* constant = scalars + program_.scalars;
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      const Accumulator& accumulator = accumulators_[i];
      AccumulatorMemory& memory = part->accumulators[i];
      if (accumulator.gathers()) memory.tile = reinterpret_cast<float*>(take(kBufferFloats * 4));
      memory.window = reinterpret_cast<double*>(take(accumulator.window() * 8));
      if (!accumulator.owned()) memory.total = reinterpret_cast<double*>(take(accumulator.count() * 8));
    }
    for (size_t i = 0; i < program_.slots.size(); ++i) {
      const TileSlot& slot = program_.slots[i];
      switch (slot.kind) {
        case SlotKind::kBuffer: part->slots[i] = buffers + std::max(slot.index, 0) * kBufferFloats; break;
        case SlotKind::kScalar: part->slots[i] = scalars + slot.index; break;
        case SlotKind::kConstant: part->slots[i] = constant++; break;
        case SlotKind::kAccumulator: part->slots[i] = part->accumulators[static_cast<size_t>(slot.index)].tile; break;
        case SlotKind::kOperand:
        case SlotKind::kStored: break;
      }
    }
    for (size_t i = 0; i < program_.stored.size(); ++i) {
      if (deferred_[i]) part->slots[static_cast<size_t>(program_.stored[i].slot)] =
          part->slots[static_cast<size_t>(program_.stored[i].buffer)];
    }
  }

  // Outputs that lie in another order, or share memory with an operand that is read after they are written.
  void choose_deferred() {
    deferred_.assign(program_.stored.size(), false);
    any_deferred_ = false;
    for (size_t i = 0; i < program_.stored.size(); ++i) {
      const size_t o = static_cast<size_t>(program_.stored[i].output);
      const Stream& stream = stream_of_output(o);
      deferred_[i] = !stream.whole.empty() && !stream.contiguous();
      const std::byte* begin = output<std::byte>(o);
      for (size_t operand = 0; operand < operand_bytes_.size(); ++operand) {
        const std::byte* from = input<std::byte>(operand);
        if (from >= begin + output_bytes_[o] || begin >= from + operand_bytes_[operand]) continue;
        if (program_.last_read[operand] > static_cast<int64_t>(program_.stored[i].position)) deferred_[i] = true;
      }
      any_deferred_ = any_deferred_ || deferred_[i];
    }
    moving_ = cursors_;
    for (size_t i = 0; i < program_.stored.size(); ++i) {
      const size_t o = static_cast<size_t>(program_.stored[i].output);
      if (!deferred_[i]) moving_.push_back({program_.stored[i].slot, streams_.of_output(o)});
    }
  }

  float* base_of(int slot) const {
    const TileSlot& s = program_.slots[static_cast<size_t>(slot)];
    if (s.kind == SlotKind::kStored) return output(static_cast<size_t>(s.index));
    return const_cast<float*>(input(static_cast<size_t>(s.index)));
  }

  void start(Part* part) const {
    std::copy(part->first_counters.begin(), part->first_counters.end(), part->counters.begin());
    std::copy(part->first_offsets.begin(), part->first_offsets.end(), part->offsets.begin());
    for (const Cursor& cursor : moving_)
      part->slots[static_cast<size_t>(cursor.slot)] =
          base_of(cursor.slot) + part->offsets[static_cast<size_t>(cursor.stream)];
    for (size_t i = 0; i < program_.slots.size(); ++i) {
      if (program_.slots[i].kind == SlotKind::kConstant) *part->slots[i] = program_.slots[i].constant;
    }
    for (size_t i = 0; i < accumulators_.size(); ++i) accumulators_[i].start(&part->accumulators[i]);
  }

  void run_part(Part* part, uint64_t pass) const {
    start(part);
    const int loops = static_cast<int>(iteration_.loops().size());
    const int tiled = iteration_.tiled_loop();
    const int64_t last_step = tiled >= 0 ? iteration_.loops()[static_cast<size_t>(tiled)].trips - 1 : 0;
    const int64_t whole = iteration_.whole_tile();
    int64_t lengths[3] = {1, whole, whole};
    int moved = -1;  // the outermost loop that has moved; -1 at the start
    for (int64_t tile = 0;;) {
      const bool last = tiled < 0 || part->counters[static_cast<size_t>(tiled)] == last_step;
      lengths[static_cast<int>(TileLength::kTile)] = last ? iteration_.last_tile() : whole;
      run_tile(part, pass, moved + 1, lengths, last);
      const bool done = ++tile == part->tiles;
      moved = done ? -1 : advance(part->counters.data(), loops);
      for (size_t i = 0; i < accumulators_.size(); ++i) {
        const Accumulator& accumulator = accumulators_[i];
        if (!done && accumulator.last_kept_loop() < moved) continue;
        const size_t o = static_cast<size_t>(accumulator.output());
        accumulator.flush(&part->accumulators[i], output(o), part->offsets[static_cast<size_t>(streams_.of_output(o))], last);
      }
      if (done) return;
      move(part, moved);
    }
  }

  // The outermost loop whose counter has changed.
  int advance(int64_t* counters, int loops) const {
    int loop = loops - 1;
    while (++counters[loop] == iteration_.loops()[static_cast<size_t>(loop)].trips) counters[loop--] = 0;
    return loop;
  }

  void move(Part* part, int loop) const {
    const size_t count = streams_.all.size();
    const int64_t* step = steps_.data() + static_cast<size_t>(loop) * count;
    for (size_t i = 0; i < count; ++i) part->offsets[i] += step[i];
    for (const Cursor& cursor : moving_) part->slots[static_cast<size_t>(cursor.slot)] += step[cursor.stream];
  }

  void run_tile(Part* part, uint64_t pass, int first_level, const int64_t* lengths, bool last) const {
    float* const* slots = part->slots.data();
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      if (accumulators_[i].gathers()) accumulators_[i].open_tile(&part->accumulators[i]);
    }
    for (size_t level = static_cast<size_t>(first_level); level < program_.instructions.size(); ++level) {
      for (const TileLoad& load : program_.loads[level]) run_load(load, *part, pass, last);
      size_t next = level + 1 == program_.instructions.size() ? 0 : ahead_.size();
      for (const TileInstruction& i : program_.instructions[level]) {
        if (next < ahead_.size()) prefetch(slots[ahead_[next].slot] + ahead_[next].distance), ++next;
        i.run(slots[i.out], slots[i.a], slots[i.b], slots[i.c], i.k, lengths[static_cast<int>(i.length)]);
      }
      for (; next < ahead_.size(); ++next) prefetch(slots[ahead_[next].slot] + ahead_[next].distance);
    }
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      const TileReduction& reduction = program_.reductions[i];
      if (reduction.accumulator >= 0) {
        accumulators_[i].close_tile(&part->accumulators[i], last);
      } else {
        accumulators_[i].add_tile(&part->accumulators[i], slots[reduction.a],
                                  reduction.b >= 0 ? slots[reduction.b] : nullptr, last);
      }
    }
    if (any_deferred_) copy_deferred(*part, last);
  }

  // The processor's own prefetching starts anew on each page, and each tile is about a page of each operand.
  void prefetch(const float* tile) const {
    const int64_t n = iteration_.whole_tile();
    for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(tile + i, 0, 2);
  }

  void choose_prefetches() {
    ahead_.clear();
    int64_t bytes = 0;
    for (int64_t each : operand_bytes_) bytes += each;
    for (int64_t each : output_bytes_) bytes += each;
    if (iteration_.loops().empty() || bytes < kCachedBytes * partition_.parts) return;
    for (const Cursor& cursor : moving_) {
      const Stream& stream = streams_.all[static_cast<size_t>(cursor.stream)];
      const int64_t distance = stream.strides_of_loops.back();
      if (stream.contiguous() && distance != 0) ahead_.push_back({cursor.slot, distance});
    }
  }

  void run_load(const TileLoad& load, const Part& part, uint64_t pass, bool last) const {
    static const TilePattern kOneElement;
    const Stream& stream = streams_.all[static_cast<size_t>(load.stream)];
    const bool is_operand = load.leaf.fn == Fn::kInput;
    const size_t a = static_cast<size_t>(load.leaf.a);
    const LeafSource source{body_, table_, pass, is_operand ? input<void>(a) : nullptr,
                            is_operand ? streams_.operand_dtypes[a] : DType::kF32};
    const TilePattern& pattern = load.length == TileLength::kOne                ? kOneElement
                                 : load.length == TileLength::kTile && last ? stream.last
                                                                            : stream.whole;
    load_leaf(source, load.leaf, pattern, part.offsets[static_cast<size_t>(load.stream)],
              part.slots[static_cast<size_t>(load.out)]);
  }

  void copy_deferred(const Part& part, bool last) const {
    for (size_t i = 0; i < deferred_.size(); ++i) {
      if (!deferred_[i]) continue;
      const StoredOutput& stored = program_.stored[i];
      const size_t o = static_cast<size_t>(stored.output);
      const Stream& stream = stream_of_output(o);
      scatter_tile(part.slots[static_cast<size_t>(stored.buffer)], last ? stream.last : stream.whole,
                   part.offsets[static_cast<size_t>(streams_.of_output(o))], output(o));
    }
  }

  void add_up_parts() const {
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      const Accumulator& accumulator = accumulators_[i];
      if (accumulator.owned()) continue;
      float* to = output(static_cast<size_t>(accumulator.output()));
      for (int64_t k = 0; k < accumulator.count(); ++k) {
        double total = parts_[0].accumulators[i].total[k];
        for (size_t part = 1; part < parts_.size(); ++part)
          total = accumulator.join(total, parts_[part].accumulators[i].total[k]);
        to[k] = static_cast<float>(total);
      }
    }
  }

  const MapBody body_;
  const MapTable& table_;
  MapStreams streams_;
  MapIteration iteration_;
  MapPartition partition_;
  TileProgram program_;
  std::vector<Accumulator> accumulators_;
  std::vector<int64_t> operand_bytes_, output_bytes_;
  std::vector<int64_t> steps_;  // of every stream, by loop
  std::vector<Cursor> cursors_, moving_;
  std::vector<Ahead> ahead_;
  std::vector<Part> parts_;
  std::vector<bool> deferred_;  // by stored output
  bool any_deferred_ = false;
};

// Reductions of nothing.
class EmptyMap : public BoundKernel {
 public:
  explicit EmptyMap(const OpInstance& instance) : BoundKernel(instance), body_(instance.op->as<MapBody>()) {}

  void run(const RunContext&) override {
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      const bool is_max = body_.outputs[i].reduction == Reduction::kMax;
      std::fill_n(output(i), body_.output_shape(i).count(), is_max ? -std::numeric_limits<float>::infinity() : 0.0f);
    }
  }

 private:
  const MapBody body_;
};

}  // namespace

std::unique_ptr<Kernel> create_map_tiles(const OpInstance& instance, const MapTable& table, int threads) {
  if (instance.op->as<MapBody>().domain.count() == 0) return std::make_unique<EmptyMap>(instance);
  return std::make_unique<MapTiles>(instance, table, threads);
}

std::unique_ptr<Kernel> create_map_tiles(const OpInstance& instance) {
  return create_map_tiles(instance, for_isa(isa_v2::kMapTable, isa_v3::kMapTable, isa_v4::kMapTable),
                          worthwhile_threads(instance.op->as<MapBody>(), omp_get_max_threads()));
}

std::string refuse_map_tiles(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  if (body.domain.rank() > kMostDims) return fmt::format("{} axes; tiles take {}", body.domain.rank(), kMostDims);
  for (const TensorDesc& desc : instance.inputs) {
    if (desc.dtype == DType::kF32 || desc.dtype == DType::kU8 || desc.dtype == DType::kS32) continue;
    return fmt::format("an operand is {}; tiles read f32, u8 and s32", name_of(desc.dtype));
  }
  for (size_t i = 0; i < instance.outputs.size(); ++i) {
    if (instance.outputs[i].dtype != DType::kF32)
      return fmt::format("a result is {}; tiles write f32", name_of(instance.outputs[i].dtype));
  }
  return "";
}

}  // namespace trainer::cpu
