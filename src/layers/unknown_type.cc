// Types that files from forks of Caffe use, and what stands for them here.
#include "layers/unknown_type.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "layers/layer.h"

namespace trainer {
namespace {

struct ForeignType {
  const char* type;
  const char* hint;
};

constexpr const char* kDepthwise = "a fork's name: use Convolution with group equal to its input channels";
constexpr const char* kDetection =
    "it belongs to the SSD fork of Caffe (object detection), which is not supported";
constexpr const char* kRegions = "it belongs to the Fast R-CNN forks of Caffe, which are not supported";

constexpr ForeignType kForeignTypes[] = {
    {"Python",
     "layers written in Python are not supported: replace it by built-in layers, or prepare its blobs as "
     "HDF5 files and read them with HDF5Data"},
    {"BN", "a fork's name: use BatchNorm followed by Scale with bias_term: true"},
    {"ConvolutionDepthwise", kDepthwise},
    {"DepthwiseConvolution", kDepthwise},
    {"AnnotatedData", kDetection},
    {"DetectionEvaluate", kDetection},
    {"DetectionOutput", kDetection},
    {"MultiBoxLoss", kDetection},
    {"PriorBox", kDetection},
    {"Proposal", kRegions},
    {"RoIData", kRegions},
};

}  // namespace

std::string unknown_type_hint(const std::string& type) {
  if (type.empty())
    return "give the layer a type, for example type: \"Convolution\"; `trainer help layers` lists them";
  for (const ForeignType& foreign : kForeignTypes)
    if (type == foreign.type) return foreign.hint;
  std::vector<std::string> known;
  for (const LayerType* candidate : layer_types()) known.push_back(candidate->type);
  const std::string nearest = nearest_name(type, known);
  return nearest.empty() ? "`trainer help layers` lists the types"
                         : fmt::format("did you mean \"{}\"? `trainer help layers` lists the types", nearest);
}

}  // namespace trainer
