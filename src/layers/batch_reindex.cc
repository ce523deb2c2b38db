// BatchReindex: y[i] = x[index[i]] along axis 0. The gradient adds up where an item was taken more than once; the indices
// have none.
#include <algorithm>

#include "base/error.h"
#include "layers/layer.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// Rows of x by index, or, transposed, rows of g added at their index.
class RowsByIndex : public OpaqueOp {
 public:
  RowsByIndex(Shape x, int64_t taken, std::string layer, bool transposed)
      : x_(std::move(x)), taken_(taken), layer_(std::move(layer)), transposed_(transposed) {}

  std::string name() const override { return transposed_ ? "batch_reindex_gradient" : "batch_reindex"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    const int64_t row = x_.count(1);
    if (transposed_) std::fill_n(outputs[0], x_.count(), 0.0f);
    for (int64_t i = 0; i < taken_; ++i) {
      const float given = inputs[1][i];
      if (!(given >= 0 && given < static_cast<float>(x_[0])))
        throw data_error("layer \"{}\" (BatchReindex): index {} at place {} is outside [0, {}), the items of the batch", layer_,
                         given, i, x_[0]);
      const int64_t at = static_cast<int64_t>(given);
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

void lower(LayerContext& context) {
  if (context.shape(1).rank() != 1)
    context.fail("bottom[1]", fmt::format("the indices \"{}\" are {}", context.param().bottom(1), context.shape(1).text()),
                 "they need one axis");
  Shape shape = context.shape(0);
  if (shape.rank() < 1) context.fail("bottom[0]", "a scalar has no items to choose from");
  shape[0] = context.shape(1)[0];
  const auto op = std::make_shared<RowsByIndex>(context.shape(0), shape[0], context.param().name(), false);
  context.set_top(0, opaque(context.graph(), op, {context.bottom(0), context.bottom(1)}, {shape}).front());
}

REGISTER_LAYER(batch_reindex, .type = "BatchReindex", .summary = "chooses and repeats items of a batch by index",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower,
               .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 } } }
layer { name: "index" type: "Input" top: "index" input_param { shape { dim: 4 } } }
layer { name: "reindex" type: "BatchReindex" bottom: "x" bottom: "index" top: "y" }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
