// Descriptors and the choice of a plan.
#include "device/cuda/cudnn_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

#include "base/error.h"
#include "device/cuda/autotune.h"
#include "device/cuda/check.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

constexpr int64_t kMaxWorkspace = int64_t{1} << 30, kAlignmentOfTensors = 16;
constexpr int64_t kMaxConfigurations = 64, kMaxNotes = 32;
// cuDNN takes up to two seconds to generate the code of a plan.
constexpr int kMaxGenerated = 2;
constexpr int kNanByte = 0xFF;  // if all bytes have this value, a float of any type is NaN

// Whether a status means that cuDNN does not work at all.
bool is_broken(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_NOT_INITIALIZED:
    case CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH:
    case CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED:
    case CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER:
    case CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDART: return true;
    default: return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_EXECUTION_FAILED;
  }
}

void check_cudnn(cudnnStatus_t status, const char* doing) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char message[1024] = {};
  cudnn().last_error_text(message, sizeof message);
  const std::string text = fmt::format("cuDNN, {}: {} {}", doing, cudnn().error_text(status), message);
  if (is_broken(status))
    throw device_error("{}. Check that cuDNN is complete and supports this driver, or run on the CPU with --cpu", text);
  throw CudnnRefusal(text);
}

// Describes the device by its ordinal, or by its properties if it is only planned for.
Descriptor properties_descriptor(const Context& context) {
  Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  if (context.planned()) {
    const std::string json = context.properties.cudnn_json();
    properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, static_cast<int64_t>(json.size()),
                   json.data());
  } else {
    const int32_t ordinal = context.ordinal();
    properties.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &ordinal);
  }
  properties.finalize();
  return properties;
}

Descriptor descriptor_of(const CudnnGraph& graph) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor* operation : graph.operations) raw.push_back(operation->get());
  Descriptor descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  descriptor
      .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(raw.size()), raw.data())
      .finalize();
  return descriptor;
}

// The engine configurations that the heuristics suggest for a graph, fastest first.
std::vector<Descriptor> configurations_of(const Descriptor& graph, const Descriptor& properties,
                                          cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode)
      .set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties)
      .finalize();
  std::vector<Descriptor> configurations;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < kMaxConfigurations; ++i) {
    configurations.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(configurations.back().get());
  }
  int64_t count = 0;
  check_cudnn(cudnn().get_attribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                    kMaxConfigurations, &count, raw.data()),
              "reading engine configurations");
  while (static_cast<int64_t>(configurations.size()) > count) configurations.pop_back();
  return configurations;
}

// Whether the engine of a configuration has any of these notes.
template <typename Note>
bool has_note(const Descriptor& configuration, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
              const std::vector<Note>& any) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  Note notes[kMaxNotes];
  int64_t count = 0;
  if (cudnn().get_attribute(configuration.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                            &raw) != CUDNN_STATUS_SUCCESS ||
      cudnn().get_attribute(engine.get(), name, type, kMaxNotes, &count, notes) != CUDNN_STATUS_SUCCESS)
    return false;
  return std::any_of(notes, notes + std::min(count, kMaxNotes),
                     [&](Note note) { return std::find(any.begin(), any.end(), note) != any.end(); });
}

// The engines that may run a graph.
struct EngineRules {
  std::vector<cudnnBackendNumericalNote_t> excluded;
  bool generated_only = false;  // only engines whose code cuDNN generates
};

EngineRules rules_of(const Context& context, const CudnnGraph& graph) {
  EngineRules rules{{CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}};
  // Tensor cores round f32 to TF32.
  if (graph.inputs[0].dtype == DType::kF32 && context.options.precision != Precision::kTF32)
    rules.excluded.insert(rules.excluded.end(),
                          {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS});
  if (context.options.deterministic) rules.excluded.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
  rules.generated_only = graph.has_relu && context.planned();
  return rules;
}

// Up to `max` plans of a graph that the device supports and the rules allow, in the order of the heuristics. Throws a
// CudnnRefusal if there is none.
std::vector<std::unique_ptr<CudnnPlan>> plans_of(const CudnnGraph& graph, const Descriptor& properties,
                                                 const EngineRules& rules, size_t max) {
  const Descriptor descriptor = descriptor_of(graph);
  std::vector<std::unique_ptr<CudnnPlan>> plans;
  std::string reason = "it has no engine for this operation";
  int generated = 0;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    std::vector<Descriptor> configurations;
    try {
      configurations = configurations_of(descriptor, properties, mode);
    } catch (const CudnnRefusal& refusal) {
      reason = refusal.what();
    }
    for (const Descriptor& configuration : configurations) {
      if (plans.size() == max) break;
      if (has_note(configuration, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, rules.excluded))
        continue;
      const bool generates =
          has_note<cudnnBackendBehaviorNote_t>(configuration, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                               {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION});
      if (generates ? generated++ >= kMaxGenerated && max > 1 : rules.generated_only) continue;
      try {
        Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
            .set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties)
            .finalize();
        auto made = std::make_unique<CudnnPlan>(std::move(plan), graph);
        if (made->workspace_bytes() > kMaxWorkspace) {
          reason = fmt::format("it needs {} bytes of workspace", made->workspace_bytes());
          continue;
        }
        plans.push_back(std::move(made));
      } catch (const CudnnRefusal& refusal) {
        reason = refusal.what();
      }
    }
    if (!plans.empty()) return plans;
  }
  throw CudnnRefusal(reason);
}

// `infinity`: the bits of infinity. Without the sign, the bits of a NaN are larger.
template <typename Bits>
bool all_are_nan(const Context& context, const void* data, int64_t bytes, Bits infinity) {
  constexpr int64_t kMaxBytes = int64_t{16} << 20;
  constexpr Bits kMagnitude = std::numeric_limits<Bits>::max() / 2;
  std::vector<Bits> host(static_cast<size_t>(std::min(bytes, kMaxBytes)) / sizeof(Bits));
  for (int64_t from = 0; from < bytes; from += kMaxBytes) {
    const int64_t size = std::min(bytes - from, kMaxBytes);
    context.copy_to_host(host.data(), static_cast<const char*>(data) + from, size);
    const auto end = host.begin() + size / static_cast<int64_t>(sizeof(Bits));
    if (!std::all_of(host.begin(), end, [infinity](Bits bits) { return (bits & kMagnitude) > infinity; })) return false;
  }
  return true;
}
bool all_are_nan(const Context& context, const void* data, DType dtype, int64_t bytes) {
  if (dtype == DType::kF32) return all_are_nan<uint32_t>(context, data, bytes, 0x7F800000);
  return all_are_nan<uint16_t>(context, data, bytes, dtype == DType::kBF16 ? 0x7F80 : 0x7C00);
}

// Whether the relu of a plan propagates NaN, from the bias alone and from all inputs. A result without inputs (a window
// inside the padding) counts as a lost NaN. Overwrites the inputs.
bool propagates_nan(Context& context, const CudnnGraph& graph, std::span<void* const> inputs, void* result,
                    const std::function<void()>& run) {
  const auto fill = [&context](void* memory, int byte, const CudnnOperand& operand) {
    check(cudaMemsetAsync(memory, byte, static_cast<size_t>(operand.bytes), context.stream()), "filling memory");
  };
  for (size_t first = graph.adds_bias ? inputs.size() - 1 : 0;; first = 0) {
    for (size_t i = 0; i < inputs.size(); ++i) fill(inputs[i], i < first ? 0 : kNanByte, graph.inputs[i]);
    fill(result, 0, graph.result);
    run();
    if (!all_are_nan(context, result, graph.result.dtype, graph.result.bytes)) return false;
    if (first == 0) return true;
  }
}

Autotuner::Choice fastest_of(Context& context, Autotuner* autotuner,
                             const std::vector<std::unique_ptr<CudnnPlan>>& plans, const CudnnGraph& graph) {
  std::vector<int64_t> bytes = {0, graph.result.bytes};
  for (const auto& plan : plans) bytes[0] = std::max(bytes[0], plan->workspace_bytes());
  for (const CudnnOperand& operand : graph.inputs) bytes.push_back(operand.bytes);
  return autotuner->fastest(plans.size(), bytes, [&](std::span<void* const> buffers) {
    const auto inputs = buffers.subspan(2);
    std::vector<Autotuner::Candidate> candidates;
    for (const auto& plan : plans) {
      auto pack = std::make_shared<Descriptor>(plan->pack(inputs, buffers[1], buffers[0]));
      Autotuner::Candidate candidate{[&context, &plan, pack] { plan->run(context, *pack); }, {}};
      if (graph.has_relu)
        candidate.is_correct = [&context, &graph, inputs, result = buffers[1], run = candidate.run] {
          return propagates_nan(context, graph, inputs, result, run);
        };
      candidates.push_back(std::move(candidate));
    }
    return candidates;
  });
}

}  // namespace

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check_cudnn(cudnn().create_descriptor(type, &descriptor_), "creating a descriptor");
}
Descriptor::~Descriptor() {
  if (descriptor_ != nullptr) cudnn().destroy_descriptor(descriptor_);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                            const void* values) {
  check_cudnn(cudnn().set_attribute(descriptor_, name, type, count, values), "describing an operation");
  return *this;
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
  return set(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, int64_t value) {
  return set(name, CUDNN_TYPE_INT64, 1, &value);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, float value) {
  return set(name, CUDNN_TYPE_FLOAT, 1, &value);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, double value) {
  return set(name, CUDNN_TYPE_DOUBLE, 1, &value);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, bool value) {
  return set(name, CUDNN_TYPE_BOOLEAN, 1, &value);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  return set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t raw = value.get();
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}
Descriptor& Descriptor::finalize() {
  check_cudnn(cudnn().finalize(descriptor_), "finalizing a descriptor");
  return *this;
}
int64_t Descriptor::read_int64(cudnnBackendAttributeName_t name) const {
  int64_t value = 0, count = 0;
  check_cudnn(cudnn().get_attribute(descriptor_, name, CUDNN_TYPE_INT64, 1, &count, &value), "reading a descriptor");
  return value;
}

std::string Descriptor::read_text(cudnnBackendAttributeName_t name) const {
  int64_t count = 0;
  check_cudnn(cudnn().get_attribute(descriptor_, name, CUDNN_TYPE_CHAR, 0, &count, nullptr), "reading a descriptor");
  std::string text(static_cast<size_t>(count), '\0');
  check_cudnn(cudnn().get_attribute(descriptor_, name, CUDNN_TYPE_CHAR, count, &count, text.data()),
              "reading a descriptor");
  text.resize(static_cast<size_t>(count));
  return text;
}

cudnnDataType_t cudnn_type(DType dtype) {
  switch (dtype) {
    case DType::kBF16: return CUDNN_DATA_BFLOAT16;
    case DType::kF16: return CUDNN_DATA_HALF;
    case DType::kS32: return CUDNN_DATA_INT32;
    case DType::kU8: return CUDNN_DATA_UINT8;
    case DType::kF32: break;
  }
  return CUDNN_DATA_FLOAT;
}

Descriptor cudnn_tensor(int64_t number, cudnnDataType_t type, const std::vector<int64_t>& extents,
                        const std::vector<int64_t>& strides) {
  static int64_t next_virtual = 1000;
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, extents)
      .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, number != 0 ? number : next_virtual++)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignmentOfTensors)
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, number == 0)
      .finalize();
  return tensor;
}

CudnnPlan::CudnnPlan(Descriptor finalized, const CudnnGraph& graph)
    : plan_(std::move(finalized)), workspace_(plan_.read_int64(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)) {
  for (const CudnnOperand& operand : graph.inputs) numbers_.push_back(operand.number);
  numbers_.push_back(graph.result.number);
}

Descriptor CudnnPlan::pack(std::span<void* const> inputs, void* result, void* workspace) const {
  std::vector<void*> addresses(inputs.begin(), inputs.end());
  addresses.push_back(result);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, numbers_)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, static_cast<int64_t>(addresses.size()),
           addresses.data())
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)
      .finalize();
  return pack;
}

void CudnnPlan::run(Context& context, const Descriptor& pack) const {
  const cudnnStatus_t status = cudnn().execute(context.cudnn_handle(), plan_.get(), pack.get());
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string folder = cache_folder();
  throw device_error(
      "cuDNN cannot run a convolution: {}{}", cudnn().error_text(status),
      folder.empty() ? "" : fmt::format(". If a cached plan no longer works, delete {} to choose again", folder));
}

// A plan is cached as cuDNN's JSON, with its generated code. An empty text means that no plan is correct.
std::unique_ptr<CudnnPlan> choose_plan(Context& context, const CudnnGraph& graph) {
  const char* const no_relu = "no engine is known to propagate NaN through its relu";
  if (graph.has_relu && context.options.deterministic) throw CudnnRefusal(no_relu);
  const Descriptor properties = properties_descriptor(context);
  const std::string key = fmt::format("cuDNN {} of CUDA {} for {}\n{}", cudnn().version(), cudnn().cuda_version(),
                                      context.autotune_key(), graph.signature);
  if (const std::optional<std::string> text = find_cached(key)) {
    if (text->empty()) throw CudnnRefusal(no_relu);
    try {
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties)
          .set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, static_cast<int64_t>(text->size()),
               text->data())
          .finalize();
      return std::make_unique<CudnnPlan>(std::move(plan), graph);
    } catch (const CudnnRefusal&) {
      // The plan is chosen again.
    }
  }

  Autotuner autotuner(context);
  std::vector<std::unique_ptr<CudnnPlan>> plans =
      plans_of(graph, properties, rules_of(context, graph), autotuner.max_candidates());
  const Autotuner::Choice choice = fastest_of(context, &autotuner, plans, graph);
  if (graph.has_relu && !choice.candidate) {
    if (choice.is_final) store_cached(key, "");
    throw CudnnRefusal(no_relu);
  }
  std::unique_ptr<CudnnPlan> chosen = std::move(plans[choice.candidate.value_or(0)]);
  if (!choice.is_final) return chosen;
  try {
    store_cached(key, chosen->descriptor().read_text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION));
  } catch (const CudnnRefusal&) {
    // A later run chooses again.
  }
  return chosen;
}

}  // namespace trainer::cuda
