// Computes the outputs of an ONNX model, for the operators that exported nets use, as the ONNX specification defines
// them. It is written for clarity and shares no code with the devices, so that it can check an exported file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "export/onnx_model.h"
#include "tensor/shape.h"

namespace trainer {

// A value: floats, or integers (indices, shapes, truth values).
struct OnnxArray {
  Shape shape;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  bool integers = false;

  static OnnxArray of_floats(const Shape& shape);
  static OnnxArray of_ints(const Shape& shape);
};

// One operator on its inputs; an input that is left out is nullptr.
struct OnnxCall {
  const OnnxNode& node;
  std::vector<const OnnxArray*> inputs;

  const OnnxArray& input(size_t i) const;
  bool has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  // An axis attribute or value as a non-negative axis of the first input.
  int axis(int64_t value) const;
};
using OnnxOperator = std::vector<OnnxArray> (*)(const OnnxCall&);
using OnnxOperators = std::map<std::string, OnnxOperator>;

// The groups of operators (onnx_windows.cc, onnx_elementwise.cc, onnx_arrays.cc, onnx_products.cc).
void add_window_operators(OnnxOperators* operators);
void add_elementwise_operators(OnnxOperators* operators);
void add_array_operators(OnnxOperators* operators);
void add_product_operators(OnnxOperators* operators);

// The values with these names; a name that the model lacks is left out.
std::map<std::string, OnnxArray> evaluate_onnx(const OnnxModel& model, std::map<std::string, OnnxArray> inputs,
                                               const std::vector<std::string>& names);

}  // namespace trainer
