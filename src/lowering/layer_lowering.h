// The LayerContext with which lower_net lowers a layer.
#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "layers/layer.h"
#include "lowering/lower_net.h"
#include "lowering/parameter_table.h"

namespace trainer {

// The data that all layers of a net share during lowering.
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
  // For the layer at this index of Assembly::net, whose bottoms are resolved and whose tops have names. `random_name`
  // is unique in the net.
  LayerLowering(Assembly& assembly, int layer, std::string random_name);

  // Runs the rule of the layer, checks its results and stores them in the tops of the LoweredLayer. Returns false if it
  // reported a mistake.
  bool run();

  Value parameter(const Shape& shape, const caffe::FillerParameter* filler, float fallback) override;
  Value statistic(const Shape& shape, float initial) override;
  void write_statistic(int blob, Value value) override;
  bool frozen_statistics() override;
  Value carried_state(const std::string& name, const Shape& shape) override;
  void write_carried_state(const std::string& name, Value value) override;
  uint64_t random_key(const std::string& purpose) const override;
  std::vector<Shape> source_shapes() override;
  std::vector<Shape> given_shapes() override;
  Value source(int top, const Shape& shape) override;
  int64_t data_extent(Value deciding, Value count, int64_t largest) override;
  bool writes_files() const override { return assembly_.options.writes_files; }
  void set_divisor(int top, Value divisor, Value sum) override;
  void set_sum(int top) override;
  void set_share(int top, Value divisor) override;
  void mixes_records(const std::string& reason) override { lowered().mixes_records = reason; }
  void count(std::function<std::unique_ptr<Metric>()> make, std::vector<Value> values) override;
  void require_labels(int bottom, LabelRange range) override;
  LabelCounts count_labels(int bottom, const std::string& field) override;
  std::shared_ptr<RankSums> rank_sums(const std::string& field) override;
  [[noreturn]] void fail(const std::string& field, const std::string& message, const std::string& hint = "") override;
  void warn(const std::string& field, const std::string& message, const std::string& hint = "") override;

 private:
  LoweredLayer& lowered();
  const ParameterInfo& blob(int index);
  Averaging& averaging(int top) { return lowered().tops[static_cast<size_t>(top)].averaging; }
  void check_results();
  // Fails if a blob that the layer owns cannot have this shape; `what` names the blob.
  void check_own(const std::string& what, const Shape& shape);

  Assembly& assembly_;
  const int layer_;
  const std::string random_name_;
};

// The position of a field of a layer; "bottom[1]" is an element of a repeated field.
SourcePosition position_of(const Positions& positions, const caffe::LayerParameter& layer, const std::string& field);

}  // namespace trainer
