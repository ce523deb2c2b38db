// Moves factors that are the same for all summands out of a sum.
//
// The gradients of a normalization, and of the scale and shift after it, sum the same products several times with
// different per-channel factors: sum(g), sum(g * scale), sum(g * (x - mean) * scale / deviation). With these factors
// outside, equal sums become one.
#include <algorithm>

#include "compile/passes.h"

namespace trainer {
namespace {

constexpr int64_t kSmall = 4096;  // elements below which the cost of a sum is negligible

// Whether a value of this shape is the same for all summands of a sum over these axes.
bool is_constant_along(const Shape& shape, const std::vector<int>& axes) {
  return shape.rank() == 0 || std::all_of(axes.begin(), axes.end(), [&](int axis) { return shape[axis] == 1; });
}

struct Product {
  std::vector<int> factors, constants, divisors;  // values; the last two are the same for all summands
};

class SumFactoring {
 public:
  explicit SumFactoring(const Module& module) : module_(module), graph_(*module.graph), rewriter_(graph_) {}

  Module run() {
    for (const Op& op : graph_.ops) {
      if (!is_sum(op)) {
        rewriter_.copy(op);
        continue;
      }
      Product product;
      split(op.inputs[0], op.as<MapBody>(), &product);
      if ((product.constants.empty() && product.divisors.empty()) || product.factors.empty()) {
        rewriter_.copy(op);
      } else {
        place(op, std::move(product));
      }
    }
    return rewriter_.finish(module_);
  }

 private:
  static bool is_sum(const Op& op) {
    if (op.kind != OpKind::kMap) return false;
    const MapBody& body = op.as<MapBody>();
    return body.domain.count() >= kSmall && body.nodes.size() == 1 && body.nodes[0].fn == Fn::kInput &&
           body.outputs.size() == 1 && body.outputs[0].reduction == Reduction::kSum;
  }

  // Decomposes a summand into factors and divisors, through products and quotients over the whole domain of the sum.
  void split(int value, const MapBody& sum, Product* product) const {
    const std::vector<int>& axes = sum.outputs[0].axes;
    if (is_constant_along(graph_.desc(value).shape, axes)) {
      product->constants.push_back(value);
      return;
    }
    const Op& op = graph_.producer(value);
    if (op.kind == OpKind::kMap && op.as<MapBody>().domain == sum.domain && op.as<MapBody>().outputs.size() == 1) {
      const MapBody& body = op.as<MapBody>();
      const MapNode& node = body.nodes[static_cast<size_t>(body.outputs[0].node)];
      const auto operand = [&](int argument) {
        const MapNode& read = body.nodes[static_cast<size_t>(argument)];
        return read.fn == Fn::kInput ? op.inputs[static_cast<size_t>(read.a)] : -1;
      };
      const int a = arity_of(node.fn) == 2 ? operand(node.a) : -1, b = arity_of(node.fn) == 2 ? operand(node.b) : -1;
      if (node.fn == Fn::kMultiply && a >= 0 && b >= 0) {
        split(a, sum, product);
        split(b, sum, product);
        return;
      }
      if (node.fn == Fn::kDivide && a >= 0 && b >= 0 && is_constant_along(graph_.desc(b).shape, axes)) {
        split(a, sum, product);
        product->divisors.push_back(b);
        return;
      }
    }
    product->factors.push_back(value);
  }

  void place(const Op& sum, Product product) {
    // Sorted, so that equal products become equal chains of ops.
    std::sort(product.factors.begin(), product.factors.end());
    const MapBody& body = sum.as<MapBody>();
    int value = rewriter_.mapped(product.factors[0]);
    for (size_t i = 1; i < product.factors.size(); ++i)
      value =
          rewriter_.append_binary(sum.shares, Fn::kMultiply, value, rewriter_.mapped(product.factors[i]), body.domain);
    Op inner = sum;
    inner.inputs = {value};
    const TensorDesc result = graph_.desc(sum.outputs[0]);
    value = rewriter_.append(std::move(inner), {result}).front();
    for (int factor : product.constants)
      value = rewriter_.append_binary(sum.shares, Fn::kMultiply, value, rewriter_.mapped(factor), result.shape);
    for (int divisor : product.divisors)
      value = rewriter_.append_binary(sum.shares, Fn::kDivide, value, rewriter_.mapped(divisor), result.shape);
    rewriter_.set(sum.outputs[0], value);
    rewriter_.to().values[static_cast<size_t>(value)].name = graph_.values[static_cast<size_t>(sum.outputs[0])].name;
  }

  const Module& module_;
  const Graph& graph_;
  Rewriter rewriter_;
};

}  // namespace

Module factor_sums(const Module& module) { return SumFactoring(module).run(); }

}  // namespace trainer
