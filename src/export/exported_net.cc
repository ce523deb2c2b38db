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
  // Fillers and engines.
  if (layer->has_convolution_param()) {
    layer->mutable_convolution_param()->clear_weight_filler();
    layer->mutable_convolution_param()->clear_bias_filler();
    layer->mutable_convolution_param()->clear_engine();
  }
  if (layer->has_inner_product_param()) {
    layer->mutable_inner_product_param()->clear_weight_filler();
    layer->mutable_inner_product_param()->clear_bias_filler();
  }
  if (layer->has_scale_param()) {
    layer->mutable_scale_param()->clear_filler();
    layer->mutable_scale_param()->clear_bias_filler();
  }
  if (layer->has_batch_norm_param()) layer->mutable_batch_norm_param()->clear_moving_average_fraction();
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

}  // namespace trainer
