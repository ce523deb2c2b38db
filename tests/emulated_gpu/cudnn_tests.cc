// The emulated cuDNN: mistakes that the real one does not report end the process.
#include <cudnn.h>
#include <gtest/gtest.h>

namespace {

cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t descriptor = nullptr;
  EXPECT_EQ(cudnnBackendCreateDescriptor(type, &descriptor), CUDNN_STATUS_SUCCESS);
  return descriptor;
}

TEST(EmulatedCudnn, RefusesScalesOfAnotherType) {
  const cudnnBackendDescriptor_t operation = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  const double number = 1;
  const float scale = 1;
  EXPECT_DEATH(cudnnBackendSetAttribute(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_DOUBLE, 1,
                                        &number),
               "CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA has the type CUDNN_TYPE_FLOAT");
  EXPECT_EQ(
      cudnnBackendSetAttribute(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &scale),
      CUDNN_STATUS_SUCCESS);
  cudnnBackendDestroyDescriptor(operation);
}

TEST(EmulatedCudnn, RefusesParametersOfPointwiseOperationsOfAnotherType) {
  const cudnnBackendDescriptor_t pointwise = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const float slope = 0.5f;
  EXPECT_DEATH(
      cudnnBackendSetAttribute(pointwise, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_FLOAT, 1, &slope),
      "CUDNN_TYPE_DOUBLE");
  cudnnBackendDestroyDescriptor(pointwise);
}

TEST(EmulatedCudnn, RefusesRelusThatDropNans) {
  const cudnnBackendDescriptor_t pointwise = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_RELU_FWD;
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnBackendSetAttribute(pointwise, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  cudnnBackendSetAttribute(pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
  EXPECT_DEATH(cudnnBackendFinalize(pointwise), "a relu without CUDNN_PROPAGATE_NAN");
  cudnnBackendDestroyDescriptor(pointwise);
}

TEST(EmulatedCudnn, DoesNotAcceptAttributesThatItIgnores) {
  const cudnnBackendDescriptor_t pointwise = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const int64_t axis = 1;
  EXPECT_EQ(cudnnBackendSetAttribute(pointwise, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &axis),
            CUDNN_STATUS_NOT_SUPPORTED);
  cudnnBackendDestroyDescriptor(pointwise);
}

}  // namespace
