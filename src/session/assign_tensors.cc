// Assigns tensors to learned blobs by a map, by name or by order.
#include "session/assign_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/weight_tensors.h"

namespace trainer {
namespace {

// The keys by which checkpoints hold the tensors of a model, and the wrappers of several GPUs.
constexpr std::array<std::string_view, 7> kPrefixes{"state_dict.", "model_state_dict.", "model_state.", "model.",
                                                    "net.",        "module.",           "_orig_mod."};
// The tensors of a batch normalization in PyTorch, in its order.
constexpr std::array<std::string_view, 4> kNormTensors{"weight", "bias", "running_mean", "running_var"};
constexpr std::string_view kBatchCount = "num_batches_tracked";

struct Target {
  std::string layer;
  int blob = 0;
  std::vector<int> transpose;
  std::string place;         // of the line of a map that asks for it, or ""
  bool torch_gates = false;  // the tensor has the rows of an LSTM's gates in PyTorch's order
};

// The tensors of an LSTM in PyTorch, without the "_l0" of its first layer, and their blobs. PyTorch has two biases, and
// only their sum counts.
constexpr std::array<std::pair<std::string_view, int>, 4> kLstmTensors{
    {{"weight_ih", 0}, {"bias_ih", 1}, {"bias_hh", 1}, {"weight_hh", 2}}};

// From PyTorch's order of gates (input, forget, cell, output) to Caffe's (input, forget, output, cell).
StoredTensor with_caffe_gates(const StoredTensor& tensor) {
  if (tensor.shape.rank() == 0 || tensor.shape[0] % 4 != 0) return tensor;  // does not fit any LSTM
  StoredTensor out = tensor;
  out.read = [tensor](float* to) {
    const std::vector<float> values = tensor.values();
    const auto gate = static_cast<std::ptrdiff_t>(values.size() / 4);
    to = std::copy(values.begin(), values.begin() + 2 * gate, to);
    to = std::copy(values.begin() + 3 * gate, values.end(), to);
    std::copy(values.begin() + 2 * gate, values.begin() + 3 * gate, to);
  };
  return out;
}

StoredTensor sum_of(const StoredTensor& first, const StoredTensor& second) {
  StoredTensor out = first;
  out.read = [first, second](float* to) {
    const std::vector<float> one = first.values(), other = second.values();
    std::transform(one.begin(), one.end(), other.begin(), to, std::plus<>());
  };
  return out;
}

bool is_batch_count(const StoredTensor& tensor) { return split_tensor_name(tensor.name).part == kBatchCount; }

// A blob number, or -1.
int blob_number(const std::string& text) {
  int number = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ptr == text.data() + text.size() && parsed.ec == std::errc() && text.size() <= 5 ? number : -1;
}

// The shape without extents of 1 at its ends.
std::vector<int64_t> squeezed(const Shape& shape) {
  auto begin = shape.dims().begin(), end = shape.dims().end();
  while (begin != end && *begin == 1) ++begin;
  while (begin != end && *(end - 1) == 1) --end;
  return {begin, end};
}

class Assignment {
 public:
  Assignment(const TensorFile& file, const WeightMatching& matching, const LoweredNet& net)
      : file_(file), matching_(matching), net_(net) {
    for (const LoweredLayer& layer : net.layers) {
      names_.insert(layer.param->name());
      if (!layer.parameters.empty()) learned_.emplace(layer.param->name(), &layer);
    }
  }

  WeightFile run() {
    if (matching_.by_order) {
      assign_in_order();
    } else {
      for (const StoredTensor& tensor : file_.tensors) {
        if (is_batch_count(tensor)) continue;
        if (const std::optional<Target> target = target_of(tensor)) {
          assign(tensor, *target);
        } else {
          unused_.push_back(&tensor);
        }
      }
    }
    WeightFile out;
    out.omits_shared = true;
    for (const LoweredLayer& layer : net_.layers) add_layer(layer, &out);
    for (auto& [name, blobs] : blobs_) add_foreign(name, blobs, &out);
    for (const StoredTensor* tensor : unused_) add_unused(*tensor, &out);
    return out;
  }

 private:
  using Blobs = std::map<int, StoredTensor>;

  // The layer of the net with learned blobs and this name, or nullptr.
  const LoweredLayer* learned_layer(const std::string& name) const {
    const auto found = learned_.find(name);
    return found == learned_.end() ? nullptr : found->second;
  }

  // The Scale layer with learned blobs that reads the top of a BatchNorm layer, or nullptr.
  const LoweredLayer* scale_after(const LoweredLayer& norm) const {
    for (auto layer = &norm + 1; layer <= &net_.layers.back(); ++layer) {
      if (layer->bottom_names.empty() || layer->bottom_names[0] != norm.tops[0].name) continue;
      return layer->param->type() == "Scale" && !layer->parameters.empty() ? layer : nullptr;
    }
    return nullptr;
  }

  std::optional<Target> target_of(const StoredTensor& tensor) const {
    for (const WeightMapLine& line : matching_.map) {
      if (const std::optional<std::string> star = match_star(line.tensor, tensor.name))
        return Target{replace_star(line.layer, *star), line.blob, line.transpose, line.place};
    }
    std::string name = tensor.name;
    while (true) {
      if (std::optional<Target> target = named_target(name)) return target;
      const auto prefix = std::find_if(kPrefixes.begin(), kPrefixes.end(),
                                       [&](std::string_view begin) { return name.starts_with(begin); });
      if (prefix == kPrefixes.end()) return std::nullopt;
      name.erase(0, prefix->size());
    }
  }

  std::optional<Target> named_target(const std::string& name) const {
    if (learned_layer(name) != nullptr) return Target{name, 0, {}, ""};
    const auto [prefix, part, separator] = split_tensor_name(name);
    const LoweredLayer* layer = learned_layer(prefix);
    if (layer == nullptr) return std::nullopt;
    if (const int number = blob_number(part); number >= 0 && separator == '/') return Target{prefix, number, {}, ""};
    if (layer->param->type() == "LSTM") {
      for (const auto& [tensor, blob] : kLstmTensors) {
        if (part == tensor || part == std::string(tensor) + "_l0") return Target{prefix, blob, {}, "", true};
      }
    }
    const auto known = std::find(kNormTensors.begin(), kNormTensors.end(), part);
    return known == kNormTensors.end() ? std::nullopt : norm_target(*layer, known - kNormTensors.begin());
  }

  // The blob of weight (0), bias (1), running_mean (2) or running_var (3) of a layer.
  std::optional<Target> norm_target(const LoweredLayer& layer, int64_t index) const {
    const std::string &name = layer.param->name(), &type = layer.param->type();
    const int blob = static_cast<int>(index);
    if (type == "BN") return Target{name, blob, {}, ""};
    if (type == "BatchNorm") {
      if (index >= 2) return Target{name, blob - 2, {}, ""};
      const LoweredLayer* scale = scale_after(layer);
      return scale == nullptr ? std::nullopt : std::optional<Target>({scale->param->name(), blob, {}, ""});
    }
    if (index >= 2) return std::nullopt;
    return Target{name, blob, axes_of(layer, blob), ""};
  }

  // The order in which a blob has the axes of its tensor: an InnerProduct layer may store its matrix transposed.
  static std::vector<int> axes_of(const LoweredLayer& layer, int blob) {
    const bool turned =
        layer.param->type() == "InnerProduct" && blob == 0 && layer.param->inner_product_param().transpose();
    return turned ? std::vector<int>{1, 0} : std::vector<int>{};
  }

  // Whether the tensors are the two biases of one LSTM.
  static bool are_biases(const StoredTensor& first, const StoredTensor& second, const Target& target) {
    return target.torch_gates && target.blob == 1 && first.shape == second.shape &&
           split_tensor_name(first.name).part != split_tensor_name(second.name).part;
  }

  void assign(const StoredTensor& tensor, const Target& target) {
    const StoredTensor given = target.torch_gates ? with_caffe_gates(tensor) : tensor;
    const auto [position, fresh] = blobs_[target.layer].emplace(target.blob, given);
    if (!fresh && are_biases(position->second, given, target)) {
      position->second = sum_of(position->second, given);
      return;
    }
    if (!fresh)
      throw data_error(
          "{}: the tensors \"{}\" and \"{}\" both fit blob {} of layer \"{}\". Name one of them in a file for "
          "--weights_map, or remove the other with trainer weights strip",
          file_.path, printable(position->second.name), printable(tensor.name), target.blob, printable(target.layer));
    // A tensor that does not fit is shown with its own shape.
    const bool asked = !target.place.empty();
    if (!target.transpose.empty() && (asked || tensor.shape.rank() == static_cast<int>(target.transpose.size())))
      position->second = transposed(tensor, target.transpose, target.place);
  }

  // The blobs of the net in the order in which PyTorch has their tensors.
  std::vector<Target> targets_in_order() const {
    const bool layers = file_.format == std::string_view(kLayerFormat);
    std::vector<Target> targets;
    std::vector<const LoweredLayer*> done;
    const auto add = [&](const LoweredLayer& layer, size_t most) {
      for (size_t i = 0; i < std::min(most, layer.parameters.size()); ++i) {
        if (net_.parameters[static_cast<size_t>(layer.parameters[i])].owner)
          targets.push_back({layer.param->name(), static_cast<int>(i),
                             layers ? std::vector<int>() : axes_of(layer, static_cast<int>(i)), ""});
      }
      done.push_back(&layer);
    };
    for (const LoweredLayer& layer : net_.layers) {
      if (std::find(done.begin(), done.end(), &layer) != done.end()) continue;
      const bool norm = layer.param->type() == "BatchNorm" && !layers;
      const LoweredLayer* scale = norm ? scale_after(layer) : nullptr;
      if (scale != nullptr) add(*scale, scale->parameters.size());
      add(layer, norm ? 2 : layer.parameters.size());
    }
    return targets;
  }

  void assign_in_order() {
    std::vector<const StoredTensor*> tensors;
    for (const StoredTensor& tensor : file_.tensors) {
      if (!is_batch_count(tensor)) tensors.push_back(&tensor);
    }
    const std::vector<Target> targets = targets_in_order();
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (i < targets.size()) {
        assign(*tensors[i], targets[i]);
      } else {
        unused_.push_back(tensors[i]);
      }
    }
  }

  static WeightBlob blob_of(const StoredTensor& tensor) {
    WeightBlob blob;
    blob.shape = tensor.shape;
    blob.read = [tensor] { return tensor.values(); };
    return blob;
  }

  void add_layer(const LoweredLayer& layer, WeightFile* out) {
    const auto found = layer.parameters.empty() ? blobs_.end() : blobs_.find(layer.param->name());
    if (found == blobs_.end()) return;
    Blobs& assigned = found->second;
    WeightLayer source{layer.param->name(), layer.param->type(), {}};
    for (const auto& [number, tensor] : assigned) {
      while (source.blobs.size() < static_cast<size_t>(number)) source.blobs.emplace_back().present = false;
      source.blobs.push_back(blob_of(tensor));
      if (source.blobs.size() > layer.parameters.size()) continue;
      const size_t index = source.blobs.size() - 1;
      const Shape& shape = net_.parameters[static_cast<size_t>(layer.parameters[index])].shape;
      if (squeezed(shape) == squeezed(source.blobs.back().shape)) source.blobs.back().shape = shape;
    }
    // The statistics of other programs are not sums, so their factor is 1.
    if (source.type == "BatchNorm" && source.blobs.size() == 2) {
      source.blobs.emplace_back();
      source.blobs.back().shape = Shape{1};
      source.blobs.back().data = {1.0f};
    }
    out->layers.push_back(std::move(source));
    blobs_.erase(found);
  }

  // A layer that a map names and the net lacks.
  static void add_foreign(const std::string& name, const Blobs& assigned, WeightFile* out) {
    WeightLayer layer{name, "", {}};
    for (const auto& [number, tensor] : assigned) layer.blobs.push_back(blob_of(tensor));
    out->layers.push_back(std::move(layer));
  }

  // Tensors of one module in a row are one layer, unless the net has a layer of its name.
  void add_unused(const StoredTensor& tensor, WeightFile* out) const {
    std::string name = split_tensor_name(tensor.name).layer;
    if (name.empty() || names_.count(name) > 0) name = tensor.name;
    if (out->layers.empty() || out->layers.back().name != name) out->layers.push_back({name, "", {}});
    out->layers.back().blobs.push_back(blob_of(tensor));
  }

  const TensorFile& file_;
  const WeightMatching& matching_;
  const LoweredNet& net_;
  std::set<std::string> names_;                         // of all layers
  std::map<std::string, const LoweredLayer*> learned_;  // the first of each name
  std::map<std::string, Blobs> blobs_;                  // by layer
  std::vector<const StoredTensor*> unused_;
};

}  // namespace

WeightFile assign_tensors(const TensorFile& file, const WeightMatching& matching, const LoweredNet& net) {
  return Assignment(file, matching, net).run();
}

}  // namespace trainer
