// The field numbers of onnx.proto.
#pragma once

#include <cstdint>

namespace trainer::onnx_fields {

constexpr uint32_t kModelIrVersion = 1, kModelProducer = 2, kModelProducerVersion = 3, kModelDoc = 6, kModelGraph = 7,
                   kModelOpset = 8, kModelMetadata = 14;
constexpr uint32_t kOpsetDomain = 1, kOpsetVersion = 2;
constexpr uint32_t kGraphNode = 1, kGraphName = 2, kGraphInitializer = 5, kGraphInput = 11, kGraphOutput = 12;
constexpr uint32_t kNodeInput = 1, kNodeOutput = 2, kNodeName = 3, kNodeType = 4, kNodeAttribute = 5;
constexpr uint32_t kAttributeName = 1, kAttributeFloat = 2, kAttributeInt = 3, kAttributeString = 4, kAttributeInts = 8,
                   kAttributeType = 20;
constexpr uint32_t kTensorDims = 1, kTensorDataType = 2, kTensorFloatData = 4, kTensorInt32Data = 5,
                   kTensorInt64Data = 7, kTensorName = 8, kTensorRawData = 9, kTensorDoubleData = 10,
                   kTensorUint64Data = 11, kTensorExternal = 13, kTensorLocation = 14;
constexpr uint32_t kEntryKey = 1, kEntryValue = 2;
constexpr uint32_t kValueName = 1, kValueType = 2, kValueDoc = 3, kTypeTensor = 1, kTensorTypeElement = 1,
                   kTensorTypeShape = 2, kShapeDim = 1, kDimValue = 1, kDimName = 2;

}  // namespace trainer::onnx_fields
