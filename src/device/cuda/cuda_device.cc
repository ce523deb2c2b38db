// Memory and the choice of kernels on an NVIDIA GPU.
#include "device/cuda/cuda_device.h"

#include <algorithm>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/implementations.h"
#include "device/cuda/kernels/interpreter.h"
#include "device/cuda/kernels/pad.h"
#include "device/cuda/map_codegen.h"
#include "device/cuda/stream.h"
#include "runtime/implementation.h"

namespace trainer::cuda {
namespace {

DeviceProperties properties_of(int ordinal) {
  cudaDeviceProp read;
  check_on(ordinal, cudaGetDeviceProperties(&read, ordinal), "reading its properties");
  DeviceProperties p;
  p.name = read.name;
  p.major = read.major;
  p.minor = read.minor;
  p.multiprocessors = read.multiProcessorCount;
  p.memory = static_cast<int64_t>(read.totalGlobalMem);
  p.l2_cache = read.l2CacheSize;
  p.shared_memory = static_cast<int64_t>(read.sharedMemPerBlockOptin);
  return p;
}

bool is_small_map(const OpInstance& map) { return refuse_interpreter(map).empty(); }

std::unique_ptr<Context> open_context(const DeviceSpec& spec, const DeviceOptions& options) {
  if (!spec.architecture.empty()) return std::make_unique<Context>(typical_properties(spec.architecture), -1, options);
  return std::make_unique<Context>(properties_of(spec.ordinal), spec.ordinal, options);
}

}  // namespace

CudaDevice::CudaDevice(const DeviceSpec& spec, const DeviceOptions& options)
    : context_(open_context(spec, options)), host_memory_(make_page_locked_memory(*context_)) {}
CudaDevice::~CudaDevice() = default;

Context& CudaDevice::current_context() const {
  if (!context_->planned()) context_->make_current();
  return *context_;
}

std::string CudaDevice::name() const {
  return context_->planned() ? fmt::format("{} (planned)", context_->properties.name)
                             : fmt::format("GPU {} ({})", context_->ordinal(), context_->properties.name);
}

// Measures a large matrix product of f32 and a copy.
DeviceSpeed CudaDevice::best_speed() {
  if (context_->planned()) return {};
  constexpr int64_t kSide = 8192;
  const TensorDesc matrix{Shape{kSide, kSide}, DType::kF32, MemoryFormat::kRowMajor};
  Op op;
  op.kind = OpKind::kMatmul;
  op.attributes = MatmulAttributes{};
  const std::unique_ptr<Kernel> product = choose({&op, {matrix, matrix}, {matrix}}).kernel;
  void *a = allocate(matrix.bytes()), *b = allocate(matrix.bytes()), *c = allocate(matrix.bytes());
  void* workspace = allocate(product->workspace_bytes());
  void* const operands[] = {a, b};
  void* const results[] = {c};
  product->bind(operands, results, workspace);
  const auto multiply = [&] { product->run({}); };
  const auto copy = [&] {
    check(cudaMemcpyAsync(b, a, static_cast<size_t>(matrix.bytes()), cudaMemcpyDeviceToDevice, context_->stream()),
          "copying");
  };
  // The first run loads the kernels.
  multiply();
  copy();
  DeviceSpeed speed;
  speed.operations = 2.0 * kSide * kSide * kSide / seconds_of(*context_, multiply);
  speed.bytes = 2.0 * static_cast<double>(matrix.bytes()) / seconds_of(*context_, copy);
  for (void* memory : {a, b, c}) release(memory, matrix.bytes());
  release(workspace, product->workspace_bytes());
  return speed;
}

std::optional<DataSheet> CudaDevice::data_sheet() const {
  return data_sheet_of(context_->properties, context_->options.precision);
}

std::string CudaDevice::refuse_precision(Precision precision) const {
  if ((precision == Precision::kBF16 || precision == Precision::kTF32) && context_->properties.major < 8)
    return fmt::format("{} does not support it: this precision needs compute capability 8.0 (Ampere); use fp16 or fp32",
                       context_->properties.name);
  return "";
}

// Convolutions on tensor cores need pixels of a multiple of 16 bytes.
int64_t CudaDevice::channel_multiple() const {
  const Precision precision = context_->options.precision;
  return precision == Precision::kFP32 ? 1 : kPixelBytes / size_of(activation_type(precision));
}

KernelChoice CudaDevice::choose(const OpInstance& instance) {
  Context& context = current_context();
  return choose_first(
      "the GPU", instance, implementations_of(instance.op->kind),
      [&](const Implementation& implementation) { return implementation.refuse(context, instance); },
      [&](const Implementation& implementation) { return implementation.create(context, instance); });
}

size_t CudaDevice::joinable(std::span<const OpInstance> ops) {
  switch (ops.front().op->kind) {
    case OpKind::kMap: return is_small_map(ops[0]) ? joinable_small_maps(ops) : joinable_maps(current_context(), ops);
    case OpKind::kReorder:
    case OpKind::kPad:
    case OpKind::kSlice: return joinable_repacks(current_context(), ops);
    default: return 1;
  }
}
std::unique_ptr<Kernel> CudaDevice::join(std::span<const OpInstance> ops) {
  const auto create = ops[0].op->kind != OpKind::kMap ? create_joined_repacks
                      : is_small_map(ops[0])          ? create_joined_small_maps
                                                      : create_joined_maps;
  return create(current_context(), ops);
}

int64_t CudaDevice::free_memory() {
  if (context_->planned()) return context_->properties.memory;
  size_t free = 0, total = 0;
  current_context();
  check(cudaMemGetInfo(&free, &total), "reading the free memory");
  return static_cast<int64_t>(free);
}

std::vector<std::string> CudaDevice::generated_sources() const { return context_->modules.sources(); }

void* CudaDevice::allocate(int64_t bytes) {
  TRAINER_ASSERT(!context_->planned());
  current_context();
  void* memory = nullptr;
  const size_t size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  if (!succeeds(cudaMalloc(&memory, size))) throw OutOfMemory::make(name(), bytes, free_memory());
  check(cudaMemsetAsync(memory, 0, size, context_->stream()), "clearing memory");
  return memory;
}

// Queued kernels may still use the memory.
void CudaDevice::release(void* memory, int64_t) {
  // Does not throw: destructors call this after errors.
  ignore_result(cudaSetDevice(context_->ordinal()));
  ignore_result(cudaStreamSynchronize(context_->stream()));
  ignore_result(cudaFree(memory));
}

void CudaDevice::copy_to_host(void* host, const void* device, int64_t bytes) {
  context_->copy_to_host(host, device, bytes);
}
void CudaDevice::copy_from_host(void* device, const void* host, int64_t bytes) {
  context_->copy_to_device(device, host, bytes);
}

void CudaDevice::copy_within(void* to, const void* from, int64_t bytes) {
  current_context();
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, context_->stream()),
        "copying on the GPU");
}

void CudaDevice::synchronize() { context_->wait(); }

std::unique_ptr<Readback> CudaDevice::make_readback(size_t count) {
  return cuda::make_readback(current_context(), count);
}
std::unique_ptr<Uploads> CudaDevice::make_uploads() {
  return context_->planned() ? nullptr : cuda::make_uploads(*this, current_context());
}
std::unique_ptr<StepTimer> CudaDevice::make_step_timer() { return cuda::make_step_timer(current_context()); }
std::unique_ptr<DeviceEvent> CudaDevice::make_event() { return cuda::make_event(current_context()); }
std::unique_ptr<AllReduce> CudaDevice::make_all_reduce(std::span<Device* const> devices, const AllReduceLink* link) {
  std::vector<Context*> contexts;
  for (Device* device : devices) contexts.push_back(static_cast<CudaDevice*>(device)->context_.get());
  return cuda::make_all_reduce(std::move(contexts), link);
}
std::unique_ptr<CapturedPass> CudaDevice::record(const std::function<void()>& queue) {
  return cuda::capture(current_context(), queue);
}

}  // namespace trainer::cuda
