// The generated maps, compiled by NVRTC.
#include <cstring>
#include <memory>

#include "device/cuda/check.h"
#include "device/cuda/cuda_kernel.h"
#include "device/cuda/implementations.h"
#include "device/cuda/kernels/interpreter.h"
#include "device/cuda/map_codegen.h"
#include "device/cuda/map_schedule.h"

namespace trainer::cuda {
namespace {

// The segment tables of a map in device memory.
class Tables {
 public:
  Tables(const Context& context, const std::vector<SegmentTable>& tables) {
    const bool planned = context.planned();
    if (planned) addresses_.assign(2 * tables.size(), nullptr);
    for (const SegmentTable& table : tables) {
      if (planned) break;
      add(context, table.ends.data(), table.ends.size() * sizeof(int64_t));
      add(context, table.values.data(), table.values.size() * sizeof(float));
    }
  }
  ~Tables() {
    for (void* memory : addresses_) ignore_result(cudaFree(memory));
  }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  const void* ends(int table) const { return addresses_[2 * static_cast<size_t>(table)]; }
  const void* values(int table) const { return addresses_[2 * static_cast<size_t>(table) + 1]; }

 private:
  void add(const Context& context, const void* from, size_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "allocating {} bytes for a segment table", bytes);
    addresses_.push_back(memory);
    context.copy_to_device(memory, from, static_cast<int64_t>(bytes));
  }

  std::vector<void*> addresses_;
};

// A map, or maps side by side, and those that follow in the same launch.
class MapKernel : public CudaKernel {
 public:
  MapKernel(Context& context, std::span<const OpInstance> maps)
      : CudaKernel(context, maps.front()),
        launches_(map_launches(maps, context.properties.multiprocessors)),
        tables_(context, maps.front().op->as<MapBody>().segments) {
    for (const OpInstance& map : maps) {
      for (const TensorDesc& desc : map.inputs) input_bytes_.push_back(desc.bytes());
      for (const TensorDesc& desc : map.outputs) output_bytes_.push_back(desc.bytes());
    }
    for (const MapLaunch& launch : launches_) {
      TRAINER_ASSERT(launch.counters <= Context::kCounters);
      partial_floats_ = std::max(partial_floats_, launch.partial_floats);
      bytes_ += launch.bytes;
      splits_.push_back({launch.side_by_side});
      context.modules.add(launch.source);
      if (!context.planned()) kernels_.push_back(context.modules.kernel(launch.source, "map"));
    }
  }

  int64_t workspace_bytes() const override { return partial_floats_ * static_cast<int64_t>(sizeof(float)); }
  KernelCost cost() const override {
    KernelCost cost{0, bytes_};
    for (size_t i = 0; i < launches_.size(); ++i)
      cost.launches += launches_[i].blocks > 0 ? static_cast<int64_t>(splits_[i].size()) : 0;
    return cost;
  }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    for (size_t i = 0; i < launches_.size(); ++i) {
      MapLaunch& launch = launches_[i];
      for (const MapAddresses& map : launch.addresses) {
        std::vector<const void*> addresses;
        for (int operand : map.operands) addresses.push_back(inputs[static_cast<size_t>(operand)]);
        for (int output : map.outputs) addresses.push_back(outputs[static_cast<size_t>(output)]);
        addresses.push_back(static_cast<const float*>(workspace) + map.first_partial);
        addresses.push_back(context().counters() + map.first_counter);
        addresses.push_back(context().pass());
        for (int table : map.tables) {
          addresses.push_back(tables_.ends(table));
          addresses.push_back(tables_.values(table));
        }
        std::memcpy(launch.arguments.data() + map.at, addresses.data(), addresses.size() * sizeof(void*));
      }
      splits_[i] = split(launch, inputs, outputs);
    }
  }

  void run(const RunContext&) override {
    for (size_t i = 0; i < launches_.size(); ++i) {
      int64_t first = 0;
      for (const int64_t count : splits_[i]) {
        launches_[i].take(first, count);
        enqueue(kernels_[i], &launches_[i]);
        first += count;
      }
    }
  }

 private:
  // The blocks of maps side by side run in any order. A map that depends on one before it begins another launch.
  // Returns the number of maps of each launch.
  std::vector<int64_t> split(const MapLaunch& launch, std::span<void* const> inputs,
                             std::span<void* const> outputs) const {
    const auto ranges = [](const std::vector<int>& numbers, std::span<void* const> at,
                           const std::vector<int64_t>& bytes) {
      std::vector<MemoryRange> list;
      for (int number : numbers) list.push_back({at[static_cast<size_t>(number)], bytes[static_cast<size_t>(number)]});
      return list;
    };
    const auto any_overlap = [](const std::vector<MemoryRange>& a, const std::vector<MemoryRange>& b) {
      return std::any_of(a.begin(), a.end(), [&](const MemoryRange& x) {
        return std::any_of(b.begin(), b.end(), [&](const MemoryRange& y) { return overlap(x, y); });
      });
    };
    std::vector<int64_t> counts{0};
    std::vector<MemoryRange> read, written;  // by the maps of the current launch
    for (size_t i = 0; i < static_cast<size_t>(launch.side_by_side); ++i) {
      const std::vector<MemoryRange> operands = ranges(launch.addresses[i].operands, inputs, input_bytes_);
      const std::vector<MemoryRange> results = ranges(launch.addresses[i].outputs, outputs, output_bytes_);
      if (any_overlap(operands, written) || any_overlap(results, read) || any_overlap(results, written)) {
        counts.push_back(0);
        read.clear();
        written.clear();
      }
      ++counts.back();
      read.insert(read.end(), operands.begin(), operands.end());
      written.insert(written.end(), results.begin(), results.end());
    }
    return counts;
  }

  void enqueue(cudaKernel_t kernel, MapLaunch* launch) const {
    if (launch->blocks == 0) return;
    const dim3 grid(static_cast<unsigned>(launch->side_by_side * launch->blocks));
    const dim3 block(static_cast<unsigned>(launch->lanes), static_cast<unsigned>(launch->rows));
    void* arguments[] = {launch->arguments.data()};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, 0, context().stream()),
          "launching a map");
  }

  std::vector<MapLaunch> launches_;
  Tables tables_;
  std::vector<int64_t> input_bytes_, output_bytes_;
  std::vector<cudaKernel_t> kernels_;
  int64_t partial_floats_ = 0;
  int64_t bytes_ = 0;                         // KernelCost::bytes
  std::vector<std::vector<int64_t>> splits_;  // by launch: the numbers of maps that its parts take
};

std::string refuse(Context&, const OpInstance& instance) { return refuse_generated_map(instance); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<MapKernel>(context, std::span(&instance, 1));
}

}  // namespace

// Large maps side by side. If they reduce, small maps without reductions may follow.
size_t joinable_maps(Context& context, std::span<const OpInstance> ops) {
  constexpr int64_t kMaxJoined = 8192;  // elements; one block computes them
  constexpr size_t kMaxMaps = 12;       // so that the argument stays below 32 KB
  const auto is_map = [](const OpInstance& op) {
    return op.op->kind == OpKind::kMap && refuse_generated_map(op).empty();
  };
  const auto is_large_map = [&](const OpInstance& op) {
    return is_map(op) && op.op->as<MapBody>().domain.count() > InterpretedMap::kMaxElements;
  };
  const auto large = std::find_if_not(ops.begin(), ops.end(), is_large_map) - ops.begin();
  if (large == 0) return 1;
  size_t count = maps_side_by_side(ops.first(static_cast<size_t>(large)), context.properties.multiprocessors);
  if (!ops[0].op->as<MapBody>().reduces()) return count;
  for (; count < ops.size() && count < kMaxMaps; ++count) {
    if (!is_map(ops[count])) break;
    const MapBody& body = ops[count].op->as<MapBody>();
    const int64_t elements = body.domain.count();
    if (body.reduces() || elements == 0 || elements > kMaxJoined || !body.keys.empty() || !body.segments.empty()) break;
  }
  return count;
}

std::unique_ptr<Kernel> create_joined_maps(Context& context, std::span<const OpInstance> maps) {
  return std::make_unique<MapKernel>(context, maps);
}

const Implementation generated_map{"nvrtc", refuse, create};

}  // namespace trainer::cuda
