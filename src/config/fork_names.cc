// Tables of layer types and fields from forks of Caffe.
#include "config/fork_names.h"

#include <fmt/format.h>

#include <cctype>
#include <vector>

namespace trainer {
namespace {

struct ForkName {
  const char* name;
  const char* remedy = "";  // "" if there is no equivalent
};

struct ForkTypes {
  const char* origin;  // follows "it comes from"
  std::vector<ForkName> types;
};

constexpr const char* kRowsInHdf5 =
    "write images and labels as HDF5 files (`trainer convert hdf5`) and read them with HDF5Data";
constexpr const char* kVolumes =
    "Convolution with three kernel_size works on blobs (N,C,D,H,W); HDF5Data reads them; pooling over three axes is "
    "not supported";
constexpr const char* kRegions =
    "ROIPooling, PSROIPooling and SmoothL1Loss are supported, the rest of the detector is not";

const std::vector<ForkTypes>& fork_types() {
  static const std::vector<ForkTypes> forks = {
      {"the SSD fork (object detection)",
       {{"AnnotatedData", kRowsInHdf5},
        {"DetectionEvaluate"},
        {"DetectionOutput"},
        {"MultiBoxLoss"},
        {"PriorBox"},
        {"VideoData", "extract the images and read them with ImageData"}}},
      {"the Fast and Faster R-CNN forks", {{"Proposal", kRegions}, {"RoIData", kRegions}, {"RoIDataLayer", kRegions}}},
      {"the R-FCN fork",
       {{"BoxAnnotatorOHEM", kRegions},
        {"SmoothL1LossOHEM", "SmoothL1Loss is the same without hard-example mining"},
        {"SoftmaxWithLossOHEM", "SoftmaxWithLoss is the same without hard-example mining"}}},
      {"the MobileNet-YOLO fork",
       {{"AssistedExcitation"},
        {"LaneData", kRowsInHdf5},
        {"Region"},
        {"RegionLoss"},
        {"Reorg", "Reshape and Permute can move blocks of pixels to channels"},
        {"YoloDetectionOutput"},
        {"YoloSeg"},
        {"EvalDetection"},
        {"Yolov3"},
        {"Yolov3DetectionOutput"}}},
      {"NVIDIA's fork",
       {{"DetectNetTransformation", "prepare images and labels beforehand; HDF5Data reads them"},
        {"TRT", "use the layers that it replaces"},
        {"ImageLabelData", kRowsInHdf5}}},
      {"Intel's fork",
       {{"IntelPack", "leave it out: the program chooses layouts"},
        {"IntelUnpack", "leave it out: the program chooses layouts"},
        {"IntelLRN", "write LRN"},
        {"MKLPooling", "write Pooling"}}},
      {"the C3D fork (video)",
       {{"CONVOLUTION3D", kVolumes},
        {"DECONVOLUTION3D", kVolumes},
        {"POOLING3D", kVolumes},
        {"Convolution3D", kVolumes},
        {"Deconvolution3D", kVolumes},
        {"Pooling3D", kVolumes},
        {"VIDEO_DATA", kVolumes},
        {"VIDEO_SEGMENTATION_DATA", kVolumes},
        {"VIDEO_WITH_VOXEL_TRUTH_DATA", kVolumes},
        {"VOXEL_SOFTMAX", "Softmax with axis: 1 normalizes each voxel"}}},
      {"the SegNet and DeepLab forks (segmentation)",
       {{"DenseImageData", kRowsInHdf5},
        {"IMAGE_SEG_DATA", kRowsInHdf5},
        {"WINDOW_SEG_DATA", kRowsInHdf5},
        {"ImageSegData", kRowsInHdf5},
        {"SegAccuracy", "Accuracy with ignore_label counts pixels"}}},
      {"the HED fork (edge detection)", {{"ImageLabelmapData", kRowsInHdf5}}},
      {"the pose machines' fork (OpenPose)", {{"CPMData", kRowsInHdf5}}},
      {"the caffe-windows and NormFace forks",
       {{"ChannelScale", "Reshape, Tile or Scale with two bottoms can multiply by a factor per row"},
        {"Flip"},
        {"GeneralContrastiveLoss", "ContrastiveLoss compares pairs"},
        {"GeneralTripletLoss", "TripletLoss takes anchors, positive and negative items"},
        {"Hotspot"},
        {"InnerDistance"},
        {"LabelSpecificRescale"},
        {"MultiLabelImageData", kRowsInHdf5},
        {"SubRegion"}}},
      {"the SphereFace fork", {{"MarginInnerProduct", "ArcFaceLoss has a margin on the angle"}}},
      {"the deformable ConvNets fork", {{"DeformableConvolution", "Convolution is the same without offsets"}}},
      {"the Greentea fork (neural tissue)",
       {{"Affinity"},
        {"ConnectedComponent"},
        {"DataRandTransform"},
        {"MalisLoss"},
        {"MergeCrop", "Crop, then Concat"}}},
      {"forks for sequence labels (CTC)",
       {{"CTCDecoder"},
        {"CTCGreedyDecoder"},
        {"CTCLoss"},
        {"CtcLoss"},
        {"ContinuationIndicator", "a third top of HDF5Data can hold the indicators"},
        {"LabelsequenceAccuracy"},
        {"Reverse"},
        {"Transpose", "Permute reorders axes"},
        {"WarpCTC"}}},
      {"forks with their own LSTM (CTPN, junhyukoh/caffe-lstm)",
       {{"Lstm",
         "type \"LSTM\" with recurrent_param replaces it; its blobs have a different layout, so its weights cannot be "
         "used"}}},
      {"the MPELU fork", {{"MPELU"}, {"M2PELU"}}},
      {"CaffeOnSpark", {{"CoSData", kRowsInHdf5}}},
      {"the CRF-RNN fork", {{"MultiStageMeanfield"}, {"MULTI_STAGE_MEANFIELD"}}},
      {"a fork with hashing", {{"MultiLabelData", kRowsInHdf5}, {"PairwiseLoss"}, {"QuantizationLoss"}}},
      {"a pull request that Caffe did not take",
       {{"ACCURACY_REGRESSION", "EuclideanLoss in the test net measures the same"},
        {"ConfusionMatrix", "ArgMax and HDF5Output write what is needed to count it"},
        {"DocData", kRowsInHdf5},
        {"LOCAL", "Convolution shares its weights among positions; InnerProduct shares none"},
        {"LRN_MAP", "LRN with norm_region: WITHIN_CHANNEL"},
        {"LS"},
        {"Local", "Convolution shares its weights among positions; InnerProduct shares none"},
        {"RBMInnerProduct"},
        {"RandVec", "DummyData with a gaussian or uniform data_filler"},
        {"SPATIAL_PYRAMID_POOLING", "SPP, in the current syntax"},
        {"SPATIAL_PYRAMID_POOLING_DATA"},
        {"SVRLoss", "HingeLoss with norm: L2 is the nearest"},
        {"SaliencyPooling"},
        {"SeLu", "ELU with alpha: 1.6732632, then Power with scale: 1.0507010"},
        {"SeLuDropout", "Dropout is the nearest"},
        {"SimpleCrop", "Crop cuts to the shape of a second bottom"},
        {"SparseData", kRowsInHdf5},
        {"SparseInnerProduct", "InnerProduct takes dense rows"},
        {"TOPK", "ArgMax with top_k"},
        {"WassersteinLoss"},
        {"XCovLoss"},
        {"locally_connected", "conv shares its weights among positions; innerproduct shares none"}}},
      {"a fork that wrote it in the V1 format",
       {{"BN", "write the net in the current format (`trainer upgrade` converts the rest), and there type: \"BN\""},
        {"CROP", "write the net in the current format (`trainer upgrade` converts the rest), and there type: \"Crop\""},
        {"INPUT",
         "name the blob by `input` and `input_dim` of the net, or write type: \"Input\" in the current format"}}},
  };
  return forks;
}

struct ForkField {
  const char* message;
  const char* field;  // a name, or a prefix followed by "*"
  const char* hint;
};

constexpr const char* kNvidiaMath =
    "it comes from NVIDIA's fork; leave it out: in that fork it selects the precision of computations";
constexpr const char* kAugmentation =
    "it comes from a fork's image augmentation; `trainer help AugmentStep` lists the steps that are supported here; "
    "apply others to the images beforehand";
constexpr const char* kDetector = "it comes from a fork for object detection, which is not supported";
constexpr const char* kIntelEngine =
    "it comes from Intel's fork; leave engine out: the program chooses the implementation";
constexpr const char* kSparsity = "it comes from TI's fork (sparse training); leave it out";
constexpr const char* kVolume =
    "it comes from the C3D fork; write kernel_size, stride or pad three times, for depth, height and width";
constexpr const char* kCon = "it comes from CaffeConTroll; leave it out: it splits work among processors";
constexpr const char* kClassWeights =
    "it comes from the SegNet fork; write class_weight, once for each class, and normalization: FULL, because VALID "
    "divides by the weights of the labels";

constexpr ForkField kForkFields[] = {
    {"AccuracyParameter", "min_is_better", "it comes from NVIDIA's fork; leave it out"},
    {"BatchNormParameter", "bias_filler",
     "it comes from NVIDIA's fork; write a Scale layer with a bias_filler after this one"},
    {"BatchNormParameter", "engine", "it comes from a fork; leave it out: the program chooses the implementation"},
    {"BatchNormParameter", "scale_bias",
     "it comes from NVIDIA's fork; write a Scale layer with bias_term: true after this one"},
    {"BatchNormParameter", "scale_filler",
     "it comes from NVIDIA's fork; write a Scale layer with a filler after this one"},
    {"ConcatParameter", "engine", "it comes from Intel's fork; leave it out: the program chooses the implementation"},
    {"ConvolutionParameter", "engine=INTEL", kIntelEngine},
    {"ConvolutionParameter", "engine=MKL2017", kIntelEngine},
    {"ConvolutionParameter", "fuse_type", "it comes from a fork; leave it out: the program fuses layers"},
    {"ConvolutionParameter", "kernel_depth", kVolume},
    {"ConvolutionParameter", "relu_param",
     "it comes from Intel's fork; write a ReLU layer after this one: they are fused"},
    {"ConvolutionParameter", "temporal_*", kVolume},
    {"CropParameter", "blob_name", "it comes from a pull request; Crop takes the blob as its second bottom"},
    {"DataParameter", "cache",
     "it comes from NVIDIA's fork; leave it out: the operating system caches the data that was read"},
    {"DataParameter", "parser_threads", "it comes from NVIDIA's fork; write workers"},
    {"DataParameter", "threads", "it comes from NVIDIA's fork; write workers"},
    {"DropoutParameter", "sample_weights_test",
     "it comes from the SegNet fork; set phase: TRAIN on the layer to drop in tests too"},
    {"DropoutParameter", "scale_test", "it comes from a fork; leave it out"},
    {"DropoutParameter", "scale_train", "it comes from a fork; leave it out: kept values are scaled in training"},
    {"FillerParameter", "alpha", "it comes from a fork (caffe-windows, MPELU); leave it out"},
    {"FillerParameter", "beta", "it comes from the MPELU fork; leave it out"},
    {"ImageDataParameter", "cache",
     "it comes from NVIDIA's fork; leave it out: the operating system caches the data that was read"},
    {"ImageDataParameter", "face_*", kAugmentation},
    {"ImageDataParameter", "label_type", "it comes from the DeepLab fork; an image's label is one number here"},
    {"ImageDataParameter", "max_*", kAugmentation},
    {"ImageDataParameter", "min_*", kAugmentation},
    {"ImageDataParameter", "is_flow", kVolume},
    {"ImageDataParameter", "new_length", "it comes from the C3D fork (video); a batch has single images here"},
    {"ImageDataParameter", "num_truth_channels", "it comes from the C3D fork (video)"},
    {"ImageDataParameter", "precache", "it comes from NVIDIA's fork; leave it out"},
    {"ImageDataParameter", "show_data", "it comes from the C3D fork (video); leave it out"},
    {"ImageDataParameter", "threads", "it comes from NVIDIA's fork; leave it out"},
    {"ImageDataParameter", "truth_scale", "it comes from the C3D fork (video)"},
    {"ImageDataParameter", "use_*", "it comes from the C3D fork (video); a batch has single images here"},
    {"LayerParameter", "backward_*", kNvidiaMath},
    {"LayerParameter", "blobs_lr", "it belongs to the V1 format; write param { lr_mult: ... }, once for each blob"},
    {"LayerParameter", "cpm_transform_param", "it comes from the pose machines' fork (OpenPose)"},
    {"LayerParameter", "detectnet_*",
     "it comes from NVIDIA's fork (DetectNet), object detection, which is not supported"},
    {"LayerParameter", "engine", "it comes from Intel's fork; leave it out: the program chooses the implementation"},
    {"LayerParameter", "forward_*", kNvidiaMath},
    {"LayerParameter", "gpu_*", kCon},
    {"LayerParameter", "image_transform_param", kAugmentation},
    {"LayerParameter", "normalize_param", "it comes from the NormFace fork; Normalize is set by norm_param here"},
    {"LayerParameter", "pairwise_param", "it comes from a fork with hashing"},
    {"LayerParameter", "quantization_param", "it comes from Ristretto or from a fork with hashing; leave it out"},
    {"LayerParameter", "source_class", "it comes from CaffeOnSpark; leave it out: a Data layer reads LMDB"},
    {"LayerParameter", "wasserstein_param", "it comes from a pull request that Caffe did not take"},
    {"LayerParameter", "weight_decay",
     "it belongs to the V1 format; write param { decay_mult: ... }, once for each blob"},
    {"LossParameter", "class_weighting", kClassWeights},
    {"LossParameter", "hard_ratio", "it comes from a fork; there is no hard-example mining here"},
    {"LossParameter", "normalization=PRE_FIXED",
     "it comes from the R-FCN fork; normalization: NONE with loss_weight: 1/normalizer is the same"},
    {"LossParameter", "pre_fixed_normalizer",
     "it comes from the R-FCN fork; normalization: NONE with loss_weight: 1/normalizer is the same"},
    {"LossParameter", "weight_by_label_freqs", kClassWeights},
    {"MemoryDataParameter", "dim", "it comes from the Greentea fork; write batch_size, channels, height and width"},
    {"MemoryDataParameter", "share_in_parallel", "it comes from CaffeOnSpark; leave it out"},
    {"NetParameter", "default_*", kNvidiaMath},
    {"NetParameter", "eval_*", kDetector},
    {"NetParameter", "global_grad_scale*", "it comes from NVIDIA's fork; leave it out: gradients are 32-bit floats"},
    {"NetParameter", "quantize", "it comes from TI's fork; leave it out"},
    {"PoolingParameter", "dilation", "it comes from the Greentea fork; pooling windows have no gaps here"},
    {"PoolingParameter", "engine=INTEL", kIntelEngine},
    {"PoolingParameter", "engine=MKL2017", kIntelEngine},
    {"PoolingParameter", "kernel_depth", "it comes from the C3D fork; pooling over three axes is not supported"},
    {"PoolingParameter", "pool=MIN", "it comes from a fork; MAX between two Power layers with scale: -1 is the same"},
    {"PoolingParameter", "temporal_*", "it comes from the C3D fork; pooling over three axes is not supported"},
    {"SoftmaxParameter", "normalize_type", "it comes from a fork; leave it out"},
    {"SolverParameter", "ap_version", kDetector},
    {"SolverParameter", "display_sparsity", kSparsity},
    {"SolverParameter", "eval_type", kDetector},
    {"SolverParameter", "larc*", "it comes from NVIDIA's fork (layer-wise rates); type: \"LARS\" has layer-wise rates"},
    {"SolverParameter", "local_lr*",
     "it comes from NVIDIA's fork (layer-wise rates); type: \"LARS\" has layer-wise rates"},
    {"SolverParameter", "max_momentum", "it comes from NVIDIA's fork; momentum is constant here"},
    {"SolverParameter", "min_lr", "it comes from NVIDIA's fork; leave it out"},
    {"SolverParameter", "momentum_*", "it comes from NVIDIA's fork; momentum is constant here"},
    {"SolverParameter", "plateau_winsize",
     "it comes from the PVANet fork (lr_policy \"plateau\"); use multistep with stepvalue"},
    {"SolverParameter", "rampup_*", "it comes from NVIDIA's fork; leave it out"},
    {"SolverParameter", "show_per_class_result", kDetector},
    {"SolverParameter", "solver_data_type", kNvidiaMath},
    {"SolverParameter", "sparse_mode", kSparsity},
    {"SolverParameter", "sparsity_*", kSparsity},
    {"SolverParameter", "stageiter", "it comes from a fork; multistep with stepvalue changes the rate in stages"},
    {"SolverParameter", "stagelr", "it comes from a fork; multistep with stepvalue changes the rate in stages"},
    {"SolverParameter", "stepearly",
     "it comes from a pull request; multistep with stepvalue changes the rate in stages"},
    {"TransformationParameter", "allow_upscale", kAugmentation},
    {"TransformationParameter", "center_perterb_max", kAugmentation},
    {"TransformationParameter", "crop_*", "it comes from a fork; crop_size crops a square"},
    {"TransformationParameter", "distort_param", kAugmentation},
    {"TransformationParameter", "do_clahe", kAugmentation},
    {"TransformationParameter", "emit_constraint", kDetector},
    {"TransformationParameter", "expand_param", kAugmentation},
    {"TransformationParameter", "fix_crop", kAugmentation},
    {"TransformationParameter", "flow", "it comes from a fork for video; leave it out for images"},
    {"TransformationParameter", "horizontal_stretch_*", kAugmentation},
    {"TransformationParameter", "img_rand_resize_*", kAugmentation},
    {"TransformationParameter", "interpolation_algo_*", kAugmentation},
    {"TransformationParameter", "is_flow", "it comes from a fork for video; leave it out for images"},
    {"TransformationParameter", "max_distort", kAugmentation},
    {"TransformationParameter", "max_rotate_degree", kAugmentation},
    {"TransformationParameter", "multi_scale", kAugmentation},
    {"TransformationParameter", "noise_param", kAugmentation},
    {"TransformationParameter", "np_in_lmdb", "it comes from the pose machines' fork (OpenPose)"},
    {"TransformationParameter", "num_parts", "it comes from the pose machines' fork (OpenPose)"},
    {"TransformationParameter", "resize_param", kAugmentation},
    {"TransformationParameter", "scale_*", kAugmentation},
    {"TransformationParameter", "stride", "it comes from the pose machines' fork (OpenPose)"},
    {"TransformationParameter", "target_dist", kAugmentation},
    {"TransformationParameter", "transform_body_joint", "it comes from the pose machines' fork (OpenPose)"},
    {"TransformationParameter", "vertical_stretch_*", kAugmentation},
    {"TransformationParameter", "visualize", "it comes from the pose machines' fork (OpenPose); leave it out"},
    {"V0LayerParameter", "data_blob",
     "it comes from a pull request; name the blob by `input` and `input_dim` of the net"},
    {"V0LayerParameter", "datum_dims", "it comes from a pull request; a record has three dimensions here"},
    {"V1LayerParameter", "enable", "it comes from a fork for video and text; use include and exclude rules"},
    {"V1LayerParameter", "gpu_*", kCon},
    {"V1LayerParameter", "input_param", "it comes from a fork; name the blob by `input` and `input_dim` of the net"},
};

bool matches(const std::string& pattern, const std::string& name) {
  if (pattern.back() != '*') return pattern == name;
  return name.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
}

// Removes underscores and case: "PriorBox", "prior_box" and "PRIOR_BOX" become "priorbox".
std::string squeezed(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c != '_') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string origin_text(const char* origin, const char* remedy) {
  return fmt::format("it comes from {}{}", origin,
                     *remedy == '\0' ? ", and has no equivalent here" : fmt::format("; {}", remedy));
}

}  // namespace

std::string fork_type_hint(const std::string& type) {
  if (type == "Python")
    return "layers written in Python are not supported: replace it with built-in layers, or prepare its blobs as HDF5 "
           "files and read them with HDF5Data";
  for (const ForkTypes& fork : fork_types()) {
    for (const ForkName& known : fork.types) {
      if (type == known.name) return origin_text(fork.origin, known.remedy);
    }
  }
  return "";
}

std::string fork_field_hint(const std::string& message, const std::string& field) {
  for (const ForkField& known : kForkFields) {
    if (message == known.message && matches(known.field, field)) return known.hint;
  }
  const std::string ending = "_param";
  if ((message != "LayerParameter" && message != "V1LayerParameter") || field.size() <= ending.size() ||
      field.compare(field.size() - ending.size(), ending.size(), ending) != 0)
    return "";
  const std::string type = squeezed(field.substr(0, field.size() - ending.size()));
  for (const ForkTypes& fork : fork_types()) {
    for (const ForkName& known : fork.types) {
      if (squeezed(known.name) == type)
        return fmt::format("it belongs to type {}; {}", known.name, origin_text(fork.origin, known.remedy));
    }
  }
  return "";
}

}  // namespace trainer
