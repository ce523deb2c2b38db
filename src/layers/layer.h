// A layer type is one file in this room: what it accepts and how it lowers to ops.
//
// A rule receives a LayerContext with its message and bottoms, checks them, and sets its tops with the
// functions of ops/math.h. It holds no memory and no device code, and needs no backward: gradients belong to
// ops. Where Caffe's formula is not the derivative, the rule says so with with_gradient.
//
// To add a layer: a file here that ends in REGISTER_LAYER, its message in proto/trainer.proto if it has
// fields.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/graph.h"
#include "ops/math.h"
#include "trainer.pb.h"

namespace trainer {

class LayerContext;

constexpr int kAnyNumber = -1;

struct LayerType {
  const char* type;              // as in `type: "Convolution"`
  const char* summary;           // one line for `help`
  int min_bottoms, max_bottoms;  // max kAnyNumber: unlimited
  int min_tops, max_tops;
  void (*lower)(LayerContext&);
  // Layers that `help` shows and the contract test runs: prototxt text of layers fed by Input layers of their
  // own.
  const char* example;
  bool loss = false;                    // its first top is optional and weighs 1 by default
  bool equal_blobs = false;             // one top for each bottom
  std::vector<int> label_bottoms = {};  // bottoms that can take no gradient
  bool data_source = false;             // its tops come from a data set: registered and opened by room data
  bool allows_in_place = true;

  bool allows_tops(int count) const { return count >= min_tops && (max_tops == kAnyNumber || count <= max_tops); }
};

// All registered types, by name.
const std::vector<const LayerType*>& layer_types();
const LayerType* find_layer_type(const std::string& type);

// layer "conv1" (Convolution), the name of a layer in messages.
std::string subject_of(const caffe::LayerParameter& layer);

struct LayerRegistration {
  explicit LayerRegistration(LayerType type);
};
#define REGISTER_LAYER(name, ...) \
  static const ::trainer::LayerRegistration registration_##name(::trainer::LayerType{__VA_ARGS__})

// A label must be an integer in [0, classes), or the ignored one.
struct LabelRange {
  int64_t classes = 0;
  std::optional<int> ignore;
  std::string consumer;  // "layer \"loss\" (SoftmaxWithLoss)"; filled in where empty
};

// Thrown by LayerContext::fail, caught by lower_net, which goes on with the next layer.
struct LayerFailure {};

// What a rule sees of the net. Values and shapes are logical (Caffe's axes).
class LayerContext {
 public:
  virtual ~LayerContext() = default;

  const caffe::LayerParameter& param() const { return *param_; }
  caffe::Phase phase() const { return phase_; }  // the layer's own phase where it sets one
  Graph& graph() { return *graph_; }

  int bottoms() const { return static_cast<int>(bottom_values_.size()); }
  Value bottom(int i) const { return bottom_values_[static_cast<size_t>(i)]; }
  const Shape& shape(int i) const { return bottom(i).shape(); }
  int tops() const { return top_count_; }
  void set_top(int i, Value value);

  // The next learned blob of the layer. `filler` fills it where no weights are loaded; nullptr means constant
  // `fallback`. Shared blobs (param { name }) give the owner's value.
  virtual Value parameter(const Shape& shape, const caffe::FillerParameter* filler, float fallback = 0) = 0;
  // The next blob of the layer, kept in weight files but not learned (batch-norm statistics): written by the pass
  // itself or by nobody, `initial` at first, no gradient.
  virtual Value statistic(const Shape& shape, float initial = 0) = 0;
  // At the end of the pass the blob with this index becomes `value`.
  virtual void write_statistic(int blob, Value value) = 0;
  // A state of the net that lives from pass to pass but is in no weight file (recurrent layers).
  virtual Value carried_state(const std::string& name, const Shape& shape) = 0;
  virtual void write_carried_state(const std::string& name, Value value) = 0;

  // The key of this layer's random draws for a purpose ("mask").
  virtual uint64_t random_key(const std::string& purpose) const = 0;

  // Tops of a data source: the shapes its data set gives (one a top). Gives the layer up if they are unknown, for
  // opening has then reported why.
  virtual std::vector<Shape> source_shapes() = 0;
  // The shapes that the caller of the net gives for the tops of an Input layer; none if the layer's own shapes hold.
  virtual std::vector<Shape> given_shapes() = 0;
  // A value that is filled from outside before each pass.
  virtual Value source(int top, const Shape& shape) = 0;

  // An extent of a top that only the data decide: `count`, a rank-0 value made of `deciding`, tells it, and it is
  // at most `largest`. The net is lowered for the extent of the batch at hand, or for `largest` before there is one.
  // Layers with the same deciding value have the same extent.
  virtual int64_t data_extent(Value deciding, Value count, int64_t largest) = 0;

  // Whether a pass may write files; layers that write compute without it all the same.
  virtual bool writes_files() const = 0;

  // The bottom's elements must be labels in this range; checked where they are read or computed.
  virtual void require_labels(int bottom, LabelRange range) = 0;

  // Reports a mistake at a field, given by its path within the layer's message ("convolution_param.stride",
  // an element as "bottom[1]", or "" for the layer), and gives the layer up. `hint` is the remedy.
  [[noreturn]] virtual void fail(const std::string& field, const std::string& message,
                                 const std::string& hint = "") = 0;
  virtual void warn(const std::string& field, const std::string& message, const std::string& hint = "") = 0;

  // `axis` made non-negative; fails naming `field` where it is outside [-rank, rank).
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
