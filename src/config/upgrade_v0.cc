// The V0 format: each layer has one flat message of settings, and padding is a separate layer.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "config/fork_names.h"
#include "config/message_fields.h"
#include "config/upgrade_steps.h"

namespace trainer {
namespace {

using caffe::NetParameter;
using caffe::V0LayerParameter;
using caffe::V1LayerParameter;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Kind = UpgradeNote::Kind;

struct V0Type {
  const char* name;
  V1LayerParameter::LayerType type;
  const char* param;  // the field of V1LayerParameter with the type's settings; null if V0 has none
};

constexpr V0Type kTypes[] = {
    {"accuracy", V1LayerParameter::ACCURACY, nullptr},
    {"bnll", V1LayerParameter::BNLL, nullptr},
    {"concat", V1LayerParameter::CONCAT, "concat_param"},
    {"conv", V1LayerParameter::CONVOLUTION, "convolution_param"},
    {"data", V1LayerParameter::DATA, "data_param"},
    {"dropout", V1LayerParameter::DROPOUT, "dropout_param"},
    {"euclidean_loss", V1LayerParameter::EUCLIDEAN_LOSS, nullptr},
    {"flatten", V1LayerParameter::FLATTEN, nullptr},
    {"hdf5_data", V1LayerParameter::HDF5_DATA, "hdf5_data_param"},
    {"hdf5_output", V1LayerParameter::HDF5_OUTPUT, nullptr},
    {"im2col", V1LayerParameter::IM2COL, nullptr},
    {"images", V1LayerParameter::IMAGE_DATA, "image_data_param"},
    {"infogain_loss", V1LayerParameter::INFOGAIN_LOSS, "infogain_loss_param"},
    {"innerproduct", V1LayerParameter::INNER_PRODUCT, "inner_product_param"},
    {"lrn", V1LayerParameter::LRN, "lrn_param"},
    {"multinomial_logistic_loss", V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS, nullptr},
    {"pool", V1LayerParameter::POOLING, "pooling_param"},
    {"relu", V1LayerParameter::RELU, nullptr},
    {"sigmoid", V1LayerParameter::SIGMOID, nullptr},
    {"softmax", V1LayerParameter::SOFTMAX, nullptr},
    {"softmax_loss", V1LayerParameter::SOFTMAX_LOSS, nullptr},
    {"split", V1LayerParameter::SPLIT, nullptr},
    {"tanh", V1LayerParameter::TANH, nullptr},
    {"window_data", V1LayerParameter::WINDOW_DATA, "window_data_param"},
};

// The target of a field of V0LayerParameter: `target` of the settings if the layer has one of `types`, separated by
// spaces; without types, transform_param of any layer.
struct V0Field {
  const char* name;
  const char* types;
  const char* target;
};

constexpr V0Field kFields[] = {
    {"num_output", "conv innerproduct", "num_output"},
    {"biasterm", "conv innerproduct", "bias_term"},
    {"weight_filler", "conv innerproduct", "weight_filler"},
    {"bias_filler", "conv innerproduct", "bias_filler"},
    {"pad", "conv pool", "pad"},
    {"kernelsize", "conv pool", "kernel_size"},
    {"stride", "conv pool", "stride"},
    {"group", "conv", "group"},
    {"pool", "pool", "pool"},
    {"dropout_ratio", "dropout", "dropout_ratio"},
    {"local_size", "lrn", "local_size"},
    {"alpha", "lrn", "alpha"},
    {"beta", "lrn", "beta"},
    {"k", "lrn", "k"},
    {"source", "data hdf5_data images window_data infogain_loss", "source"},
    {"batchsize", "data hdf5_data images window_data", "batch_size"},
    {"rand_skip", "data images", "rand_skip"},
    {"shuffle_images", "images", "shuffle"},
    {"new_height", "images", "new_height"},
    {"new_width", "images", "new_width"},
    {"concat_dim", "concat", "concat_dim"},
    {"det_fg_threshold", "window_data", "fg_threshold"},
    {"det_bg_threshold", "window_data", "bg_threshold"},
    {"det_fg_fraction", "window_data", "fg_fraction"},
    {"det_context_pad", "window_data", "context_pad"},
    {"det_crop_mode", "window_data", "crop_mode"},
    {"scale", nullptr, "scale"},
    {"meanfile", nullptr, "mean_file"},
    {"cropsize", nullptr, "crop_size"},
    {"mirror", nullptr, "mirror"},
};

bool applies_to(const V0Field& field, const std::string& type) {
  if (field.types == nullptr) return true;
  const std::vector<std::string> types = split(field.types, ' ');
  return std::find(types.begin(), types.end(), type) != types.end();
}

class V0Upgrade {
 public:
  V0Upgrade(NetParameter* net, const NoteObserver& noted, const MoveObserver& moved)
      : net_(net), noted_(noted), moved_(moved) {}

  bool run() {
    drop_net_fields();
    remove_padding_layers();
    for (int i = 0; i < net_->layers_size(); ++i) convert(net_->mutable_layers(i));
    return !failed_;
  }

 private:
  void note(Kind kind, const ValuePlace& where, std::string message) {
    failed_ = failed_ || kind == Kind::kError;
    if (noted_) noted_({kind, std::move(message), where});
  }

  void drop_net_fields() {
    for (const char* name : {"input_shape", "state", "debug_info"}) {
      const FieldDescriptor* field = field_of(*net_, name);
      if (!is_set(*net_, field)) continue;
      note(Kind::kImperfect, {net_, field, field->is_repeated() ? 0 : -1},
           fmt::format("`{}` is not part of the V0 format and is dropped", name));
      net_->GetReflection()->ClearField(net_, field);
    }
  }

  void remove_padding_layers() {
    std::unordered_map<std::string, int> producers;
    for (int i = 0; i < net_->layers_size(); ++i) {
      V1LayerParameter* layer = net_->mutable_layers(i);
      for (int b = 0; b < layer->bottom_size(); ++b) {
        const auto producer = producers.find(layer->bottom(b));
        if (producer == producers.end()) continue;
        V1LayerParameter* source = net_->mutable_layers(producer->second);
        if (source->layer().type() == "padding") absorb_padding(source, layer, b);
      }
      for (const std::string& top : layer->top()) producers[top] = i;
    }

    const FieldDescriptor* layers = field_of(*net_, "layers");
    int kept = 0;
    for (int i = 0; i < net_->layers_size(); ++i) {
      if (net_->layers(i).layer().type() == "padding") continue;
      if (kept != i) {
        net_->mutable_layers()->SwapElements(kept, i);
        if (moved_) moved_({net_, layers, i}, {net_, layers, kept});
      }
      ++kept;
    }
    net_->mutable_layers()->DeleteSubrange(kept, net_->layers_size() - kept);
  }

  void absorb_padding(V1LayerParameter* padding, V1LayerParameter* layer, int bottom) {
    const std::string& type = layer->layer().type();
    const FieldDescriptor* bottoms = field_of(*layer, "bottom");
    if (type != "conv" && type != "pool") {
      note(Kind::kError, {layer, bottoms, bottom},
           fmt::format("padding layer \"{}\" feeds a layer of type \"{}\"; only conv and pool can take its padding",
                       padding->layer().name(), type));
    } else if (layer->bottom_size() != 1) {
      note(Kind::kError, {layer, bottoms, bottom},
           fmt::format("padding layer \"{}\" feeds a layer with {} bottoms; it must be the only one",
                       padding->layer().name(), layer->bottom_size()));
    } else if (padding->bottom_size() != 1 || padding->top_size() != 1) {
      note(Kind::kError, {padding, nullptr, -1},
           fmt::format("padding layer \"{}\" has {} bottoms and {} tops; it must have one of each",
                       padding->layer().name(), padding->bottom_size(), padding->top_size()));
    } else {
      const FieldDescriptor* pad = field_of(padding->layer(), "pad");
      copy_value(padding->layer(), pad, -1, layer->mutable_layer(), pad, moved_);
      layer->mutable_bottom()->RemoveLast();
      copy_value(*padding, bottoms, 0, layer, bottoms, moved_);
    }
  }

  void convert(V1LayerParameter* layer) {
    if (!layer->has_layer()) {
      note(Kind::kError, {layer, nullptr, -1},
           "this `layers` entry has no `layer` inside, but others have: entries of the V0 and V1 formats cannot be "
           "mixed");
      return;
    }
    drop_wrapper_fields(layer);
    V0LayerParameter* v0 = layer->mutable_layer();
    const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                    [v0](const V0Type& known) { return v0->type() == known.name; });
    if (type == std::end(kTypes)) {
      report_unknown_type(v0);
      return;
    }
    layer->set_type(type->type);
    notify_moved({v0, field_of(*v0, "type"), -1}, {layer, field_of(*layer, "type"), -1});
    v0->clear_type();

    for (const V0Field& rule : kFields) {
      const FieldDescriptor* field = field_of(*v0, rule.name);
      if (v0->GetReflection()->HasField(*v0, field) && applies_to(rule, type->name)) {
        const char* param = rule.types == nullptr ? "transform_param" : type->param;
        move_setting(layer, v0, field, param, rule.target);
      }
    }
    if (type->type != V1LayerParameter::HDF5_OUTPUT && v0->has_hdf5_output_param()) {
      report_unknown_field(*v0, field_of(*v0, "hdf5_output_param"), type->name);
      v0->clear_hdf5_output_param();
    }
    move_equal_fields(v0, layer, moved_);
    report_rest(*v0, type->name);
    layer->clear_layer();
  }

  // V0 reads only bottoms and tops from the enclosing message.
  void drop_wrapper_fields(V1LayerParameter* layer) {
    std::vector<const FieldDescriptor*> fields;
    layer->GetReflection()->ListFields(*layer, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->name() == "bottom" || field->name() == "top" || field->name() == "layer") continue;
      note(Kind::kImperfect, {layer, field, field->is_repeated() ? 0 : -1},
           fmt::format("`{}` beside a V0 `layer` has no effect and is dropped", field->name()));
      layer->GetReflection()->ClearField(layer, field);
    }
  }

  void move_setting(V1LayerParameter* layer, V0LayerParameter* v0, const FieldDescriptor* field, const char* param,
                    const char* target) {
    const FieldDescriptor* param_field = field_of(*layer, param);
    const bool is_new = !layer->GetReflection()->HasField(*layer, param_field);
    Message* settings = layer->GetReflection()->MutableMessage(layer, param_field);
    if (is_new) {
      notify_moved({v0, field, -1}, {settings, nullptr, -1});
      notify_moved({v0, field, -1}, {layer, param_field, -1});
    }
    if (!move_field(v0, field, settings, field_of(*settings, target), moved_)) {
      note(Kind::kError, {v0, field, -1}, fmt::format("`{}` must not be negative", field->name()));
      v0->GetReflection()->ClearField(v0, field);
    }
  }

  void report_rest(const V0LayerParameter& v0, const char* type) {
    std::vector<const FieldDescriptor*> fields;
    v0.GetReflection()->ListFields(v0, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->name() == "new_num" || field->name() == "new_channels") {
        note(Kind::kConverted, {&v0, field, -1}, fmt::format("`{}` has no effect and is dropped", field->name()));
      } else {
        report_unknown_field(v0, field, type);
      }
    }
  }

  void report_unknown_field(const V0LayerParameter& v0, const FieldDescriptor* field, const char* type) {
    note(Kind::kImperfect, {&v0, field, -1},
         fmt::format("Unknown parameter {} for layer type {}: it is dropped", field->name(), type));
  }

  void report_unknown_type(V0LayerParameter* v0) {
    if (!v0->has_type()) {
      note(Kind::kError, {v0, nullptr, -1}, fmt::format("layer \"{}\" has no type", v0->name()));
      return;
    }
    const std::string fork = fork_type_hint(v0->type());
    if (!fork.empty()) {
      note(Kind::kError, {v0, field_of(*v0, "type"), -1}, fmt::format("Unknown layer name: {}; {}", v0->type(), fork));
      return;
    }
    std::vector<std::string> names;
    for (const V0Type& known : kTypes) names.emplace_back(known.name);
    const std::string near = suggest(v0->type(), names, "; did you mean \"{}\"?");
    note(Kind::kError, {v0, field_of(*v0, "type"), -1},
         fmt::format("Unknown layer name: {}{}", v0->type(),
                     near.empty() ? fmt::format("; the types of the V0 format are {}", fmt::join(names, ", ")) : near));
  }

  void notify_moved(const ValuePlace& from, const ValuePlace& to) const {
    if (moved_) moved_(from, to);
  }

  NetParameter* net_;
  const NoteObserver& noted_;
  const MoveObserver& moved_;
  bool failed_ = false;
};

}  // namespace

bool upgrade_v0_layers(NetParameter* net, const NoteObserver& noted, const MoveObserver& moved) {
  const auto is_v0 = [](const V1LayerParameter& layer) { return layer.has_layer(); };
  const auto first = std::find_if(net->layers().begin(), net->layers().end(), is_v0);
  if (first == net->layers().end()) return true;
  if (noted)
    noted({Kind::kConverted, "layers in the V0 format were converted to the V1 format", {&*first, nullptr, -1}});
  return V0Upgrade(net, noted, moved).run();
}

}  // namespace trainer
