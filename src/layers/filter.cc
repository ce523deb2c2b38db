// Filter: keeps the items whose selector is not 0, in their order.
//   bottoms  any number (N, ...), and last the selector (N, 1...)
//   tops     one for each bottom except the selector: (K, ...), K the number of items kept
// A batch with no item to keep ends the run.
#include "base/error.h"
#include "layers/layer.h"
#include "layers/shared/rows_by_index.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// selector -> the indices of its elements that are not 0.
class PlacesKept : public OpaqueOp {
 public:
  PlacesKept(int64_t items, int64_t kept) : items_(items), kept_(kept) {}
  std::string name() const override { return "filter"; }
  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    int64_t found = 0;
    for (int64_t i = 0; i < items_; ++i) {
      if (inputs[0][i] == 0) continue;
      TRAINER_ASSERT(found < kept_);
      outputs[0][found++] = static_cast<float>(i);
    }
    TRAINER_ASSERT(found == kept_);
  }

 private:
  const int64_t items_, kept_;
};

void lower(LayerContext& context) {
  const int selector_at = context.bottoms() - 1;
  const Shape& selector = context.shape(selector_at);
  if (context.tops() != selector_at)
    context.fail("top", fmt::format("{} tops for {} bottoms", context.tops(), context.bottoms()),
                 "give one top for each bottom except the last, which is the selector");
  if (selector.rank() < 1 || selector.count(1) != 1)
    context.fail(fmt::format("bottom[{}]", selector_at),
                 fmt::format("the selector \"{}\" is {}", context.param().bottom(selector_at), selector.text()),
                 "it must hold one value per item: all axes after the first must have extent 1");
  for (int i = 0; i < selector_at; ++i)
    if (context.shape(i).rank() < 1 || context.shape(i)[0] != selector[0])
      context.fail(fmt::format("bottom[{}]", i),
                   fmt::format("\"{}\" is {}, the selector \"{}\" {}", context.param().bottom(i),
                               context.shape(i).text(), context.param().bottom(selector_at), selector.text()),
                   "each bottom must have the same first extent as the selector");
  const int64_t items = selector[0];
  const Value flags = reshape(context.bottom(selector_at), Shape{items});
  const Value count = reshape(sum(1.0f - equal(flags, 0.0f), {0}), Shape{});
  const int64_t kept = context.data_extent(flags, count, items);
  const Value places =
      opaque(context.graph(), std::make_shared<PlacesKept>(items, kept), {flags}, {Shape{kept}}).front();
  for (int i = 0; i < selector_at; ++i) context.set_top(i, rows_by_index(context, context.bottom(i), places));
}

REGISTER_LAYER(filter, .type = "Filter", .summary = "keeps the selected items of a batch", .min_bottoms = 2,
               .max_bottoms = kAnyNumber, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 } } }
layer { name: "keep" type: "DummyData" top: "keep" dummy_data_param { shape { dim: 2 } data_filler { value: 1 } } }
layer { name: "filter" type: "Filter" bottom: "x" bottom: "keep" top: "y" }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
