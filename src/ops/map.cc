// The properties of scalar functions and of map bodies, and the printed form of a map.
#include "ops/map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace trainer {

FnInfo info_of(Fn fn) {
#define TRAINER_FUNCTION(name, function, text, arguments, cost, range, ...) \
  case Fn::k##name: return {text, arity_of(#arguments), cost, Range::range, #function, #arguments};
  switch (fn) {
    case Fn::kInput: return {"in", 0, 4};
    case Fn::kConstant: return {"constant", 0, 0};
    case Fn::kIndex: return {"index", 0, 1};
    case Fn::kSegment: return {"segment", 0, 1};
    case Fn::kUniform: return {"uniform", 0, 8};
    case Fn::kNormal: return {"normal", 0, 40};
#include "ops/functions.def"
  }
  return {"?", 0, 0};
}

float MapNode::apply(float a, float b, float c) const {
#define TRAINER_FUNCTION(name, function, text, arguments, cost, range, value, ...) \
  case Fn::k##name: return value;
  switch (fn) {
#include "ops/functions.def"
    default: return 0;
  }
}

bool MapBody::reduces() const {
  return std::any_of(outputs.begin(), outputs.end(),
                     [](const MapOutput& output) { return output.reduction != Reduction::kNone; });
}

Shape MapBody::output_shape(size_t output) const {
  Shape shape = domain;
  for (int axis : outputs[output].axes) shape[axis] = 1;
  return shape;
}

int MapBody::arithmetic_nodes() const {
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(), [](const MapNode& node) {
    return arity_of(node.fn) > 0 || node.fn == Fn::kUniform || node.fn == Fn::kNormal;
  }));
}

std::string MapBody::text() const {
  std::vector<std::string> terms;
  for (const MapNode& node : nodes) {
    auto term = [&](int i) { return terms[static_cast<size_t>(i)]; };
    std::string text;
    switch (arity_of(node.fn)) {
      case 0:
        text = node.fn == Fn::kConstant ? fmt::format("{:g}", node.k) : fmt::format("{}{}", name_of(node.fn), node.a);
        break;
      case 1:
        if (node.fn == Fn::kNegate) {
          text = "-" + term(node.a);
        } else if (node.fn == Fn::kPowerConstant || (node.fn == Fn::kRelu && node.k != 0)) {
          text = fmt::format("{}({}, {:g})", name_of(node.fn), term(node.a), node.k);
        } else {
          text = fmt::format("{}({})", name_of(node.fn), term(node.a));
        }
        break;
      case 2:
        text = std::string(name_of(node.fn)).size() <= 2
                   ? fmt::format("({} {} {})", term(node.a), name_of(node.fn), term(node.b))
                   : fmt::format("{}({}, {})", name_of(node.fn), term(node.a), term(node.b));
        break;
      default: text = fmt::format("{}({}, {}, {})", name_of(node.fn), term(node.a), term(node.b), term(node.c));
    }
    if (text.size() > 300) text.replace(297, std::string::npos, 3, '.');
    terms.push_back(std::move(text));
  }
  std::string out;
  for (size_t i = 0; i < outputs.size(); ++i) {
    out += i == 0 ? "" : "; ";
    if (outputs[i].reduction != Reduction::kNone) {
      out += outputs[i].reduction == Reduction::kSum ? "sum[" : "max[";
      for (size_t k = 0; k < outputs[i].axes.size(); ++k) out += fmt::format("{}{}", k ? "," : "", outputs[i].axes[k]);
      out += "] ";
    }
    out += terms[static_cast<size_t>(outputs[i].node)];
  }
  return out;
}

MapBody MapBody::copy(const Shape& domain) { return {domain, {{Fn::kInput, 0}}, {{0, Reduction::kNone, {}}}, {}, {}}; }

MapBody MapBody::binary(const Shape& domain, Fn fn) {
  return {domain, {{Fn::kInput, 0}, {Fn::kInput, 1}, {fn, 0, 1}}, {{2, Reduction::kNone, {}}}, {}, {}};
}

}  // namespace trainer
