// The interface of layer types. Each layer type is one file in this room: it checks its bottoms and fields and lowers
// them to ops.
//
// A rule receives a LayerContext with the layer's message and bottoms, checks them, and sets the tops with the
// functions of ops/math.h. It has no memory, no device code and no backward pass: ops have gradients. If Caffe's
// gradient is not the derivative, the rule sets it with with_gradient.
//
// To add a layer, add a file here that ends in REGISTER_LAYER and, if the layer has fields, its message in
// proto/trainer.proto.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/label_range.h"
#include "layers/metric.h"
#include "ops/graph.h"
#include "ops/math.h"
#include "trainer.pb.h"

namespace trainer {

class LayerContext;
class RankSums;

constexpr int kAnyNumber = -1;

struct LayerType {
  const char* type;              // as in `type: "Convolution"`
  const char* summary;           // one line for `help`
  int min_bottoms, max_bottoms;  // max_bottoms kAnyNumber: unlimited
  int min_tops, max_tops;        // likewise
  void (*lower)(LayerContext&);
  // Prototxt text of layers, fed by Input layers in the same text; `help` shows it and the contract test runs it.
  const char* example;
  bool loss = false;                    // its first top is optional and has loss weight 1 by default
  bool equal_blobs = false;             // one top for each bottom
  std::vector<int> label_bottoms = {};  // bottoms that can take no gradient
  bool data_source = false;             // its tops come from a data set: registered and opened by room data
  bool allows_in_place = true;
  bool metric = false;                          // counts values in tests; its top is not a result of a test
  bool class_weights = false;                   // reads label_smoothing and the weights of classes of loss_param
  std::vector<std::string> metric_fields = {};  // the fields of metric_param that it reads

  bool allows_tops(int count) const { return count >= min_tops && (max_tops == kAnyNumber || count <= max_tops); }
};

// All registered types, by name.
const std::vector<const LayerType*>& layer_types();
const LayerType* find_layer_type(const std::string& type);

// The name of a layer in messages: layer "conv1" (Convolution).
std::string subject_of(const caffe::LayerParameter& layer);

struct LayerRegistration {
  explicit LayerRegistration(LayerType type);
};
#define REGISTER_LAYER(name, ...) \
  static const ::trainer::LayerRegistration registration_##name(::trainer::LayerType{__VA_ARGS__})

// Thrown by LayerContext::fail and caught by lower_net, which continues with the next layer.
struct LayerFailure {};

// The layer that a rule lowers, and its net. Values and shapes are logical (Caffe's axes).
class LayerContext {
 public:
  virtual ~LayerContext() = default;

  const caffe::LayerParameter& param() const { return *param_; }
  caffe::Phase phase() const { return phase_; }  // of the layer if it sets one, otherwise of the net
  Graph& graph() { return *graph_; }

  int bottoms() const { return static_cast<int>(bottom_values_.size()); }
  Value bottom(int i) const { return bottom_values_[static_cast<size_t>(i)]; }
  const Shape& shape(int i) const { return bottom(i).shape(); }
  int tops() const { return top_count_; }
  void set_top(int i, Value value);

  // Adds the next learned blob of the layer. `filler` fills it if no weights are loaded; nullptr means the constant
  // `fallback`. For a shared blob (param { name }) returns the owner's value.
  virtual Value parameter(const Shape& shape, const caffe::FillerParameter* filler, float fallback = 0) = 0;
  // Adds the next blob of the layer, stored in weight files but not learned (batch-norm statistics). It starts as
  // `initial`, takes no gradient, and changes only by write_statistic.
  virtual Value statistic(const Shape& shape, float initial = 0) = 0;
  // Sets the blob with this index to `value` at the end of the pass.
  virtual void write_statistic(int blob, Value value) = 0;
  // Whether the statistics added so far do not change in training: a pass uses them as in TEST.
  virtual bool frozen_statistics() = 0;
  // A state of the net that is kept from pass to pass but is not stored in weight files (recurrent layers).
  virtual Value carried_state(const std::string& name, const Shape& shape) = 0;
  virtual void write_carried_state(const std::string& name, Value value) = 0;

  // The key of this layer's random draws for a purpose ("mask").
  virtual uint64_t random_key(const std::string& purpose) const = 0;

  // The shapes of the tops of a data source, from its data set. If the data set could not be opened, which has been
  // reported, stops lowering the layer.
  virtual std::vector<Shape> source_shapes() = 0;
  // The shapes that the caller of the net sets for the tops of an Input layer; empty if the layer's own shapes apply.
  virtual std::vector<Shape> given_shapes() = 0;
  // A value that the caller fills before each pass.
  virtual Value source(int top, const Shape& shape) = 0;

  // An extent of a top that depends on the data: `count`, a rank-0 value computed from `deciding`, is the extent, at
  // most `largest`. The net is lowered for the extent of the current batch, or for `largest` before the first batch.
  // Layers with the same deciding value have the same extent.
  virtual int64_t data_extent(Value deciding, Value count, int64_t largest) = 0;

  // Whether a pass may write files. Layers that write files compute their inputs in any case.
  virtual bool writes_files() const = 0;

  // In tests of a whole data set, the results are those of a single batch of all records. A top whose value is a mean
  // with another divisor than the number of items gives that divisor, of rank 0 or of the top's shape. `sum` is what it
  // divides, if that is not the top times the divisor.
  virtual void set_divisor(int top, Value divisor, Value sum = Value()) = 0;
  // The same for a top that is a sum over the items.
  virtual void set_sum(int top) = 0;
  // The same for a top that is the share of `divisor` records with a property: tests show its confidence interval.
  virtual void set_share(int top, Value divisor) = 0;
  // An item of the top depends on the other items of the batch, in the phase of the net. `reason` says by what.
  virtual void mixes_records(const std::string& reason) = 0;
  // In tests, `make` makes the metric that adds up these values of each pass.
  virtual void count(std::function<std::unique_ptr<Metric>()> make, std::vector<Value> values) = 0;

  // Requires the bottom's elements to be labels in this range; they are checked when they are read or, unless they are
  // soft labels, computed.
  virtual void require_labels(int bottom, LabelRange range) = 0;

  // Reports a mistake at a field and stops lowering the layer. `field` is a path in the layer's message
  // ("convolution_param.stride", "bottom[1]" for an element, "" for the layer); `hint` is the remedy.
  [[noreturn]] virtual void fail(const std::string& field, const std::string& message,
                                 const std::string& hint = "") = 0;
  virtual void warn(const std::string& field, const std::string& message, const std::string& hint = "") = 0;

  // The labels in the data set whose batches are this bottom, or no counts if it is not open. Fails at `field` if no
  // data layer makes the bottom, or one whose labels are not classes.
  virtual LabelCounts count_labels(int bottom, const std::string& field) = 0;

  // The sums over the devices that train together; nullptr if the net is not trained, or by one device only. Fails at
  // `field` unless each device is a process of its own.
  virtual std::shared_ptr<RankSums> rank_sums(const std::string& field) = 0;

  // Returns `axis` as a non-negative axis; fails at `field` if it is outside [-rank, rank).
  int canonical_axis(int axis, int rank, const std::string& field);

 protected:
  const caffe::LayerParameter* param_ = nullptr;
  caffe::Phase phase_ = caffe::TEST;
  Graph* graph_ = nullptr;
  std::vector<Value> bottom_values_;
  std::vector<Value> top_values_;
  int top_count_ = 0;
};

}  // namespace trainer
