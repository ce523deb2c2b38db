// ArgMax: the indices of the top_k largest values; of equal values the larger index comes first. Passes no gradient.
//
// With `axis`, the top has top_k indices along that axis, or with out_max_val only the values. Without `axis`, each
// item is flattened, and the top is (N, 1, top_k) of indices, or with out_max_val (N, 2, top_k) of indices and values,
// followed by axes of extent 1 up to the bottom's rank.
#include <algorithm>
#include <numeric>

#include "layers/layer.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

class LargestOf : public OpaqueOp {
 public:
  // Ranks `count` values, `inner` elements apart, for each outer and inner index.
  LargestOf(int64_t outer, int64_t count, int64_t inner, int64_t top, bool indices, bool values)
      : outer_(outer), count_(count), inner_(inner), top_(top), indices_(indices), values_(values) {}

  std::string name() const override { return "arg_max"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    const int64_t rows = indices_ + values_;
    order_.resize(static_cast<size_t>(count_));
    for (int64_t o = 0; o < outer_; ++o) {
      for (int64_t i = 0; i < inner_; ++i) {
        const float* x = inputs[0] + o * count_ * inner_ + i;
        std::iota(order_.begin(), order_.end(), int64_t{0});
        std::partial_sort(order_.begin(), order_.begin() + top_, order_.end(), [&](int64_t a, int64_t b) {
          const float va = x[a * inner_], vb = x[b * inner_];
          return va > vb || (va == vb && a > b);
        });
        float* y = outputs[0] + o * rows * top_ * inner_ + i;
        for (int64_t k = 0; k < top_; ++k) {
          const int64_t at = order_[static_cast<size_t>(k)];
          if (indices_) y[k * inner_] = static_cast<float>(at);
          if (values_) y[(k + (indices_ ? top_ : 0)) * inner_] = x[at * inner_];
        }
      }
    }
  }

 private:
  const int64_t outer_, count_, inner_, top_;
  const bool indices_, values_;
  mutable std::vector<int64_t> order_;  // of one ranking
};

void lower(LayerContext& context) {
  const caffe::ArgMaxParameter& param = context.param().argmax_param();
  const Shape& x = context.shape(0);
  const bool values = param.out_max_val();
  const int axis = param.has_axis() ? context.canonical_axis(param.axis(), x.rank(), "argmax_param.axis") : 1;
  const int64_t candidates = param.has_axis() ? x[axis] : x.count(1);
  const int64_t top = param.top_k();
  if (top < 1 || top > candidates)
    context.fail("argmax_param.top_k",
                 fmt::format("top_k is {}, and there are {} values to choose from", top, candidates),
                 fmt::format("give a number from 1 to {}", candidates));
  Shape shape = x;
  std::shared_ptr<const OpaqueOp> op;
  if (param.has_axis()) {
    shape[axis] = top;
    op = std::make_shared<LargestOf>(x.count(0, axis), candidates, x.count(axis + 1), top, !values, values);
  } else {
    shape = Shape(std::vector<int64_t>(static_cast<size_t>(std::max(x.rank(), 3)), 1));
    shape[0] = x[0];
    shape[1] = values ? 2 : 1;
    shape[2] = top;
    op = std::make_shared<LargestOf>(x[0], candidates, 1, top, true, values);
  }
  context.set_top(0, opaque(context.graph(), op, {context.bottom(0)}, {shape}).front());
}

REGISTER_LAYER(arg_max, .type = "ArgMax", .summary = "the indices of the largest values", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "argmax" type: "ArgMax" bottom: "x" top: "y" argmax_param { axis: 1 top_k: 2 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
