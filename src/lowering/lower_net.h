// Lowers a net to a graph: resolves blobs by name, lowers each layer in file order and sums the weighted losses. The
// net must be filtered for its state.
//
// The graph is in SSA form: a blob with two readers is a value with two uses, and an in-place top is another version of
// a name. Caffe's Split layers exist only as names in messages and summaries.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "layers/layer.h"
#include "ops/graph.h"

namespace trainer {

// One learned blob or statistic of one layer. Layers that share a parameter use the state of its owner.
struct ParameterInfo {
  int layer = -1;     // index in LoweredNet::layers
  int blob = 0;       // index within the layer
  std::string state;  // name of the state that holds it: "<owner layer>/<blob>"
  bool owner = true;
  bool statistic = false;  // written by the pass, not trained
  Shape shape;             // in this layer; that of the owner has the same count
  float lr_mult = 1, decay_mult = 1;
  std::string param_name;         // param { name }, or ""
  caffe::FillerParameter filler;  // initial values if no weights are loaded
  Value value;                    // in the shape of this layer
};

// How the values that passes compute become one value of all their records.
struct Averaging {
  enum class Kind { kItems, kDivisor, kShare, kSum };  // see LayerContext::set_divisor
  Kind kind = Kind::kItems;
  Value divisor;  // of kDivisor and kShare
  Value sum;      // that the divisor divides, if it is not the value times the divisor
};

struct LoweredTop {
  std::string name;  // "(automatic)" for a loss without a top
  Value value;
  float loss_weight = 0;
  bool in_place = false;
  Averaging averaging;
};

struct LoweredLayer {
  const caffe::LayerParameter* param = nullptr;
  const LayerType* type = nullptr;
  caffe::Phase phase = caffe::TEST;
  std::vector<std::string> bottom_names;
  std::vector<Value> bottoms;
  std::vector<LoweredTop> tops;
  std::vector<int> parameters;  // indices in LoweredNet::parameters
  std::string mixes_records;    // why its items depend on the other items of the batch; "" if they do not
};

// A blob that no layer reads. Tests and displays report these, in byte order of names.
struct NetOutput {
  std::string name;
  Value value;
  float loss_weight = 0;
  Averaging averaging;
  bool metric = false;  // the top of a metric
};

// The total of a top with a loss weight, a scalar.
struct LossTerm {
  Value value;
  float weight = 0;
  Averaging averaging;
};

// What a layer counts in tests.
struct CountedMetric {
  std::string name;  // of the first top, or of a layer without tops
  std::function<std::unique_ptr<Metric>()> make;
  std::vector<Value> values;
};

struct LabelRequirement {
  Value value;  // the bottom of the consumer
  LabelRange range;
};

// An extent that depends on a batch's data.
struct DataExtent {
  Value count;        // rank 0
  int origin;         // the value that determines it
  std::string layer;  // its name in messages
};

struct LoweredNet {
  std::string name;
  caffe::Phase phase = caffe::TEST;
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<LoweredLayer> layers;
  std::vector<ParameterInfo> parameters;  // in Caffe's order of learnable parameters, sharers included
  std::vector<NetOutput> outputs;
  Value loss;  // rank 0; the weighted sum of all weighted tops; empty if there are none
  std::vector<LossTerm> loss_terms;
  std::vector<CountedMetric> metrics;
  std::vector<LabelRequirement> labels;
  // In layer order: an extent depends only on extents before it.
  std::vector<DataExtent> data_extents;
};

// Multipliers of a solver for lr_mult and decay_mult of the parameters (multipliers.h).
struct ParameterMultipliers {
  google::protobuf::RepeatedPtrField<caffe::ParamRule> rules;
  float layer_decay = 1;
  // Patterns of parameters and statistics that do not change, and of those that change all the same.
  std::vector<std::string> frozen, fresh;
};

struct LowerOptions {
  caffe::Phase phase = caffe::TRAIN;
  uint64_t seed = 0;
  // The shapes of the tops of a data layer; none if opening its data set failed, which has been reported. Also the
  // shapes that the caller gives for an Input layer; none if it gives none.
  std::function<std::vector<Shape>(const caffe::LayerParameter&)> source_shapes;
  // The labels in the data set of a data layer, of a top that has classes; no counts if the data set is not open.
  std::function<std::optional<LabelCounts>(const caffe::LayerParameter&, int top)> count_labels;
  // The first of LoweredNet::data_extents; the others have their largest value.
  std::vector<int64_t> extents;
  // Each reader of a blob or of a shared parameter reads a copy, so that each has a gradient of its own.
  bool separate_readers = false;
  // Whether layers that write files write them.
  bool writes_files = true;
  ParameterMultipliers multipliers;
  // The devices that train together on this net, and the sums over them if each is a process of its own.
  int ranks = 1;
  std::shared_ptr<RankSums> rank_sums;
};

// `net` must outlive the result. Adds problems to `diagnostics`; the result is complete only if there are none. After a
// faulty layer, checks layers as far as their bottoms are known; of a layer with mistakes in its text, checks only the
// names.
std::unique_ptr<LoweredNet> lower_net(const caffe::NetParameter& net, const Positions& positions,
                                      const LowerOptions& options, Diagnostics* diagnostics);

// A layer of the net that Caffe builds, including Split layers: for outputs, debug lines and `summary --caffe`.
struct CaffeLayer {
  std::string name, type;
  int source = -1;  // index in LoweredNet::layers; -1 for a Split, which is not in the file
  std::vector<std::string> bottoms, tops;
  std::vector<Shape> top_shapes;
};
std::vector<CaffeLayer> caffe_layers(const LoweredNet& net);

// Whether a top has an explicit loss_weight other than 0, which Caffe counts as a reader.
bool is_weighted(const LoweredLayer& layer, size_t top);

// A blob by Caffe's name, with its value at the end of the pass: the last version of a name, or a copy by a Split
// ("ip2_ip2_0_split_0"). nullptr if no layer makes it.
const LoweredTop* find_blob(const LoweredNet& net, const std::string& name);

}  // namespace trainer
