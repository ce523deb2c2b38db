// The LayerContext of the assembly of a net: one for each layer.
#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "layers/layer.h"
#include "lowering/lower_net.h"
#include "lowering/parameter_table.h"

namespace trainer {

// What all layers of a net share while it is assembled.
struct Assembly {
  const caffe::NetParameter& source;
  const Positions& positions;
  const LowerOptions& options;
  Diagnostics& diagnostics;
  LoweredNet& net;
  ParameterTable parameters;
};

class LayerLowering : public LayerContext {
 public:
  // The layer at this index of Assembly::net, with its bottoms already resolved and its tops named.
  // `random_name` is unique in the net.
  LayerLowering(Assembly& assembly, int layer, std::string random_name);

  // Runs the layer's rule and checks what it gives; false where a mistake was reported. The results are then
  // in the LoweredLayer's tops.
  bool run();

  Value parameter(const Shape& shape, const caffe::FillerParameter* filler, float fallback) override;
  Value statistic(const Shape& shape, float initial) override;
  void write_statistic(int blob, Value value) override;
  Value carried_state(const std::string& name, const Shape& shape) override;
  void write_carried_state(const std::string& name, Value value) override;
  uint64_t random_key(const std::string& purpose) const override;
  std::vector<Shape> source_shapes() override;
  bool knows_source_shapes() const override;
  Value source(int top, const Shape& shape) override;
  int64_t data_extent(Value deciding, Value count, int64_t largest) override;
  bool writes_files() const override { return assembly_.options.writes_files; }
  void require_labels(int bottom, LabelRange range) override;
  [[noreturn]] void fail(const std::string& field, const std::string& message, const std::string& hint = "") override;
  void warn(const std::string& field, const std::string& message, const std::string& hint = "") override;

 private:
  LoweredLayer& lowered();
  const ParameterInfo& blob(int index);
  void check_results();
  // Fails where a blob that the layer owns cannot have this shape; `what` names it.
  void check_own(const std::string& what, const Shape& shape);

  Assembly& assembly_;
  const int layer_;
  const std::string random_name_;
};

// The place of a field of a layer; an element of a repeated field as "bottom[1]".
SourcePosition position_of(const Positions& positions, const caffe::LayerParameter& layer, const std::string& field);

}  // namespace trainer
