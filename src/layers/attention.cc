// Attention: y = softmax(scale * Q * K^T) * V, for each of `heads` equal parts of the last axes.
//   bottoms  Q (N, T, D), K (N, S, D), V (N, S, E); optional: mask (N, S) or (N, T, S), 0 at keys that a query must not
//            attend to
//   top      (N, T, E)
// The default scale is 1 / sqrt(D / heads). With `causal` the query at position t attends to positions up to t. The
// result of a query that may attend to no key is 0. The mask takes no gradient.
#include <cmath>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

constexpr float kMasked = -1e30f;  // a score whose softmax is 0 beside any other score

void check(LayerContext& context) {
  const char* const names[] = {"queries", "keys", "values"};
  const Shape &q = context.shape(0), &k = context.shape(1), &v = context.shape(2);
  const auto require = [&](int bottom, bool fits, const std::string& needed) {
    if (fits) return;
    context.fail(fmt::format("bottom[{}]", bottom),
                 fmt::format("the {} \"{}\" are {}", bottom < 3 ? names[bottom] : "mask",
                             context.param().bottom(bottom), context.shape(bottom).text()),
                 "they need the shape " + needed);
  };
  require(0, q.rank() == 3, "(items, queries, features)");
  require(1, k.rank() == 3 && k[0] == q[0] && k[2] == q[2],
          fmt::format("({}, keys, {}), to match the queries", q[0], q[2]));
  require(2, v.rank() == 3 && v[0] == q[0] && v[1] == k[1],
          fmt::format("({}, {}, features), to match the keys", q[0], k[1]));
  if (context.bottoms() > 3) {
    const Shape keys{q[0], k[1]}, pairs{q[0], q[1], k[1]};
    require(3, context.shape(3) == keys || context.shape(3) == pairs,
            fmt::format("({}) or ({})", keys.text(), pairs.text()));
  }
  const int64_t heads = context.param().attention_param().heads();
  if (heads < 1 || q[2] % heads != 0 || v[2] % heads != 0)
    context.fail("attention_param.heads",
                 fmt::format("{} heads for {} features of the queries and {} of the values", heads, q[2], v[2]),
                 "both must be multiples of heads");
}

// (N, L, F) as (N * heads, L, F / heads).
Value split(Value x, int64_t heads) {
  const Shape& s = x.shape();
  const Value parts = permute(reshape(x, Shape{s[0], s[1], heads, s[2] / heads}), {0, 2, 1, 3});
  return reshape(parts, Shape{s[0] * heads, s[1], s[2] / heads});
}
Value join(Value x, int64_t heads) {
  const Shape& s = x.shape();
  const Value parts = permute(reshape(x, Shape{s[0] / heads, heads, s[1], s[2]}), {0, 2, 1, 3});
  return reshape(parts, Shape{s[0] / heads, s[1], heads * s[2]});
}

// 1 for keys that a query may attend to, else 0; broadcasts against (N, heads, T, S). Empty if there is no mask.
Value allowed(LayerContext& context) {
  Value result;
  const int64_t queries = context.shape(0)[1], keys = context.shape(1)[1];
  if (context.bottoms() > 3) {
    const Shape& s = context.shape(3);
    const Value mask = stop_gradient(reshape(context.bottom(3), Shape{s[0], 1, s.rank() == 2 ? 1 : queries, keys}));
    result = 1.0f - equal(mask, 0.0f);
  }
  if (context.param().attention_param().causal()) {
    const Shape pairs{1, 1, queries, keys};
    const Value past = greater_equal(index_along(context.graph(), pairs, 2), index_along(context.graph(), pairs, 3));
    result = result ? result * past : past;
  }
  return result;
}

void lower(LayerContext& context) {
  check(context);
  const caffe::AttentionParameter& param = context.param().attention_param();
  const int64_t heads = param.heads();
  const float scale =
      param.has_scale() ? param.scale() : 1 / std::sqrt(static_cast<float>(context.shape(0)[2] / heads));
  const Value q = split(context.bottom(0), heads), k = split(context.bottom(1), heads),
              v = split(context.bottom(2), heads);
  const Value products = matmul(q, k, Value(), false, true);
  const Shape flat = products.shape(), full{context.shape(0)[0], heads, flat[1], flat[2]};
  Value scores = reshape(products, full) * scale;
  const Value open = allowed(context);
  if (open) scores = select(open, scores, constant(context.graph(), Shape{}, kMasked));
  Value weights = softmax(scores, 3);
  if (open) weights = weights * open;
  context.set_top(0, join(matmul(reshape(weights, flat), v, Value(), false, false), heads));
}

REGISTER_LAYER(attention, .type = "Attention", .summary = "scaled dot-product attention with heads and masks",
               .min_bottoms = 3, .max_bottoms = 4, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "q" type: "Input" top: "q" input_param { shape { dim: 2 dim: 4 dim: 6 } } }
layer { name: "k" type: "Input" top: "k" input_param { shape { dim: 2 dim: 5 dim: 6 } } }
layer { name: "v" type: "Input" top: "v" input_param { shape { dim: 2 dim: 5 dim: 8 } } }
layer { name: "attention" type: "Attention" bottom: "q" bottom: "k" bottom: "v" top: "y"
  attention_param { heads: 2 causal: true } }
)",
               .label_bottoms = {3}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
