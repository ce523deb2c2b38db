// A gather of rows by index, and its transpose, which adds rows.
#include "layers/shared/rows_by_index.h"

#include <algorithm>

#include "base/error.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// x, indices -> rows of x; transposed: g, indices -> the gradient of x, the rows of g added at their indices.
class RowsByIndex : public OpaqueOp {
 public:
  RowsByIndex(Shape x, int64_t taken, std::string layer, bool transposed)
      : x_(std::move(x)), taken_(taken), layer_(std::move(layer)), transposed_(transposed) {}

  std::string name() const override { return transposed_ ? "rows_by_index_gradient" : "rows_by_index"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    const int64_t row = x_.count(1);
    if (transposed_) std::fill_n(outputs[0], x_.count(), 0.0f);
    for (int64_t i = 0; i < taken_; ++i) {
      const float index = inputs[1][i];
      if (!(index >= 0 && index < static_cast<float>(x_[0])))
        throw data_error("{}: index {} at position {} is outside [0, {})", layer_, index, i, x_[0]);
      const int64_t at = static_cast<int64_t>(index);
      if (!transposed_) {
        std::copy_n(inputs[0] + at * row, row, outputs[0] + i * row);
      } else {
        for (int64_t k = 0; k < row; ++k) outputs[0][at * row + k] += inputs[0][i * row + k];
      }
    }
  }

  std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>&,
                              const std::vector<Value>& output_gradients) const override {
    TRAINER_ASSERT(!transposed_);
    const auto back = std::make_shared<RowsByIndex>(x_, taken_, layer_, true);
    return {opaque(*inputs[0].graph(), back, {output_gradients[0], inputs[1]}, {x_}).front(), Value()};
  }

 private:
  const Shape x_;
  const int64_t taken_;
  const std::string layer_;
  const bool transposed_;
};

}  // namespace

Value rows_by_index(LayerContext& context, Value x, Value indices) {
  Shape shape = x.shape();
  shape[0] = indices.shape()[0];
  const auto op = std::make_shared<RowsByIndex>(x.shape(), shape[0], subject_of(context.param()), false);
  return opaque(context.graph(), op, {x, indices}, {shape}).front();
}

}  // namespace trainer
