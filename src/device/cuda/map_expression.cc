// The text of each function of a map.
#include "device/cuda/map_expression.h"

#include <fmt/format.h>

namespace trainer::cuda {
namespace {

// Numbers that are so common that texts with them written out are worth their number.
bool is_written_out(float k) { return k == 0 || k == 1 || k == -1 || k == 2 || k == 3 || k == 0.5f || k == -0.5f; }

// What preludes/functions.h calls it.
const char* function_of(const MapNode& n) {
  switch (n.fn) {
    case Fn::kNegate: return "negate";
    case Fn::kAbs: return "abs";
    case Fn::kSign: return "sign";
    case Fn::kExp: return "exp";
    case Fn::kLog: return "log";
    case Fn::kSqrt: return "sqrt";
    case Fn::kErf: return "erf";
    case Fn::kTanh: return "tanh";
    case Fn::kSigmoid: return "sigmoid";
    case Fn::kFloor: return "floor";
    case Fn::kSoftplus: return "softplus";
    case Fn::kPowerConstant: return is_written_out(n.k) ? "power_constant" : "power";
    case Fn::kRelu: return "relu";
    case Fn::kAdd: return "add";
    case Fn::kSubtract: return "subtract";
    case Fn::kMultiply: return "multiply";
    case Fn::kDivide: return "divide";
    case Fn::kMinimum: return "minimum";
    case Fn::kMaximum: return "maximum";
    case Fn::kPower: return "power";
    case Fn::kGreater: return "greater";
    case Fn::kGreaterEqual: return "greater_equal";
    case Fn::kEqual: return "equal";
    case Fn::kReluGradient: return "relu_gradient";
    case Fn::kSelect: return "select";
    default: return "?";
  }
}

bool takes_constant(Fn fn) { return fn == Fn::kPowerConstant || fn == Fn::kRelu || fn == Fn::kReluGradient; }

}  // namespace

std::string number_text(float k, std::vector<float>* constants) {
  if (is_written_out(k)) return fmt::format("{:.1f}f", k);
  constants->push_back(k);
  return fmt::format("a.k[{}]", constants->size() - 1);
}

std::string expression_text(const MapNode& n, std::vector<float>* constants) {
  std::string text = fmt::format("fn::{}(v{}", function_of(n), n.a);
  if (arity_of(n.fn) > 1) text += fmt::format(", v{}", n.b);
  if (arity_of(n.fn) > 2) text += fmt::format(", v{}", n.c);
  if (takes_constant(n.fn)) text += ", " + number_text(n.k, constants);
  return text + ")";
}

}  // namespace trainer::cuda
