// The V1 format: `layers` with types as an enum, and settings of parameters as parallel lists.
#include <fmt/format.h>

#include <string>

#include "config/message_fields.h"
#include "config/upgrade_steps.h"

namespace trainer {
namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using caffe::ParamSpec;
using caffe::V1LayerParameter;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Kind = UpgradeNote::Kind;

const char* type_string(V1LayerParameter::LayerType type) {
  switch (type) {
    case V1LayerParameter::NONE: return "";
    case V1LayerParameter::ABSVAL: return "AbsVal";
    case V1LayerParameter::ACCURACY: return "Accuracy";
    case V1LayerParameter::ARGMAX: return "ArgMax";
    case V1LayerParameter::BNLL: return "BNLL";
    case V1LayerParameter::CONCAT: return "Concat";
    case V1LayerParameter::CONTRASTIVE_LOSS: return "ContrastiveLoss";
    case V1LayerParameter::CONVOLUTION: return "Convolution";
    case V1LayerParameter::DATA: return "Data";
    case V1LayerParameter::DECONVOLUTION: return "Deconvolution";
    case V1LayerParameter::DROPOUT: return "Dropout";
    case V1LayerParameter::DUMMY_DATA: return "DummyData";
    case V1LayerParameter::EUCLIDEAN_LOSS: return "EuclideanLoss";
    case V1LayerParameter::ELTWISE: return "Eltwise";
    case V1LayerParameter::EXP: return "Exp";
    case V1LayerParameter::FLATTEN: return "Flatten";
    case V1LayerParameter::HDF5_DATA: return "HDF5Data";
    case V1LayerParameter::HDF5_OUTPUT: return "HDF5Output";
    case V1LayerParameter::HINGE_LOSS: return "HingeLoss";
    case V1LayerParameter::IM2COL: return "Im2col";
    case V1LayerParameter::IMAGE_DATA: return "ImageData";
    case V1LayerParameter::INFOGAIN_LOSS: return "InfogainLoss";
    case V1LayerParameter::INNER_PRODUCT: return "InnerProduct";
    case V1LayerParameter::LRN: return "LRN";
    case V1LayerParameter::MEMORY_DATA: return "MemoryData";
    case V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS: return "MultinomialLogisticLoss";
    case V1LayerParameter::MVN: return "MVN";
    case V1LayerParameter::POOLING: return "Pooling";
    case V1LayerParameter::POWER: return "Power";
    case V1LayerParameter::RELU: return "ReLU";
    case V1LayerParameter::SIGMOID: return "Sigmoid";
    case V1LayerParameter::SIGMOID_CROSS_ENTROPY_LOSS: return "SigmoidCrossEntropyLoss";
    case V1LayerParameter::SILENCE: return "Silence";
    case V1LayerParameter::SOFTMAX: return "Softmax";
    case V1LayerParameter::SOFTMAX_LOSS: return "SoftmaxWithLoss";
    case V1LayerParameter::SPLIT: return "Split";
    case V1LayerParameter::SLICE: return "Slice";
    case V1LayerParameter::TANH: return "TanH";
    case V1LayerParameter::WINDOW_DATA: return "WindowData";
    case V1LayerParameter::THRESHOLD: return "Threshold";
  }
  return "";
}

// The settings field of a data layer that may have values for transform_param; null for other types.
const char* data_settings(const V1LayerParameter& layer) {
  switch (layer.type()) {
    case V1LayerParameter::DATA: return "data_param";
    case V1LayerParameter::IMAGE_DATA: return "image_data_param";
    case V1LayerParameter::WINDOW_DATA: return "window_data_param";
    default: return nullptr;
  }
}

void move_transformation(V1LayerParameter* layer, const NoteObserver& noted, const MoveObserver& moved) {
  const char* name = data_settings(*layer);
  const auto* reflection = layer->GetReflection();
  if (name == nullptr || !reflection->HasField(*layer, field_of(*layer, name))) return;
  Message* settings = reflection->MutableMessage(layer, field_of(*layer, name));
  bool any = false;
  for (const char* setting : {"scale", "mean_file", "crop_size", "mirror"}) {
    const FieldDescriptor* field = field_of(*settings, setting);
    if (!settings->GetReflection()->HasField(*settings, field)) continue;
    if (noted && !any) {
      noted({Kind::kConverted,
             fmt::format("image settings in `{}` were moved to `transform_param`", name),
             {settings, field, -1}});
    }
    any = true;
    if (moved && !layer->has_transform_param()) {
      moved({settings, field, -1}, {layer->mutable_transform_param(), nullptr, -1});
      moved({settings, field, -1}, {layer, field_of(*layer, "transform_param"), -1});
    }
    move_field(settings, field, layer->mutable_transform_param(), field_of(layer->transform_param(), setting), moved);
  }
}

// Distributes a list with one value per parameter over the entries of `param`, which are added as needed.
void spread_over_params(const V1LayerParameter& from, const char* list, LayerParameter* to, const char* setting,
                        const MoveObserver& moved) {
  const FieldDescriptor* from_field = field_of(from, list);
  const FieldDescriptor* param_field = field_of(*to, "param");
  const int count = from.GetReflection()->FieldSize(from, from_field);
  for (int i = 0; i < count; ++i) {
    if (i == to->param_size()) {
      ParamSpec* added = to->add_param();
      if (moved) {
        moved({&from, from_field, i}, {added, nullptr, -1});
        moved({&from, from_field, i}, {to, param_field, i});
      }
    }
    ParamSpec* spec = to->mutable_param(i);
    copy_value(from, from_field, i, spec, field_of(*spec, setting), moved);
  }
}

void convert(V1LayerParameter* from, LayerParameter* to, const MoveObserver& moved) {
  if (moved) moved({from, nullptr, -1}, {to, nullptr, -1});
  move_equal_fields(from, to, moved);
  if (from->has_type()) {
    to->set_type(type_string(from->type()));
    if (moved) moved({from, field_of(*from, "type"), -1}, {to, field_of(*to, "type"), -1});
  }
  spread_over_params(*from, "param", to, "name", moved);
  spread_over_params(*from, "blob_share_mode", to, "share_mode", moved);
  spread_over_params(*from, "blobs_lr", to, "lr_mult", moved);
  spread_over_params(*from, "weight_decay", to, "decay_mult", moved);
}

}  // namespace

void upgrade_v1_layers(NetParameter* net, const NoteObserver& noted, const MoveObserver& moved) {
  if (net->layers_size() == 0) return;
  const FieldDescriptor* legacy = field_of(*net, "layers");
  const FieldDescriptor* current = field_of(*net, "layer");
  for (V1LayerParameter& layer : *net->mutable_layers()) move_transformation(&layer, noted, moved);
  if (noted) noted({Kind::kConverted, "`layers` in the V1 format were converted to `layer`", {net, legacy, 0}});
  for (int i = 0; i < net->layers_size(); ++i) {
    LayerParameter* layer = net->add_layer();
    if (moved) moved({net, legacy, i}, {net, current, i});
    convert(net->mutable_layers(i), layer, moved);
  }
  net->clear_layers();
}

}  // namespace trainer
