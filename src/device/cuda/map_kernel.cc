// The generated maps, compiled by NVRTC.
#include <cstring>
#include <memory>

#include "device/cuda/check.h"
#include "device/cuda/cuda_kernel.h"
#include "device/cuda/implementations.h"
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

class MapKernel : public CudaKernel {
 public:
  MapKernel(Context& context, const OpInstance& instance)
      : CudaKernel(context, instance),
        launches_(map_launches(instance, context.properties.multiprocessors)),
        tables_(context, instance.op->as<MapBody>().segments),
        cost_{0, bytes_read_again(instance, launches_)} {
    for (const MapLaunch& launch : launches_) {
      cost_.launches += (launch.blocks > 0 ? 1 : 0) + (launch.combine_blocks > 0 ? 1 : 0);
      cost_.bytes += 2 * launch.partial_floats * static_cast<int64_t>(sizeof(float));
      partial_floats_ = std::max(partial_floats_, launch.partial_floats);
      context.modules.add(launch.source);
      if (context.planned()) continue;
      kernels_.push_back(context.modules.kernel(launch.source, "map"));
      combines_.push_back(launch.combine_blocks > 0 ? context.modules.kernel(launch.source, "combine") : nullptr);
    }
  }

  int64_t workspace_bytes() const override { return partial_floats_ * static_cast<int64_t>(sizeof(float)); }
  KernelCost cost() const override { return cost_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    for (MapLaunch& launch : launches_) {
      std::vector<const void*> addresses;
      for (int operand : launch.operands) addresses.push_back(inputs[static_cast<size_t>(operand)]);
      for (int output : launch.outputs) addresses.push_back(outputs[static_cast<size_t>(output)]);
      addresses.push_back(workspace);
      addresses.push_back(context().pass());
      for (int table : launch.tables) {
        addresses.push_back(tables_.ends(table));
        addresses.push_back(tables_.values(table));
      }
      std::memcpy(launch.arguments.data(), addresses.data(), addresses.size() * sizeof(void*));
    }
  }

  void run(const RunContext&) override {
    for (size_t i = 0; i < launches_.size(); ++i) {
      MapLaunch& launch = launches_[i];
      enqueue(kernels_[i], launch.blocks, &launch);
      if (launch.combine_blocks > 0) enqueue(combines_[i], launch.combine_blocks, &launch);
    }
  }

 private:
  void enqueue(cudaKernel_t kernel, int64_t blocks, MapLaunch* launch) const {
    if (blocks == 0) return;
    // Grid-stride loops cover the rest.
    const dim3 grid(
        static_cast<unsigned>(std::min<int64_t>(blocks, int64_t{context().properties.multiprocessors} * 32)));
    const dim3 block(static_cast<unsigned>(launch->lanes), static_cast<unsigned>(launch->rows));
    void* arguments[] = {launch->arguments.data()};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, 0, context().stream()),
          "launching a map");
  }

  std::vector<MapLaunch> launches_;
  Tables tables_;
  KernelCost cost_;
  std::vector<cudaKernel_t> kernels_, combines_;
  int64_t partial_floats_ = 0;
};

std::string refuse(Context&, const OpInstance& instance) { return refuse_generated_map(instance); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<MapKernel>(context, instance);
}

}  // namespace

const Implementation generated_map{"nvrtc", refuse, create};

}  // namespace trainer::cuda
