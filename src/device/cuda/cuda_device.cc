// Memory and choice of kernels on an NVIDIA GPU.
#include "device/cuda/cuda_device.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/implementations.h"
#include "device/cuda/stream.h"
#include "runtime/choose.h"

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

std::unique_ptr<Context> open_context(const DeviceSpec& spec, const DeviceOptions& options) {
  if (!spec.architecture.empty()) return std::make_unique<Context>(typical_properties(spec.architecture), -1, options);
  return std::make_unique<Context>(properties_of(spec.ordinal), spec.ordinal, options);
}

}  // namespace

CudaDevice::CudaDevice(const DeviceSpec& spec, const DeviceOptions& options)
    : context_(open_context(spec, options)), host_memory_(make_locked_memory(*context_)) {}
CudaDevice::~CudaDevice() = default;

Context& CudaDevice::entered() const {
  if (!context_->planned()) context_->enter();
  return *context_;
}

std::string CudaDevice::name() const {
  return context_->planned() ? fmt::format("{} (planned)", context_->properties.name)
                             : fmt::format("GPU {} ({})", context_->ordinal(), context_->properties.name);
}

// A large product of floats, and a copy.
DeviceSpeed CudaDevice::best_speed() {
  if (context_->planned()) return {};
  constexpr int64_t kSide = 8192;
  const TensorDesc matrix{Shape{kSide, kSide}, DType::kF32, MemoryFormat::kRowMajor};
  Op op;
  op.kind = OpKind::kMatmul;
  op.attributes = MatmulAttributes{};
  const std::unique_ptr<Kernel> product = create_matmul(entered(), {&op, {matrix, matrix}, {matrix}});
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
  // The first time loads code.
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
    return fmt::format("{} does not multiply it: that takes compute capability 8.0 (Ampere); use fp16 or fp32",
                       context_->properties.name);
  return "";
}

KernelChoice CudaDevice::choose(const OpInstance& instance) {
  Context& context = entered();
  return choose_first(
      "the GPU", instance, implementations_of(instance.op->kind),
      [&](const Implementation& implementation) { return implementation.refuse(context, instance); },
      [&](const Implementation& implementation) { return implementation.create(context, instance); });
}

int64_t CudaDevice::free_memory() {
  if (context_->planned()) return context_->properties.memory;
  size_t free = 0, total = 0;
  entered();
  check(cudaMemGetInfo(&free, &total), "asking for the memory that is free");
  return static_cast<int64_t>(free);
}

std::vector<std::string> CudaDevice::generated_texts() const { return context_->texts.list(); }

void* CudaDevice::allocate(int64_t bytes) {
  TRAINER_ASSERT(!context_->planned());
  entered();
  void* memory = nullptr;
  const size_t size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  if (!succeeds(cudaMalloc(&memory, size))) throw OutOfMemory::make(name(), bytes, free_memory());
  check(cudaMemsetAsync(memory, 0, size, context_->stream()), "clearing memory");
  return memory;
}

// Kernels that are queued may still use it.
void CudaDevice::release(void* memory, int64_t) {
  // Throws nothing: destructors call it after errors.
  ignore_result(cudaSetDevice(context_->ordinal()));
  ignore_result(cudaStreamSynchronize(context_->stream()));
  ignore_result(cudaFree(memory));
}

void CudaDevice::copy_to_host(void* host, const void* device, int64_t bytes) { context_->fetch(host, device, bytes); }
void CudaDevice::copy_from_host(void* device, const void* host, int64_t bytes) { context_->send(device, host, bytes); }

void CudaDevice::synchronize() { context_->wait(); }

std::unique_ptr<Readback> CudaDevice::make_readback(size_t count) { return cuda::make_readback(entered(), count); }
std::unique_ptr<Uploads> CudaDevice::make_uploads() {
  return context_->planned() ? nullptr : cuda::make_uploads(*this, entered());
}
std::unique_ptr<StepTimer> CudaDevice::make_step_timer() { return cuda::make_step_timer(entered()); }
std::unique_ptr<DeviceEvent> CudaDevice::make_event() { return cuda::make_event(entered()); }
std::unique_ptr<AllReduce> CudaDevice::make_all_reduce(std::span<Device* const> devices) {
  std::vector<Context*> contexts;
  for (Device* device : devices) contexts.push_back(static_cast<CudaDevice*>(device)->context_.get());
  return cuda::make_all_reduce(std::move(contexts));
}
std::unique_ptr<CapturedPass> CudaDevice::record(const std::function<void()>& queue) {
  return cuda::record(entered(), queue);
}

}  // namespace trainer::cuda
