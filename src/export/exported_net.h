// A trained net as it is exported: its layers in phase TEST, each with the values of its blobs.
#pragma once

#include <string>
#include <vector>

#include "formats/blob_proto.h"
#include "formats/weight_notes.h"
#include "lowering/lower_net.h"
#include "runtime/memory.h"
#include "trainer.pb.h"

namespace trainer {

struct ExportedLayer {
  caffe::LayerParameter param;  // without blobs and without fields of training
  std::vector<WeightBlob> blobs;
};

struct ExportedNet {
  std::string name;
  WeightNotes notes;
  std::vector<ExportedLayer> layers;

  // The net without values.
  caffe::NetParameter message() const;
};

// Removes the fields that only training, phases or the command line use. A blob that several layers share becomes a
// blob of each.
void clean_for_export(caffe::LayerParameter* layer);

// The layers of the net, with the values that the store has.
ExportedNet exported_net(const LoweredNet& net, const StateStore& store);

// The layers of this net without blobs.
ExportedNet net_without_values(const caffe::NetParameter& net);

// Multiplies BatchNorm with global statistics, BN, Scale and Bias into the Convolution, Deconvolution or InnerProduct
// before them, if nothing else reads the result of that layer.
void fold_channel_factors(ExportedNet* net);

// A factor and a shift of each channel: y = scale * x + shift.
struct ChannelMap {
  std::vector<double> scale, shift;
};

// The factors that a layer of statistics multiplies with: BatchNorm or BN with global statistics. Empty for all others.
ChannelMap statistics_factors(const ExportedLayer& layer);

}  // namespace trainer
