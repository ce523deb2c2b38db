// Maps as kernels of generated text.
#include <cstring>
#include <memory>

#include "device/cuda/check.h"
#include "device/cuda/context.h"
#include "device/cuda/implementations.h"
#include "device/cuda/map_text.h"
#include "device/cuda/map_walk.h"

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
    check(cudaMalloc(&memory, bytes), "allocating {} bytes for a table of segments", bytes);
    addresses_.push_back(memory);
    context.send(memory, from, static_cast<int64_t>(bytes));
  }

  std::vector<void*> addresses_;
};

class MapKernel : public BoundKernel {
 public:
  MapKernel(Context& context, const OpInstance& instance)
      : BoundKernel(context, instance),
        launches_(map_launches(instance, context.properties.multiprocessors)),
        tables_(context, instance.op->as<MapBody>().segments),
        cost_{0, bytes_read_again(instance, launches_)} {
    for (const MapLaunch& launch : launches_) {
      cost_.launches += (launch.blocks > 0 ? 1 : 0) + (launch.finish_blocks > 0 ? 1 : 0);
      cost_.bytes += 2 * launch.part_floats * static_cast<int64_t>(sizeof(float));
      part_floats_ = std::max(part_floats_, launch.part_floats);
      context.texts.add(launch.text);
      if (context.planned()) continue;
      kernels_.push_back(context.texts.kernel(launch.text, "map"));
      finishes_.push_back(launch.finish_blocks > 0 ? context.texts.kernel(launch.text, "finish") : nullptr);
    }
  }

  int64_t workspace_bytes() const override { return part_floats_ * static_cast<int64_t>(sizeof(float)); }
  KernelCost cost() const override { return cost_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    BoundKernel::bind(inputs, outputs, workspace);
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
      if (launch.finish_blocks > 0) enqueue(finishes_[i], launch.finish_blocks, &launch);
    }
  }

 private:
  void enqueue(cudaKernel_t kernel, int64_t blocks, MapLaunch* launch) const {
    if (blocks == 0) return;
    // The kernels stride over what is left.
    const dim3 grid(
        static_cast<unsigned>(std::min<int64_t>(blocks, int64_t{context().properties.multiprocessors} * 32)));
    const dim3 block(static_cast<unsigned>(launch->lanes), static_cast<unsigned>(launch->rows));
    void* arguments[] = {launch->arguments.data()};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments, 0, context().stream()),
          "starting a map");
  }

  std::vector<MapLaunch> launches_;
  Tables tables_;
  KernelCost cost_;
  std::vector<cudaKernel_t> kernels_, finishes_;
  int64_t part_floats_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> create_map(Context& context, const OpInstance& instance) {
  return std::make_unique<MapKernel>(context, instance);
}
std::string refuse_map(Context&, const OpInstance& instance) { return refuse_map_text(instance); }

}  // namespace trainer::cuda
