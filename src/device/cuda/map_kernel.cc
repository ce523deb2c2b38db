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

// A map and those that are joined to it.
class MapKernel : public CudaKernel {
 public:
  MapKernel(Context& context, std::span<const OpInstance> maps)
      : CudaKernel(context, maps.front()),
        launches_(map_launches(maps, context.properties.multiprocessors)),
        tables_(context, maps.front().op->as<MapBody>().segments),
        cost_{0, 0} {
    for (const MapLaunch& launch : launches_) {
      TRAINER_ASSERT(launch.counters <= Context::kCounters);
      cost_ += {launch.blocks > 0 ? 1 : 0, launch.bytes};
      partial_floats_ = std::max(partial_floats_, launch.partial_floats);
      context.modules.add(launch.source);
      if (!context.planned()) kernels_.push_back(context.modules.kernel(launch.source, "map"));
    }
  }

  int64_t workspace_bytes() const override { return partial_floats_ * static_cast<int64_t>(sizeof(float)); }
  KernelCost cost() const override { return cost_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    for (MapLaunch& launch : launches_) {
      for (const MapAddresses& map : launch.addresses) {
        std::vector<const void*> addresses;
        for (int operand : map.operands) addresses.push_back(inputs[static_cast<size_t>(operand)]);
        for (int output : map.outputs) addresses.push_back(outputs[static_cast<size_t>(output)]);
        addresses.push_back(workspace);
        addresses.push_back(context().counters());
        addresses.push_back(context().pass());
        for (int table : map.tables) {
          addresses.push_back(tables_.ends(table));
          addresses.push_back(tables_.values(table));
        }
        std::memcpy(launch.arguments.data() + map.at, addresses.data(), addresses.size() * sizeof(void*));
      }
    }
  }

  void run(const RunContext&) override {
    for (size_t i = 0; i < launches_.size(); ++i) enqueue(kernels_[i], &launches_[i]);
  }

 private:
  void enqueue(cudaKernel_t kernel, MapLaunch* launch) const {
    if (launch->blocks == 0) return;
    // Grid-stride loops cover the rest.
    const dim3 grid(
        static_cast<unsigned>(std::min<int64_t>(launch->blocks, int64_t{context().properties.multiprocessors} * 32)));
    const dim3 block(static_cast<unsigned>(launch->lanes), static_cast<unsigned>(launch->rows));
    void* arguments[] = {launch->arguments.data()};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, 0, context().stream()),
          "launching a map");
  }

  std::vector<MapLaunch> launches_;
  Tables tables_;
  KernelCost cost_;
  std::vector<cudaKernel_t> kernels_;
  int64_t partial_floats_ = 0;
};

std::string refuse(Context&, const OpInstance& instance) { return refuse_generated_map(instance); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<MapKernel>(context, std::span(&instance, 1));
}

}  // namespace

// The first map is a large reduction, the others are small maps without reductions.
size_t joinable_maps(std::span<const OpInstance> ops) {
  constexpr int64_t kMaxJoined = 8192;  // elements; one block computes them
  constexpr size_t kMaxMaps = 9;        // so that the argument stays below 32 KB
  const auto is_map = [](const OpInstance& op) {
    return op.op->kind == OpKind::kMap && refuse_generated_map(op).empty();
  };
  if (!is_map(ops[0]) || !ops[0].op->as<MapBody>().reduces() ||
      ops[0].op->as<MapBody>().domain.count() <= InterpretedMap::kMaxElements)
    return 1;
  size_t count = 1;
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
