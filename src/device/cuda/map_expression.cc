// The source of the functions of maps.
#include "device/cuda/map_expression.h"

#include <fmt/format.h>

namespace trainer::cuda {
namespace {

// Numbers that are common enough to be literals, although each makes another source.
bool is_literal(float k) { return k == 0 || k == 1 || k == -1 || k == 2 || k == 3 || k == 0.5f || k == -0.5f; }

std::string definition_text(std::string_view function, std::string_view arguments, std::string_view value) {
  std::string parameters;
  for (char argument : arguments) parameters += fmt::format("{}float {}", parameters.empty() ? "" : ", ", argument);
  return fmt::format("__device__ inline float {}({}) {{ return {}; }}\n", function, parameters, value);
}

}  // namespace

std::string functions_text() {
  std::string definitions = "namespace trainer::cuda::fn {\n";
#define TRAINER_FUNCTION(name, function, text, arguments, cost, range, value, ...) \
  definitions += definition_text(#function, #arguments, #value);
#include "ops/functions.def"
  return definitions + "}\n";
}

std::string number_text(float k, std::vector<float>* constants) {
  if (is_literal(k)) return fmt::format("{:.1f}f", k);
  constants->push_back(k);
  return fmt::format("a.k[{}]", constants->size() - 1);
}

std::string expression_text(const MapNode& n, std::vector<float>* constants) {
  const FnInfo info = info_of(n.fn);
  const bool common = n.fn == Fn::kPowerConstant && is_literal(n.k);
  std::string text = fmt::format("fn::{}(v{}", common ? "common_power" : info.function, n.a);
  if (info.arity > 1) text += fmt::format(", v{}", n.b);
  if (info.arity > 2) text += fmt::format(", v{}", n.c);
  if (info.arguments.ends_with('k')) text += ", " + number_text(n.k, constants);
  return text + ")";
}

}  // namespace trainer::cuda
