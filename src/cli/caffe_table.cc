// Formats the lines of `trainer summary --caffe`.
#include "cli/caffe_table.h"

#include <fmt/format.h>

namespace trainer {
namespace {

std::string escaped(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == '\t')
      text += "\\t";
    else if (c == '\n')
      text += "\\n";
    else if (c == '\\')
      text += "\\\\";
    else
      text += c;
  }
  return text;
}

std::string dims(const Shape& shape) { return fmt::format("{}", fmt::join(shape.dims(), ",")); }

}  // namespace

std::string caffe_table(const LoweredNet& net) {
  std::string text;
  for (const CaffeLayer& layer : caffe_layers(net)) {
    const std::string name = escaped(layer.name);
    text += fmt::format("layer\t{}\t{}", name, escaped(layer.type));
    for (const std::string& bottom : layer.bottoms) text += "\t" + escaped(bottom);
    text += "\n";
    for (size_t i = 0; i < layer.tops.size(); ++i)
      text += fmt::format("top\t{}\t{}\t{}\t{}\n", name, escaped(layer.type), escaped(layer.tops[i]),
                          dims(layer.top_shapes[i]));
    if (layer.source < 0) continue;
    for (int index : net.layers[static_cast<size_t>(layer.source)].parameters) {
      const ParameterInfo& blob = net.parameters[static_cast<size_t>(index)];
      text += fmt::format("blob\t{}\t{}\t{}\n", name, blob.blob, dims(blob.shape));
    }
  }
  return text;
}

}  // namespace trainer
