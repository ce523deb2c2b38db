// Removes labels, losses and metrics from a net.
#include "session/deploy_net.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/error.h"
#include "data/data_source.h"
#include "layers/layer.h"

namespace trainer {
namespace {

using caffe::LayerParameter;
using caffe::NetParameter;

// The type of the layer that makes probabilities of the scores of a loss; "" for losses that read other values.
std::string probabilities_of(const LayerParameter& loss) {
  if (loss.type() == "SoftmaxWithLoss" || loss.type() == "InfogainLoss") return "Softmax";
  if (loss.type() == "SigmoidCrossEntropyLoss") return "Sigmoid";
  if (loss.type() == "FocalLoss")
    return loss.focal_loss_param().probability() == caffe::FocalLossParameter::SIGMOID ? "Sigmoid" : "Softmax";
  return "";
}

bool reads(const LayerParameter& layer, const std::string& blob) {
  return std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
}

// Layers whose results need a label, or that write files.
bool is_evaluation(const LayerParameter& layer) {
  const LayerType* type = find_layer_type(layer.type());
  return (type != nullptr && (type->loss || type->metric)) || layer.type() == "Accuracy" ||
         layer.type() == "HDF5Output";
}

class LabelRemoval {
 public:
  explicit LabelRemoval(NetParameter* net) : net_(*net) {}

  Prediction run() {
    for (const LayerParameter& layer : net_.layer()) find_labels(layer);
    std::vector<LayerParameter> kept;
    for (const LayerParameter& layer : net_.layer()) {
      if (!remove(layer)) kept.push_back(layer);
    }
    for (LayerParameter& layer : kept) {
      if (layer.type() == "HDF5Data") remove_tops(&layer);
    }
    net_.clear_layer();
    for (LayerParameter& layer : kept) *net_.add_layer() = std::move(layer);
    for (const LayerParameter& loss : losses_) add_probabilities(loss);
    return choose();
  }

 private:
  void find_labels(const LayerParameter& layer) {
    if (find_data_source(layer.type()) == nullptr) return;
    for (int i = 0; i < layer.top_size(); ++i) {
      const bool label = layer.type() == "HDF5Data" ? only_evaluated(layer.top(i)) : i > 0;
      if (label) removed_.insert(layer.top(i));
    }
  }

  bool only_evaluated(const std::string& blob) const {
    bool evaluated = false;
    for (const LayerParameter& layer : net_.layer()) {
      if (!reads(layer, blob) || layer.type() == "Silence") continue;
      // The first bottom of a loss has the scores.
      if (!is_evaluation(layer) || layer.bottom(0) == blob) return false;
      evaluated = true;
    }
    return evaluated;
  }

  void remove_tops(LayerParameter* layer) const {
    auto* tops = layer->mutable_top();
    tops->erase(
        std::remove_if(tops->begin(), tops->end(), [&](const std::string& top) { return removed_.count(top) > 0; }),
        tops->end());
  }

  // Whether the layer is removed, and with it the blobs that it makes.
  bool remove(const LayerParameter& layer) {
    const bool evaluation = is_evaluation(layer);
    const bool unlabelled = std::none_of(layer.bottom().begin(), layer.bottom().end(),
                                         [&](const std::string& bottom) { return removed_.count(bottom) > 0; });
    if (!evaluation && unlabelled) return false;
    if (evaluation && layer.bottom_size() > 0 && removed_.count(layer.bottom(0)) == 0) losses_.push_back(layer);
    for (const std::string& top : layer.top()) {
      if (!reads(layer, top)) removed_.insert(top);
    }
    return true;
  }

  bool exists(const std::string& name) const {
    return std::any_of(net_.layer().begin(), net_.layer().end(), [&](const LayerParameter& layer) {
      return layer.name() == name || std::find(layer.top().begin(), layer.top().end(), name) != layer.top().end();
    });
  }

  void add_probabilities(const LayerParameter& loss) {
    const std::string type = probabilities_of(loss);
    if (type.empty()) return;
    const std::string& scores = loss.bottom(0);
    for (const LayerParameter& layer : net_.layer()) {
      if (layer.type() == type && reads(layer, scores)) return;
    }
    std::string name = "prob";
    for (int i = 2; exists(name); ++i) name = fmt::format("prob{}", i);
    LayerParameter& added = *net_.add_layer();
    added.set_name(name);
    added.set_type(type);
    added.add_bottom(scores);
    added.add_top(name);
    if (type == "Softmax" && loss.has_softmax_param()) *added.mutable_softmax_param() = loss.softmax_param();
    if (loss.type() == "InfogainLoss") added.mutable_softmax_param()->set_axis(loss.infogain_loss_param().axis());
  }

  // The last blob that no layer reads, if possible one with probabilities.
  Prediction choose() const {
    Prediction best;
    for (const LayerParameter& layer : net_.layer()) {
      if (find_data_source(layer.type()) != nullptr && best.data.empty()) best.data = layer.name();
      if (layer.bottom_size() == 0) continue;
      for (const std::string& top : layer.top()) {
        const bool read = std::any_of(net_.layer().begin(), net_.layer().end(), [&](const LayerParameter& other) {
          return &other != &layer && reads(other, top);
        });
        const bool probabilities = layer.type() == "Softmax" || layer.type() == "Sigmoid";
        if (read || (best.probabilities && !probabilities)) continue;
        best.top = top;
        best.probabilities = probabilities;
        best.axis = layer.type() == "Softmax" ? layer.softmax_param().axis() : 1;
      }
    }
    if (best.top.empty())
      throw config_error("the net \"{}\" has no layer that computes without labels: nothing can be predicted",
                         net_.name());
    return best;
  }

  NetParameter& net_;
  std::set<std::string> removed_;  // blobs
  std::vector<LayerParameter> losses_;
};

}  // namespace

Prediction remove_labels(NetParameter* net) { return LabelRemoval(net).run(); }

}  // namespace trainer
