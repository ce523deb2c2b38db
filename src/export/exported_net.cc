// Collects the layers of a trained net.
#include "export/exported_net.h"

namespace trainer {

void clean_for_export(caffe::LayerParameter* layer) {
  layer->clear_blobs();
  layer->clear_phase();
  layer->clear_include();
  layer->clear_exclude();
  layer->clear_param();
  layer->clear_loss_weight();
  layer->clear_propagate_down();
  // The kind of a BN layer follows from its fillers.
  if (layer->type() == "BN") return;
  const google::protobuf::Reflection& fields = *layer->GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> given;
  fields.ListFields(*layer, &given);
  for (const google::protobuf::FieldDescriptor* field : given) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) continue;
    google::protobuf::Message* const message = fields.MutableMessage(layer, field);
    for (int i = 0; i < field->message_type()->field_count(); ++i) {
      const google::protobuf::FieldDescriptor* const inner = field->message_type()->field(i);
      if (!inner->is_repeated() && (inner->name().ends_with("filler") || inner->name() == "engine"))
        message->GetReflection()->ClearField(message, inner);
    }
  }
}

caffe::NetParameter ExportedNet::message() const {
  caffe::NetParameter net;
  net.set_name(name);
  for (const ExportedLayer& layer : layers) *net.add_layer() = layer.param;
  return net;
}

ExportedNet exported_net(const LoweredNet& net, const StateStore& store) {
  ExportedNet out;
  out.name = net.name;
  for (const LoweredLayer& layer : net.layers) {
    ExportedLayer made;
    made.param = *layer.param;
    clean_for_export(&made.param);
    for (const int index : layer.parameters) {
      const ParameterInfo& parameter = net.parameters[static_cast<size_t>(index)];
      WeightBlob blob;
      blob.shape = parameter.shape;
      blob.data = store.read(parameter.state);
      made.blobs.push_back(std::move(blob));
    }
    out.layers.push_back(std::move(made));
  }
  return out;
}

ExportedNet net_without_values(const caffe::NetParameter& net) {
  ExportedNet out;
  out.name = net.name();
  for (const caffe::LayerParameter& layer : net.layer()) out.layers.push_back({layer, {}});
  return out;
}

}  // namespace trainer
