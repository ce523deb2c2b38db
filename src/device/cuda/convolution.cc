// Convolutions and their gradients as cuDNN graphs: channels-last images, and filters that each run packs into the
// images' type and cuDNN's order (outputs, rows, columns, inputs). Bias and relu are part of the graph if cuDNN has a
// kernel for both; otherwise a map follows the convolution.
//
// cuDNN computes gradients of filters with f32 sums, and returns them in the images' type only.
#include <map>
#include <optional>

#include "base/error.h"
#include "device/cuda/cuda_kernel.h"
#include "device/cuda/cudnn_graph.h"
#include "device/cuda/implementations.h"
#include "device/cuda/libraries.h"
#include "device/cuda/map_step.h"
#include "runtime/windows.h"

namespace trainer::cuda {
namespace {

enum Number : int64_t { kX = 1, kWeights, kBias, kY };
constexpr size_t kBiasInput = 2;

std::vector<int64_t> channels_last_strides(const std::vector<int64_t>& extents) {
  std::vector<int64_t> strides(extents.size());
  int64_t next = extents[1];
  strides[1] = 1;
  for (size_t i = extents.size(); i-- > 2;) strides[i] = next, next *= extents[i];
  strides[0] = next;
  return strides;
}

// cuDNN's convolutions have at least two spatial axes.
std::vector<int64_t> extents_of(const Shape& shape) {
  std::vector<int64_t> extents = shape.dims();
  while (extents.size() < 4) extents.insert(extents.begin() + 2, 1);
  return extents;
}

Descriptor tensor_of(int64_t number, cudnnDataType_t type, const Shape& shape) {
  const std::vector<int64_t> extents = extents_of(shape);
  return cudnn_tensor(number, type, extents, channels_last_strides(extents));
}

Descriptor convolution_descriptor(const ConvolutionGeometry& g, size_t spatial) {
  auto of = [&](const int64_t(&all)[3]) { return std::vector<int64_t>(all + 3 - spatial, all + 3); };
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, static_cast<int64_t>(spatial))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, of(g.windows.stride))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, of(g.windows.dilation))
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, of(g.windows.pad))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, of(g.windows.pad))
      .finalize();
  return convolution;
}

Descriptor pointwise_descriptor(cudnnPointwiseMode_t mode) {
  Descriptor pointwise(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  pointwise.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  return pointwise;
}

Descriptor add_operation(const Descriptor& x, const Descriptor& bias, const Descriptor& y) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise_descriptor(CUDNN_POINTWISE_ADD).finalize())
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y)
      .finalize();
  return operation;
}

Descriptor relu_operation(float slope, const Descriptor& x, const Descriptor& y) {
  const cudnnNanPropagation_t propagation = CUDNN_PROPAGATE_NAN;
  Descriptor pointwise = pointwise_descriptor(CUDNN_POINTWISE_RELU_FWD);
  pointwise.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &propagation);
  if (slope != 0) pointwise.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, static_cast<double>(slope));
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise.finalize())
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y)
      .finalize();
  return operation;
}

struct ConvolutionPlan {
  std::unique_ptr<CudnnPlan> plan;
  std::string reason;         // why there is no plan
  bool has_epilogue = false;  // whether bias and relu are part of the plan
};

bool has_bias(const OpInstance& instance) { return instance.inputs.size() > kBiasInput; }
bool needs_epilogue(const OpInstance& instance) {
  return instance.op->kind != OpKind::kConvolutionWeightGradient &&
         (has_bias(instance) || instance.op->as<ConvolutionAttributes>().epilogue.relu);
}

// The bias of an op as a tensor of the result's rank.
TensorDesc bias_of(const OpInstance& instance) {
  const Shape& result = instance.outputs[0].shape;
  std::vector<int64_t> extents(static_cast<size_t>(result.rank()), 1);
  extents[1] = result[1];
  return {Shape(extents), DType::kF32, MemoryFormat::kRowMajor};
}

std::unique_ptr<CudnnPlan> make_plan(Context& context, const OpInstance& instance, bool with_epilogue,
                                     const std::string& signature) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const ConvolutionGeometry g = convolution_geometry(instance);
  const Epilogue& epilogue = instance.op->as<ConvolutionAttributes>().epilogue;
  const OpKind kind = instance.op->kind;
  const size_t spatial = extents_of(operands.x->shape).size() - 2;
  const cudnnDataType_t type = cudnn_type(operands.x->dtype);
  const bool forward = kind == OpKind::kConvolution, weight_gradient = kind == OpKind::kConvolutionWeightGradient;
  const bool adds_bias = with_epilogue && has_bias(instance);

  const Descriptor convolution = convolution_descriptor(g, spatial);
  const Descriptor x = tensor_of(kX, type, operands.x->shape), y = tensor_of(kY, type, operands.y->shape);
  const Descriptor w = tensor_of(kWeights, type, operands.weights->shape);
  const Shape& result = instance.outputs[0].shape;
  // The sum and the sum with bias stay in registers.
  const Descriptor sum = tensor_of(0, CUDNN_DATA_FLOAT, result), biased = tensor_of(0, CUDNN_DATA_FLOAT, result);
  std::vector<Descriptor> operations;
  auto convolve = [&](cudnnBackendDescriptorType_t of, cudnnBackendAttributeName_t of_convolution,
                      cudnnBackendAttributeName_t of_x, cudnnBackendAttributeName_t of_w,
                      cudnnBackendAttributeName_t of_y, cudnnBackendAttributeName_t alpha,
                      cudnnBackendAttributeName_t beta, const Descriptor& at_x, const Descriptor& at_y) {
    operations.emplace_back(of);
    operations.back()
        .set(of_convolution, convolution)
        .set(of_x, at_x)
        .set(of_w, w)
        .set(of_y, at_y)
        .set(alpha, 1.0f)
        .set(beta, 0.0f)
        .finalize();
  };
  if (forward) {
    convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, x, with_epilogue ? sum : y);
  } else if (weight_gradient) {
    convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, x, y);
  } else {
    convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
             with_epilogue ? sum : x, y);
  }
  const Descriptor& stored = forward ? y : x;
  const Descriptor bias = tensor_of(kBias, CUDNN_DATA_FLOAT, bias_of(instance).shape);
  if (adds_bias) operations.push_back(add_operation(sum, bias, epilogue.relu ? biased : stored));
  if (with_epilogue && epilogue.relu)
    operations.push_back(relu_operation(epilogue.slope, adds_bias ? biased : sum, stored));

  const auto operand = [&](int64_t number, const TensorDesc& desc) {
    return CudnnOperand{number, operands.x->dtype, desc.shape.count() * size_of(operands.x->dtype)};
  };
  const CudnnOperand at_x = operand(kX, *operands.x), at_w = operand(kWeights, *operands.weights),
                     at_y = operand(kY, *operands.y);
  CudnnGraph graph;
  for (const Descriptor& operation : operations) graph.operations.push_back(&operation);
  graph.inputs = {forward || weight_gradient ? at_x : at_y, weight_gradient ? at_y : at_w};
  graph.result = forward ? at_y : weight_gradient ? at_w : at_x;
  if (adds_bias) graph.inputs.push_back({kBias, DType::kF32, bias_of(instance).bytes()});
  graph.adds_bias = adds_bias;
  graph.has_relu = with_epilogue && epilogue.relu;
  graph.signature = signature + (with_epilogue ? " finished" : "");
  return choose_plan(context, graph);
}

// What a plan depends on, beside the device.
std::string signature_of(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const ConvolutionAttributes& a = instance.op->as<ConvolutionAttributes>();
  std::string text =
      fmt::format("{} {} x{} w{} y{} group {} bias {} relu {} {}", name_of(instance.op->kind),
                  name_of(operands.x->dtype), operands.x->shape.text(), operands.weights->shape.text(),
                  operands.y->shape.text(), a.group, has_bias(instance), a.epilogue.relu, a.epilogue.slope);
  for (const auto* list : {&a.stride, &a.pad, &a.dilation}) text += fmt::format(" {}", fmt::join(*list, ","));
  return text;
}

// Equal convolutions share a plan.
const ConvolutionPlan& plan_of(Context& context, const OpInstance& instance) {
  std::string signature = signature_of(instance);
  const auto known = context.convolution_plans.find(signature);
  if (known != context.convolution_plans.end()) return *std::static_pointer_cast<ConvolutionPlan>(known->second);
  auto made = std::make_shared<ConvolutionPlan>();
  for (const bool with_epilogue : {true, false}) {
    if (made->plan != nullptr || (with_epilogue && !needs_epilogue(instance))) continue;
    try {
      made->plan = make_plan(context, instance, with_epilogue, signature);
      made->has_epilogue = with_epilogue;
    } catch (const CudnnRefusal& refusal) {
      made->reason = refusal.what();
    }
  }
  context.convolution_plans.emplace(std::move(signature), made);
  return *made;
}

class CudnnConvolution : public CudaKernel {
 public:
  CudnnConvolution(Context& context, const OpInstance& instance)
      : CudaKernel(context, instance), kind_(instance.op->kind), plan_(plan_of(context, instance)) {
    const TensorDesc& weights = *convolution_operands(instance).weights;
    TensorDesc packed = weights;
    packed.dtype = convolution_operands(instance).x->dtype;
    packed.order = MemoryFormat::kChannelsLast;
    if (packed.dtype != weights.dtype || !has_format(weights, MemoryFormat::kChannelsLast)) {
      const bool unpacks = kind_ == OpKind::kConvolutionWeightGradient;
      copy_.emplace(context, MapBody::copy(weights.shape), std::vector{unpacks ? packed : weights},
                    unpacks ? weights : packed);
      packed_bytes_ = aligned(packed.bytes());
      cost_ += copy_->cost(packed);
    }
    if (plan_.has_epilogue || !needs_epilogue(instance)) return;
    const TensorDesc& result = instance.outputs[0];
    std::vector<TensorDesc> operands = {result};
    if (has_bias(instance)) operands.push_back(bias_of(instance));
    epilogue_.emplace(context,
                      epilogue_map(instance.op->as<ConvolutionAttributes>().epilogue, result.shape, has_bias(instance)),
                      operands, result);
    cost_ += epilogue_->cost(result);
  }

  KernelCost cost() const override { return cost_; }
  int64_t workspace_bytes() const override { return packed_bytes_ + plan_.plan->workspace_bytes(); }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    const bool unpacks = kind_ == OpKind::kConvolutionWeightGradient;
    std::vector<void*> addresses(inputs.begin(), inputs.begin() + (plan_.has_epilogue ? inputs.size() : kBiasInput));
    void* result = outputs[0];
    if (copy_) {
      void*& filters = unpacks ? result : addresses[1];
      copy_->bind({unpacks ? &workspace : &filters, 1}, unpacks ? filters : workspace);
      filters = workspace;
    }
    if (epilogue_) {
      std::vector<void*> operands = {outputs[0]};
      if (inputs.size() > kBiasInput) operands.push_back(inputs[kBiasInput]);
      epilogue_->bind(operands, outputs[0]);
    }
    pack_.emplace(plan_.plan->pack(addresses, result, static_cast<std::byte*>(workspace) + packed_bytes_));
  }

  void run(const RunContext& run) override {
    const bool unpacks = kind_ == OpKind::kConvolutionWeightGradient;
    if (copy_ && !unpacks) copy_->run(run);
    plan_.plan->run(context(), *pack_);
    if (copy_ && unpacks) copy_->run(run);
    if (epilogue_) epilogue_->run(run);
  }

 private:
  OpKind kind_;
  const ConvolutionPlan& plan_;
  KernelCost cost_;              // of the call and of the maps
  std::optional<MapStep> copy_;  // packs the filters, or unpacks their gradient
  int64_t packed_bytes_ = 0;
  std::optional<MapStep> epilogue_;
  std::optional<Descriptor> pack_;
};

std::string refuse(Context& context, const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  for (const TensorDesc* desc : {operands.x, operands.weights, operands.y}) {
    if (desc->shape.count() == 0) return "an operand is empty";
  }
  if (operands.x->shape.rank() > 5 || operands.x->shape.rank() < 3) return "it does not have 1 to 3 spatial axes";
  if (!has_format(*operands.x, MemoryFormat::kChannelsLast) || !has_format(*operands.y, MemoryFormat::kChannelsLast))
    return "an image is row-major";
  if (operands.x->dtype != operands.y->dtype) return "input and output have different types";
  if (!convolution_geometry(instance).fits_32_bits()) return "the extents of a padded image exceed 32 bits";
  const ConvolutionPlan& plan = plan_of(context, instance);
  return plan.plan == nullptr ? plan.reason : "";
}

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<CudnnConvolution>(context, instance);
}

}  // namespace

const Implementation cudnn_convolution{"cudnn", refuse, create};

}  // namespace trainer::cuda
