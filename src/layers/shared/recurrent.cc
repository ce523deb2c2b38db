// Bottoms, input products and states of recurrent layers.
#include "layers/shared/recurrent.h"

namespace trainer {
namespace {

void check_bottom(LayerContext& context, int bottom, const std::string& what, bool fits, const std::string& needed) {
  if (fits) return;
  context.fail(fmt::format("bottom[{}]", bottom),
               fmt::format("{} \"{}\" is {}", what, context.param().bottom(bottom), context.shape(bottom).text()),
               "it needs the shape " + needed);
}

// Finds out whether a test carries states from batch to batch: `cont` of the first steps of a batch, which is 0 where
// sequences begin, says so.
class CarryingBatches : public Metric {
 public:
  explicit CarryingBatches(std::string layer) : layer_(std::move(layer)) {}

  void add(std::span<const std::vector<float>> pass) override {
    carried_ = carried_ || (passes_++ > 0 && pass[0][0] > 0);
  }

  MetricResult result() const override {
    MetricResult result;
    if (carried_) result.mixes_records = layer_ + ": it carries a state from batch to batch";
    return result;
  }

 private:
  const std::string layer_;  // its name in messages
  int64_t passes_ = 0;
  bool carried_ = false;
};

}  // namespace

RecurrentInput recurrent_input(LayerContext& context, int states) {
  const caffe::RecurrentParameter& param = context.param().recurrent_param();
  if (param.num_output() == 0)
    context.fail("recurrent_param.num_output", "num_output must be positive", "it is the size of the hidden state");
  if (param.debug_info())
    context.warn("recurrent_param.debug_info", "debug_info has no effect", "the blobs of single steps are not kept");
  RecurrentInput input;
  input.exposed = param.expose_hidden();
  const int exposed = input.exposed ? states : 0;
  if (context.bottoms() != 2 + exposed && context.bottoms() != 3 + exposed)
    context.fail("bottom",
                 fmt::format("{} bottoms, but {} needs {} or {}", context.bottoms(), context.param().type(),
                             2 + exposed, 3 + exposed),
                 input.exposed ? "with expose_hidden: true give x, cont, optionally x_static, and the initial states"
                               : "give x, cont and optionally x_static; initial states need expose_hidden: true");
  if (context.tops() != 1 + exposed)
    context.fail("top", fmt::format("{} tops, but {} produces {}", context.tops(), context.param().type(), 1 + exposed),
                 "final states are tops only with expose_hidden: true");

  const Shape& x = context.shape(0);
  check_bottom(context, 0, "x", x.rank() >= 2, "(steps, items, ...)");
  input.steps = x[0];
  input.items = x[1];
  input.hidden = param.num_output();
  const Shape cont{input.steps, input.items};
  check_bottom(context, 1, "cont", context.shape(1) == cont, cont.text() + ": the steps and items of bottom 0");
  input.x = reshape(context.bottom(0), Shape{input.steps * input.items, x.count(2)});
  input.cont = context.bottom(1);
  if (context.bottoms() == 3 + exposed) {
    const Shape& fixed = context.shape(2);
    check_bottom(context, 2, "x_static", fixed.rank() >= 1 && fixed[0] == input.items,
                 fmt::format("({}, ...): the items of bottom 0", input.items));
    input.x_static = reshape(context.bottom(2), Shape{input.items, fixed.count(1)});
  }
  const Shape state{1, input.items, input.hidden};
  for (int i = context.bottoms() - exposed; i < context.bottoms(); ++i)
    check_bottom(context, i, "the initial state", context.shape(i) == state, state.text());
  return input;
}

Value input_sums(LayerContext& context, const RecurrentInput& input, int64_t sums) {
  const caffe::RecurrentParameter& param = context.param().recurrent_param();
  const Value weights = context.parameter(Shape{sums, input.x.shape()[1]}, &param.weight_filler());
  const Value bias = context.parameter(Shape{sums}, &param.bias_filler());
  const Value moving = reshape(matmul(input.x, weights, bias, false, true), Shape{input.steps, input.items, sums});
  if (!input.x_static) return moving;
  const Value fixed_weights = context.parameter(Shape{sums, input.x_static.shape()[1]}, &param.weight_filler());
  const Value fixed = matmul(input.x_static, fixed_weights, Value(), false, true);
  return moving + reshape(fixed, Shape{1, input.items, sums});
}

Value first_state(LayerContext& context, const RecurrentInput& input, int index, const std::string& name) {
  const Shape shape{input.items, input.hidden};
  if (!input.exposed && index == 0 && context.phase() == caffe::TEST)
    context.count([layer = subject_of(context.param())] { return std::make_unique<CarryingBatches>(layer); },
                  {reshape(max(abs(slice(stop_gradient(input.cont), 0, 0, 1)), {0, 1}), Shape{})});
  if (!input.exposed) return context.carried_state(name, shape);
  const int bottom = (input.x_static ? 3 : 2) + index;
  return stop_gradient(reshape(context.bottom(bottom), shape));
}

void finish_state(LayerContext& context, const RecurrentInput& input, int index, const std::string& name, Value all) {
  const Value last = slice(all, 0, input.steps - 1, input.steps);
  if (input.exposed) return context.set_top(1 + index, stop_gradient(last));
  context.write_carried_state(name, reshape(last, Shape{input.items, input.hidden}));
}

}  // namespace trainer
