// From a net's messages to a graph: filters nothing (the net is already filtered for its state), resolves
// blobs by name, lowers each layer in file order, and weighs the losses.
//
// SSA makes Caffe's machinery superfluous: a blob read twice is a value used twice, an in-place top is a
// second version of a name. A table of Caffe's names, split blobs included, serves messages and summaries
// only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "layers/layer.h"
#include "ops/graph.h"

namespace trainer {

// One learned blob or statistic of one layer. Sharers have the owner's state.
struct ParameterInfo {
  int layer = -1;     // index in LoweredNet::layers
  int blob = 0;       // index within the layer
  std::string state;  // name of the state that holds it: "<owner layer>/<blob>"
  bool owner = true;
  bool statistic = false;  // written by the pass, not trained
  Shape shape;             // this layer's view; the owner's has the same count
  float lr_mult = 1, decay_mult = 1;
  std::string param_name;         // param { name }, or ""
  caffe::FillerParameter filler;  // how it starts where no weights are loaded
  Value value;                    // as this layer reads it
};

struct LoweredTop {
  std::string name;  // "(automatic)" for a loss without a top
  Value value;
  float loss_weight = 0;
  bool in_place = false;
};

struct LoweredLayer {
  const caffe::LayerParameter* param = nullptr;
  const LayerType* type = nullptr;
  caffe::Phase phase = caffe::TEST;
  std::vector<std::string> bottom_names;
  std::vector<Value> bottoms;
  std::vector<LoweredTop> tops;
  std::vector<int> parameters;  // indices in LoweredNet::parameters
};

// A blob that no layer reads: what test and display report, in byte order of names.
struct NetOutput {
  std::string name;
  Value value;
  float loss_weight = 0;
};

struct LabelRequirement {
  Value value;  // as the consumer sees it
  LabelRange range;
};

// An extent that depends on a batch's data.
struct DataExtent {
  Value count;        // rank 0
  int origin;         // the value that decides it
  std::string layer;  // as messages name it
};

struct LoweredNet {
  std::string name;
  caffe::Phase phase = caffe::TEST;
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  std::vector<LoweredLayer> layers;
  std::vector<ParameterInfo> parameters;  // in Caffe's order of learnable parameters, sharers included
  std::vector<NetOutput> outputs;
  Value loss;  // rank 0; the weighted sum of all weighted tops; empty where there is none
  std::vector<LabelRequirement> labels;
  // In layer order: each depends on those before it only.
  std::vector<DataExtent> data_extents;
};

struct LowerOptions {
  caffe::Phase phase = caffe::TRAIN;
  uint64_t seed = 0;
  // Shapes of the tops of a layer whose type is a data source; none where its data set could not be opened
  // and that has been reported.
  std::function<std::vector<Shape>(const caffe::LayerParameter&)> source_shapes;
  // Of LoweredNet::data_extents, as far as they are known; the others are taken at their largest.
  std::vector<int64_t> extents;
  // Each reader of a blob or of a shared parameter reads a copy, so that its gradient can be told from others'.
  bool separate_readers = false;
  // Whether layers that write files do so.
  bool writes_files = true;
};

// `net` must outlive the result. Problems are added to `diagnostics`; the result is complete only where there
// are none. Layers behind a faulty one are checked as far as their bottoms are known; of a layer with mistakes in its
// text only its names are checked.
std::unique_ptr<LoweredNet> lower_net(const caffe::NetParameter& net, const Positions& positions,
                                      const LowerOptions& options, Diagnostics* diagnostics);

// A layer as Caffe would have built it, Split layers included: for outputs, debug lines and `summary
// --caffe`.
struct CaffeLayer {
  std::string name, type;
  int source = -1;  // index in LoweredNet::layers; -1 for a Split that stands in no file
  std::vector<std::string> bottoms, tops;
  std::vector<Shape> top_shapes;
};
std::vector<CaffeLayer> caffe_layers(const LoweredNet& net);

// A blob by Caffe's name, as it stands when the pass is over: the last version of a name, or a copy that a Split makes
// ("ip2_ip2_0_split_0"). Null where no layer makes it.
const LoweredTop* find_blob(const LoweredNet& net, const std::string& name);

}  // namespace trainer
