// The text of each function of a map.
#include "device/cuda/map_expression.h"

#include <fmt/format.h>

namespace trainer::cuda {
namespace {

// Numbers that are so common that texts with them written out are worth their number.
bool is_written_out(float k) { return k == 0 || k == 1 || k == -1 || k == 2 || k == 0.5f || k == -0.5f; }

std::string power_text(const std::string& a, float k, std::vector<float>* constants) {
  if (k == 2) return fmt::format("{0} * {0}", a);
  if (k == 3) return fmt::format("{0} * {0} * {0}", a);
  if (k == 1) return a;
  if (k == -1) return fmt::format("1.0f / {}", a);
  // As std::pow: minus infinity gives infinity, and -0 is no different from 0.
  if (k == 0.5f) return fmt::format("({0} == -INFINITY ? INFINITY : sqrtf({0} + 0.0f))", a);
  if (k == -0.5f) return fmt::format("({0} == -INFINITY ? 0.0f : 1.0f / sqrtf({0} + 0.0f))", a);
  return fmt::format("powf({}, {})", a, number_text(k, constants));
}

}  // namespace

std::string number_text(float k, std::vector<float>* constants) {
  if (is_written_out(k)) return fmt::format("{:.1f}f", k);
  constants->push_back(k);
  return fmt::format("a.k[{}]", constants->size() - 1);
}

std::string expression_text(const MapNode& n, std::vector<float>* constants) {
  const std::string a = fmt::format("v{}", n.a), b = fmt::format("v{}", n.b), c = fmt::format("v{}", n.c);
  switch (n.fn) {
    case Fn::kNegate: return "-" + a;
    case Fn::kAbs: return fmt::format("fabsf({})", a);
    case Fn::kSign: return fmt::format("({0} != {0} ? {0} : (float)(({0} > 0.0f) - ({0} < 0.0f)))", a);
    case Fn::kExp: return fmt::format("expf({})", a);
    case Fn::kLog: return fmt::format("logf({})", a);
    case Fn::kSqrt: return fmt::format("sqrtf({})", a);
    case Fn::kErf: return fmt::format("erff({})", a);
    case Fn::kTanh: return fmt::format("tanhf({})", a);
    case Fn::kSigmoid: return fmt::format("1.0f / (1.0f + expf(-{}))", a);
    case Fn::kFloor: return fmt::format("floorf({})", a);
    case Fn::kSoftplus:
      return fmt::format("({0} != {0} ? {0} : fmaxf({0}, 0.0f) + log1pf(expf(-fabsf({0}))))", a);
    case Fn::kPowerConstant: return power_text(a, n.k, constants);
    case Fn::kRelu:
      return n.k == 0 ? fmt::format("({0} > 0.0f || {0} != {0} ? {0} : 0.0f)", a)
                      : fmt::format("({0} > 0.0f ? {0} : {1} * {0})", a, number_text(n.k, constants));
    case Fn::kAdd: return a + " + " + b;
    case Fn::kSubtract: return a + " - " + b;
    case Fn::kMultiply: return a + " * " + b;
    case Fn::kDivide: return a + " / " + b;
    case Fn::kMinimum: return fmt::format("({0} != {0} || {0} < {1} ? {0} : {1})", a, b);
    case Fn::kMaximum: return fmt::format("({0} != {0} || {0} > {1} ? {0} : {1})", a, b);
    case Fn::kPower: return fmt::format("powf({}, {})", a, b);
    case Fn::kGreater: return fmt::format("({} > {} ? 1.0f : 0.0f)", a, b);
    case Fn::kGreaterEqual: return fmt::format("({} >= {} ? 1.0f : 0.0f)", a, b);
    case Fn::kEqual: return fmt::format("({} == {} ? 1.0f : 0.0f)", a, b);
    case Fn::kReluGradient:
      return fmt::format("({} > 0.0f ? {} : {} * {})", a, b, number_text(n.k, constants), b);
    case Fn::kSelect: return fmt::format("({} != 0.0f ? {} : {})", a, b, c);
    default: return "";
  }
}

}  // namespace trainer::cuda
