// Runs a tile program over a domain.
#include "device/cpu/map_tiles.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/isa.h"
#include "device/cpu/map_bound_program.h"
#include "device/cpu/map_partition.h"

namespace trainer::cpu {
namespace {

// To start a team of threads takes 5 to 10 microseconds. A map with less work runs on the calling thread. The unit is
// about 0.01 ns if the operands are in a cache.
constexpr int64_t kSerialWork = 800000;

// Prefetching helps if the operands are in memory or in the cache that cores share, and costs a little if they are in
// the caches of a core.
constexpr int64_t kCachedBytes = int64_t{4} << 20;

int worthwhile_threads(const MapBody& body, int threads) {
  int64_t cost = 0;
  for (const MapNode& node : body.nodes) cost += info_of(node.fn).cost;
  for (const MapOutput& output : body.outputs) cost += output.reduction == Reduction::kNone ? 4 : 2;
  return body.domain.count() * cost < kSerialWork ? 1 : threads;
}

class MapTiles : public CpuKernel {
 public:
  MapTiles(const OpInstance& instance, const MapTable& table, int threads)
      : CpuKernel(instance),
        body_(instance.op->as<MapBody>()),
        streams_(instance),
        iteration_(MapDims(body_.domain, streams_.order, streams_.strides), &streams_.all),
        partition_(&iteration_, reduced_streams(), threads) {
    programs_.emplace_back(TileProgram(body_, streams_, iteration_, table, Segments::kAny), body_, streams_, iteration_,
                           table);
    find_boundaries();
    if (!boundaries_.empty())
      programs_.emplace_back(TileProgram(body_, streams_, iteration_, table, Segments::kOne), body_, streams_,
                             iteration_, table);
    for (const TensorDesc& desc : instance.inputs) operand_bytes_.push_back(desc.bytes());
    for (const TensorDesc& desc : instance.outputs) output_bytes_.push_back(desc.bytes());
    make_accumulators(table);
    for (size_t loop = 0; loop < iteration_.loops().size(); ++loop) {
      for (const Stream& stream : streams_.all) steps_.push_back(stream.steps[loop]);
    }
    for (int part = 0; part < partition_.parts; ++part) parts_.push_back(make_part(part));
  }

  int64_t workspace_bytes() const override { return part_bytes() * partition_.parts; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    CpuKernel::bind(inputs, outputs, workspace);
    int64_t bytes = 0;
    for (int64_t each : operand_bytes_) bytes += each;
    for (int64_t each : output_bytes_) bytes += each;
    for (BoundProgram& program : programs_)
      program.bind(inputs.first(operand_bytes_.size()), outputs.first(output_bytes_.size()), operand_bytes_,
                   output_bytes_, bytes > kCachedBytes * partition_.parts);
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
  struct Part {
    int64_t tiles = 0;
    std::vector<int64_t> first_counters, first_offsets;
    std::vector<int64_t> counters, offsets;
    std::vector<BoundProgram::Slots> slots;  // by program
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

  // If the tiles follow the logical index, tiles inside one segment of each table have a second program, in which
  // segments are scalars.
  void find_boundaries() {
    if (iteration_.loops().size() > 1) return;
    for (size_t i = 0; i < body_.nodes.size(); ++i) {
      if (body_.nodes[i].fn != Fn::kSegment) continue;
      logical_index_ = streams_.of_node[i];
      if (!streams_.all[static_cast<size_t>(logical_index_)].contiguous()) continue;
      const std::vector<int64_t>& ends = body_.segments[static_cast<size_t>(body_.nodes[i].a)].ends;
      boundaries_.insert(boundaries_.end(), ends.begin(), ends.end());
    }
    std::sort(boundaries_.begin(), boundaries_.end());
  }

  void make_accumulators(const MapTable& table) {
    size_t reduced = 0;
    std::vector<bool> owned(body_.outputs.size());
    for (size_t i = 0; i < body_.outputs.size(); ++i) {
      if (body_.outputs[i].reduction != Reduction::kNone) owned[i] = partition_.owned[reduced++];
    }
    for (const TileReduction& reduction : programs_[0].program().reductions) {
      const size_t output = static_cast<size_t>(reduction.output);
      accumulators_.emplace_back(reduction, stream_of_output(output), body_.output_shape(output).count(), owned[output],
                                 iteration_, table);
    }
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
    part.slots.resize(programs_.size());
    part.accumulators.resize(accumulators_.size());
    return part;
  }

  int64_t part_bytes() const {
    int64_t bytes = 0;
    for (const BoundProgram& program : programs_) bytes += program.bytes();
    for (const Accumulator& accumulator : accumulators_) {
      if (accumulator.gathers()) bytes += aligned(kTileFloats * 4);
      bytes += aligned(accumulator.window() * 8);
      if (!accumulator.owned()) bytes += aligned(accumulator.count() * 8);
    }
    return bytes;
  }

  // Lays out the memory of a part from `at`; part_bytes() is its size.
  void place(Part* part, std::byte* at) const {
    auto take = [&](int64_t bytes) {
      std::byte* begin = at;
      at += aligned(bytes);
      return begin;
    };
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      const Accumulator& accumulator = accumulators_[i];
      AccumulatorMemory& memory = part->accumulators[i];
      if (accumulator.gathers()) memory.tile = reinterpret_cast<float*>(take(kTileFloats * 4));
      memory.window = reinterpret_cast<double*>(take(accumulator.window() * 8));
      if (!accumulator.owned()) memory.total = reinterpret_cast<double*>(take(accumulator.count() * 8));
    }
    for (size_t i = 0; i < programs_.size(); ++i)
      programs_[i].place(take(programs_[i].bytes()), part->accumulators, &part->slots[i]);
  }

  void start(Part* part) const {
    std::copy(part->first_counters.begin(), part->first_counters.end(), part->counters.begin());
    std::copy(part->first_offsets.begin(), part->first_offsets.end(), part->offsets.begin());
    for (size_t i = 0; i < programs_.size(); ++i) programs_[i].start(part->offsets.data(), &part->slots[i]);
    for (size_t i = 0; i < accumulators_.size(); ++i) accumulators_[i].start(&part->accumulators[i]);
  }

  void run_part(Part* part, uint64_t pass) const {
    start(part);
    const size_t loops = iteration_.loops().size();
    Tile tile{{1, iteration_.whole_tile(), 0}, false, part->offsets.data(), pass};
    measure(*part, &tile);
    for (size_t i = 0; i < programs_.size(); ++i) programs_[i].run_levels(0, loops, tile, part->slots[i]);
    auto boundary = boundaries_.begin();
    size_t first_level = loops;
    for (int64_t left = part->tiles;;) {
      run_tile(part, first_level, tile, &boundary);
      const bool done = --left == 0;
      const int moved = done ? -1 : advance(part->counters.data());
      flush(part, moved, tile.last);
      if (done) return;
      move(part, moved);
      measure(*part, &tile);
      first_level = static_cast<size_t>(moved) + 1;
    }
  }

  void measure(const Part& part, Tile* tile) const {
    const int tiled = iteration_.tiled_loop();
    tile->last = tiled < 0 ||
                 part.counters[static_cast<size_t>(tiled)] == iteration_.loops()[static_cast<size_t>(tiled)].trips - 1;
    tile->lengths[static_cast<int>(TileLength::kTile)] = tile->last ? iteration_.last_tile() : iteration_.whole_tile();
  }

  void run_tile(Part* part, size_t first_level, const Tile& tile,
                std::vector<int64_t>::const_iterator* boundary) const {
    size_t chosen = 0;
    if (!boundaries_.empty()) {
      const int64_t first = tile.offsets[logical_index_];
      while (**boundary <= first) ++*boundary;
      if (**boundary >= first + tile.lengths[static_cast<int>(TileLength::kTile)]) chosen = 1;
    }
    const BoundProgram& program = programs_[chosen];
    const BoundProgram::Slots& slots = part->slots[chosen];
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      if (accumulators_[i].gathers()) accumulators_[i].open_tile(&part->accumulators[i]);
    }
    program.run_levels(first_level, iteration_.loops().size() + 1, tile, slots);
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      const TileReduction& reduction = program.program().reductions[i];
      if (reduction.accumulator >= 0) {
        accumulators_[i].close_tile(&part->accumulators[i], tile.last);
      } else {
        accumulators_[i].add_tile(&part->accumulators[i], slots[static_cast<size_t>(reduction.a)],
                                  reduction.b >= 0 ? slots[static_cast<size_t>(reduction.b)] : nullptr, tile.last);
      }
    }
    program.store_deferred(tile, slots);
  }

  // Advances the counters and returns the outermost loop that advanced.
  int advance(int64_t* counters) const {
    int loop = static_cast<int>(iteration_.loops().size()) - 1;
    while (++counters[loop] == iteration_.loops()[static_cast<size_t>(loop)].trips) counters[loop--] = 0;
    return loop;
  }

  // Flushes the reduced elements that are complete after loop `moved` advanced; with -1, at the end, all elements.
  void flush(Part* part, int moved, bool last) const {
    for (size_t i = 0; i < accumulators_.size(); ++i) {
      const Accumulator& accumulator = accumulators_[i];
      if (accumulator.last_kept_loop() < moved) continue;
      const size_t o = static_cast<size_t>(accumulator.output());
      accumulator.flush(&part->accumulators[i], output(o), part->offsets[static_cast<size_t>(streams_.of_output(o))],
                        last);
    }
  }

  void move(Part* part, int loop) const {
    const size_t count = streams_.all.size();
    const int64_t* step = steps_.data() + static_cast<size_t>(loop) * count;
    for (size_t i = 0; i < count; ++i) part->offsets[i] += step[i];
    for (size_t i = 0; i < programs_.size(); ++i) programs_[i].move(step, &part->slots[i]);
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
  MapStreams streams_;
  MapIteration iteration_;
  MapPartition partition_;
  std::vector<BoundProgram> programs_;  // the second, if any, is for tiles inside segments
  std::vector<int64_t> boundaries_;     // ends of all segments
  int logical_index_ = 0;               // stream
  std::vector<Accumulator> accumulators_;
  std::vector<int64_t> operand_bytes_, output_bytes_;
  std::vector<int64_t> steps_;  // of every stream, by loop
  std::vector<Part> parts_;
};

// A map of an empty domain: it writes the results of reductions over no elements.
class EmptyMap : public CpuKernel {
 public:
  explicit EmptyMap(const OpInstance& instance) : CpuKernel(instance), body_(instance.op->as<MapBody>()) {}

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
  if (body.domain.rank() > kMaxDims) return fmt::format("{} axes; tiles take {}", body.domain.rank(), kMaxDims);
  for (const TensorDesc& desc : instance.inputs) {
    if (desc.dtype == DType::kF16)
      return fmt::format("an operand is {}; tiles read f32, bf16, u8 and s32", name_of(desc.dtype));
  }
  for (size_t i = 0; i < instance.outputs.size(); ++i) {
    const DType dtype = instance.outputs[i].dtype;
    const bool reduced = body.outputs[i].reduction != Reduction::kNone;
    if (dtype != DType::kF32 && (dtype != DType::kBF16 || reduced))
      return fmt::format("a{} result is {}; tiles write f32, and bf16 where it is not reduced",
                         reduced ? " reduced" : "", name_of(dtype));
  }
  return "";
}

}  // namespace trainer::cpu
