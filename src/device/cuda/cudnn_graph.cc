// Descriptors, and the choice of a plan.
#include "device/cuda/cudnn_graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

constexpr int64_t kMostWorkspace = int64_t{1} << 30, kAlignmentOfTensors = 16;
constexpr int64_t kMostChoices = 32;

void check_cudnn(cudnnStatus_t status, const char* doing) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char message[1024] = {};
  cudnn().last_error_text(message, sizeof message);
  throw CudnnRefusal(fmt::format("cuDNN, {}: {} {}", doing, cudnn().error_text(status), message));
}

// Of the device that is planned for, or of that at hand.
Descriptor properties_descriptor(const Context& context) {
  Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  if (context.planned()) {
    const std::string json = context.properties.cudnn_json();
    properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, static_cast<int64_t>(json.size()), json.data());
  } else {
    const int32_t ordinal = context.ordinal();
    properties.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &ordinal);
  }
  properties.finalize();
  return properties;
}

// Whether its numbers are not what was asked for.
bool has_note(const Descriptor& config, const std::vector<cudnnBackendNumericalNote_t>& excluded) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  int64_t count = 0;
  if (cudnn().get_attribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw) !=
      CUDNN_STATUS_SUCCESS)
    return false;
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  if (cudnn().get_attribute(engine.get(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                            &count, notes) != CUDNN_STATUS_SUCCESS)
    return false;
  return std::find_first_of(notes, notes + count, excluded.begin(), excluded.end()) != notes + count;
}

}  // namespace

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check_cudnn(cudnn().create_descriptor(type, &descriptor_), "making a descriptor");
}
Descriptor::~Descriptor() {
  if (descriptor_ != nullptr) cudnn().destroy_descriptor(descriptor_);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  check_cudnn(cudnn().set_attribute(descriptor_, name, type, count, values), "describing an operation");
  return *this;
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
  return set(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, int64_t value) { return set(name, CUDNN_TYPE_INT64, 1, &value); }
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, float value) {
  const double number = static_cast<double>(value);
  return set(name, CUDNN_TYPE_DOUBLE, 1, &number);
}
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, bool value) { return set(name, CUDNN_TYPE_BOOLEAN, 1, &value); }
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) { return set(name, CUDNN_TYPE_DATA_TYPE, 1, &value); }
Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t raw = value.get();
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}
Descriptor& Descriptor::finalize() {
  check_cudnn(cudnn().finalize(descriptor_), "finishing a description");
  return *this;
}
int64_t Descriptor::read_int64(cudnnBackendAttributeName_t name) const {
  int64_t value = 0, count = 0;
  check_cudnn(cudnn().get_attribute(descriptor_, name, CUDNN_TYPE_INT64, 1, &count, &value), "reading a description");
  return value;
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

Descriptor cudnn_tensor(int64_t number, cudnnDataType_t type, const std::vector<int64_t>& extents, const std::vector<int64_t>& strides) {
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

CudnnPlan::CudnnPlan(Context& context, const std::vector<const Descriptor*>& operations, bool floats) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor* operation : operations) raw.push_back(operation->get());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(raw.size()), raw.data()).finalize();
  const Descriptor properties = properties_descriptor(context);

  std::vector<cudnnBackendNumericalNote_t> excluded;
  if (floats && context.options.precision != Precision::kTF32)
    excluded = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS};
  if (context.options.deterministic) excluded.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
  std::string reason = "it knows no way to compute this";
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    std::vector<Descriptor> configs;
    std::vector<cudnnBackendDescriptor_t> found;
    int64_t count = 0;
    try {
      Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
      heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
          .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode)
          .set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties)
          .finalize();
      for (int64_t i = 0; i < kMostChoices; ++i) {
        configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        found.push_back(configs.back().get());
      }
      check_cudnn(cudnn().get_attribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, kMostChoices,
                                        &count, found.data()),
                  "asking for ways to compute");
    } catch (const CudnnRefusal& refusal) {
      reason = refusal.what();
      continue;
    }
    for (int64_t i = 0; i < std::min(count, kMostChoices); ++i) {
      const Descriptor& config = configs[static_cast<size_t>(i)];
      if (has_note(config, excluded)) continue;
      try {
        auto plan = std::make_unique<Descriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config).set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties).finalize();
        workspace_ = plan->read_int64(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
        if (workspace_ > kMostWorkspace) {
          reason = fmt::format("it needs {} bytes of workspace", workspace_);
          continue;
        }
        plan_ = std::move(plan);
        return;
      } catch (const CudnnRefusal& refusal) {
        reason = refusal.what();
      }
    }
  }
  throw CudnnRefusal(reason);
}

}  // namespace trainer::cuda
