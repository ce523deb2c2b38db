// Text cases: faulty nets with the position and the words of the expected message.
#include "layers/net_run.h"

namespace trainer {
namespace {

const std::string kInput =
    R"(layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
)";
const std::string kScores =
    R"(layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 dim: 5 } } }
)";
const std::string kLabel = R"(layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 4 } } }
)";

struct Case {
  const char* name;
  std::string text;
  std::vector<std::string> words;
};

class NetErrors : public ::testing::TestWithParam<Case> {};

TEST_P(NetErrors, SaysWhereAndWhat) {
  const std::string problems = NetText(GetParam().text).problems();
  for (const std::string& words : GetParam().words)
    EXPECT_NE(problems.find(words), std::string::npos) << "lacks \"" << words << "\":\n" << problems;
}

INSTANTIATE_TEST_SUITE_P(
    Assembly, NetErrors,
    ::testing::Values(
        Case{"UnknownBottom",
             kInput + R"(layer { name: "x1" type: "ReLU" bottom: "y" top: "z" })"
                      "\n"
                      R"(layer { name: "q" type: "ReLU" bottom: "xx" top: "w" })",
             {"net.prototxt:2:33: error: layer \"x1\" (ReLU): unknown bottom blob \"y\"",
              "blobs of the TRAIN net up to here: x", "net.prototxt:3:32"}},
        Case{"MisspeltBottom",
             R"(layer { name: "conv1" type: "Input" top: "conv1" input_param { shape { dim: 2 } } }
layer { name: "r" type: "ReLU" bottom: "cnov1" top: "z" })",
             {"did you mean \"conv1\"?"}},
        Case{"BottomMadeLater",
             R"(layer { name: "r" type: "ReLU" bottom: "x" top: "z" })"
             "\n" +
                 kInput,
             {"layer \"x\" further down makes it"}},
        Case{"UnknownType",
             kInput + R"(layer { name: "c" type: "Convolutoin" bottom: "x" top: "y" })",
             {"unknown layer type \"Convolutoin\"", "did you mean \"Convolution\"?", "trainer help layers"}},
        Case{"FlattenOfAFailedLayer",
             kInput + R"(layer { name: "r" type: "Reshape" bottom: "x" top: "r" reshape_param { shape { dim: 5 } } }
layer { name: "f" type: "Flatten" bottom: "r" top: "f" })",
             {"layer \"r\" (Reshape)"}},
        Case{"ConvolutionBeyond64Bits",
             kInput + R"(layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {
  num_output: 256 kernel_size: 1 pad: 2147483647 } })",
             {"2,256,4294967302,4294967302 has more than 2147483647 elements"}},
        Case{"PythonLayer",
             kInput + R"(layer { name: "c" type: "Python" bottom: "x" top: "y" })",
             {"written in Python"}},
        Case{"MultipleSources", kInput + kInput, {"top blob \"x\" produced by multiple sources"}},
        Case{"InPlaceAtAnotherIndex",
             kInput + R"(layer { name: "e" type: "Eltwise" bottom: "x" bottom: "x" top: "y" }
layer { name: "c" type: "Concat" bottom: "y" bottom: "x" top: "x" })",
             {"produced by multiple sources"}},
        Case{"InPlaceBehindAReader",
             kInput + R"(layer { name: "a" type: "TanH" bottom: "x" top: "y" }
layer { name: "b" type: "ReLU" bottom: "x" top: "x" })",
             {"net.prototxt:3:", "produced by multiple sources", "a name of its own"}},
        Case{"FlattenInPlace",
             kInput + R"(layer { name: "f" type: "Flatten" bottom: "x" top: "x" })",
             {"Flatten cannot work in place"}},
        Case{"TooFewBottoms",
             kScores + R"(layer { name: "a" type: "Accuracy" bottom: "s" top: "a" })",
             {"Accuracy Layer takes 2 bottom blob(s) as input; one is given"}},
        Case{"TooManyTops",
             kInput + R"(layer { name: "a" type: "ReLU" bottom: "x" top: "a" top: "b" })",
             {"ReLU Layer produces 1 top blob(s) as output; 2 are given"}},
        Case{"OneTopForEachBottom",
             kInput + R"(layer { name: "c" type: "Convolution" bottom: "x" top: "a" top: "b"
  convolution_param { num_output: 1 kernel_size: 1 } })",
             {"one top blob as output for each bottom blob input"}},
        Case{
            "LossWeights",
            kScores + kLabel +
                R"(layer { name: "a" type: "Accuracy" bottom: "s" bottom: "l" top: "a" loss_weight: 1 loss_weight: 2 })",
            {"2 loss_weight for 1 tops"}},
        Case{"PropagateDown",
             kScores +
                 R"(layer { name: "a" type: "ReLU" bottom: "s" top: "a" propagate_down: true propagate_down: true })",
             {"2 propagate_down for 1 bottoms"}},
        Case{"TooManyParams",
             kScores +
                 R"(layer { name: "a" type: "InnerProduct" bottom: "s" top: "a" param { } param { } param { }
  inner_product_param { num_output: 1 } })",
             {"too many params specified: 3 for a layer with 2 learned blobs"}},
        Case{
            "SharedShapes",
            kScores +
                R"(layer { name: "a" type: "InnerProduct" bottom: "s" top: "a" param { name: "w" } inner_product_param { num_output: 1 } }
layer { name: "b" type: "InnerProduct" bottom: "s" top: "b" param { name: "w" } inner_product_param { num_output: 2 } })",
            {"cannot share param \"w\" owned by layer \"a\" with layer \"b\"; shape mismatch", "1 5 (5)", "2 5 (10)"}},
        Case{
            "SharedMultipliers",
            kScores +
                R"(layer { name: "a" type: "InnerProduct" bottom: "s" top: "a" param { name: "w" lr_mult: 1 } inner_product_param { num_output: 1 } }
layer { name: "b" type: "InnerProduct" bottom: "s" top: "b" param { name: "w" lr_mult: 2 } inner_product_param { num_output: 1 } })",
            {"shared param \"w\" has mismatched lr_mult: 2 here, 1 before"}},
        Case{"LabelThatIsLearned",
             kScores +
                 R"(layer { name: "ip" type: "InnerProduct" bottom: "s" top: "l" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "s" bottom: "l" top: "loss" })",
             {"SoftmaxWithLoss Layer cannot backpropagate to label inputs", "bottom 1 \"l\"", "propagate_down"}},
        Case{"EverythingAtOnce",
             kInput + R"(layer { name: "a" type: "Rellu" bottom: "x" top: "a" }
layer { name: "b" type: "Sigmoid" bottom: "a" top: "b" }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 3 } }
layer { name: "d" type: "Pooling" bottom: "nowhere" top: "d" pooling_param { kernel_size: 2 } })",
             {"unknown layer type \"Rellu\"", "kernel_size is missing", "unknown bottom blob \"nowhere\""}}),
    [](const auto& info) { return std::string(info.param.name); });

Case field_case(const char* name, const std::string& layer, std::vector<std::string> words) {
  return {name, kInput + layer, std::move(words)};
}

INSTANTIATE_TEST_SUITE_P(
    Fields, NetErrors,
    ::testing::Values(
        field_case(
            "KernelTooLarge",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 kernel_size: 9 } })",
            {"the kernel spans 9 along axis 2", "(2,3,8,8)", "has 8"}),
        field_case(
            "GroupDoesNotDivide",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 1 group: 2 } })",
            {"3 input channels in 2 groups", "net.prototxt:2:"}),
        field_case(
            "KernelTwice",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 1 kernel_h: 2 kernel_w: 2 } })",
            {"net.prototxt:2:109", "either kernel_size or kernel_h/kernel_w"}),
        field_case(
            "KernelHOfZero",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_h: 0 kernel_w: 2 } })",
            {"net.prototxt:2:94", "kernel_size is 0"}),
        field_case(
            "ZeroStride",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 1 stride: 0 } })",
            {"stride is 0"}),
        field_case(
            "ThreeStrides",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 1 stride: 1 stride: 1 stride: 1 } })",
            {"stride must be specified once, or once per spatial dimension (stride specified 3 times; 2 "
             "spatial dims)"}),
        field_case(
            "HugeKernel",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4 kernel_size: 4294967295 pad: 4294967295 } })",
            {"kernel_size is 4294967295"}),
        field_case(
            "HugeOutput",
            R"(layer { name: "c" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 4294967295 kernel_size: 3 } })",
            {"learned blob 0"}),
        field_case("NoOutputs", R"(layer { name: "c" type: "InnerProduct" bottom: "x" top: "y" })",
                   {"num_output is missing or 0"}),
        field_case("UnknownFiller",
                   R"(layer { name: "c" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1
  weight_filler { type: "xavierr" } } })",
                   {"net.prototxt:3:19", "unknown filler \"xavierr\": did you mean \"xavier\"?"}),
        field_case("BadAxis", R"(layer { name: "c" type: "Softmax" bottom: "x" top: "y" softmax_param { axis: 4 } })",
                   {"axis 4 of a blob with 4 axes", "from -4 to -1"}),
        field_case("PoolWithoutKernel", R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" })",
                   {"kernel_size is missing"}),
        field_case("PoolKernelHAlone",
                   R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_h: 2 } })",
                   {"kernel_w is missing"}),
        field_case(
            "PoolPadding",
            R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 2 pad: 2 } })",
            {"is not less than the kernel"}),
        field_case(
            "GlobalPoolingWithKernel",
            R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" pooling_param { global_pooling: true kernel_size: 2 } })",
            {"with global_pooling: true"}),
        field_case(
            "CeilAndRound",
            R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 2 ceil_mode: true round_mode: FLOOR } })",
            {"ceil_mode and round_mode"}),
        field_case(
            "SlicePoints",
            R"(layer { name: "c" type: "Slice" bottom: "x" top: "y" top: "z" slice_param { slice_point: 1 slice_point: 2 } })",
            {"2 slice_point for 2 tops"}),
        field_case("LogBaseOne", R"(layer { name: "c" type: "Log" bottom: "x" top: "y" log_param { base: 1 } })",
                   {"base is 1"}),
        field_case("EmbedWithoutSize",
                   R"(layer { name: "c" type: "Embed" bottom: "x" top: "y" embed_param { num_output: 2 } })",
                   {"input_dim is missing"}),
        field_case("TooManyLevels",
                   R"(layer { name: "c" type: "SPP" bottom: "x" top: "y" spp_param { pyramid_height: 9 } })",
                   {"bins along axis"}),
        field_case(
            "WindowBehindTheInput",
            R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 1 stride: 9 } })",
            {"warning", "the last window along the height begins at 9", "covers no element"}),
        field_case("TooManyTiles",
                   R"(layer { name: "c" type: "Tile" bottom: "x" top: "y" tile_param { tiles: 2147483647 } })",
                   {"net.prototxt:2:", "more than 2147483647 elements"}),
        field_case(
            "TooManyPlacesInAWindow",
            R"(layer { name: "c" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 65536 pad: 65535 } })",
            {"the kernel: 65536,65536 has more than 2147483647 elements"}),
        field_case(
            "TooManyColumns",
            R"(layer { name: "c" type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 2147483647 pad: 2147483647 } })",
            {"more than 2147483647 elements"}),
        field_case(
            "TooManyPixels",
            R"(layer { name: "c" type: "Interp" bottom: "x" top: "y" interp_param { height: 2147483647 width: 2147483647 } })",
            {"2147483647,2147483647 has more than 2147483647 elements"}),
        field_case("TooManyGroups",
                   R"(layer { name: "c" type: "PSROIPooling" bottom: "x" bottom: "x" top: "y"
  psroi_pooling_param { output_dim: 2147483647 group_size: 2147483647 spatial_scale: 1 } })",
                   {"layer \"c\" (PSROIPooling)"}),
        field_case(
            "TooLargeAWeight",
            R"(layer { name: "c" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 4294967295 } })",
            {"learned blob 0", "more than 2147483647 elements",
             "use a smaller batch, fewer outputs or smaller images"}),
        field_case("TooLargeASpread",
                   R"(layer { name: "c" type: "Deconvolution" bottom: "x" top: "y"
  convolution_param { num_output: 1 kernel_size: 2147483647 dilation: 2147483647 stride: 2147483647 } })",
                   {"more than 2147483647 elements"}),
        field_case("EvenLrn", R"(layer { name: "c" type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 4 } })",
                   {"local_size is 4"}),
        field_case("DropoutRatio",
                   R"(layer { name: "c" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 1 } })",
                   {"dropout_ratio is 1"}),
        field_case("BatchNormLearned",
                   R"(layer { name: "c" type: "BatchNorm" bottom: "x" top: "y" param { lr_mult: 1 } })",
                   {"not learned", "lr_mult: 0"}),
        field_case("ScaleShape", R"(layer { name: "c" type: "Scale" bottom: "x" bottom: "x" top: "y" })",
                   {"dimension mismatch"}),
        field_case("EltwiseCoefficients",
                   R"(layer { name: "c" type: "Eltwise" bottom: "x" bottom: "x" top: "y" eltwise_param { coeff: 1 } })",
                   {"1 coeff for 2 bottoms"}),
        field_case("InputShapes", R"(layer { name: "c" type: "Input" top: "y" })", {"0 shapes for 1 tops"}),
        field_case("NegativeShape", R"(layer { name: "c" type: "Input" top: "y" input_param { shape { dim: -2 } } })",
                   {"axis 0 has extent -2"}),
        field_case(
            "HugeShape",
            R"(layer { name: "c" type: "Input" top: "y" input_param { shape { dim: 3000000000 dim: 3000000000 dim: 3000000000 } } })",
            {"more than 2147483647 elements"}),
        field_case("DummyLegacyAndShape",
                   R"(layer { name: "c" type: "DummyData" top: "y" dummy_data_param { num: 1 shape { dim: 2 } } })",
                   {"both shape and num"}),
        Case{"LabelCount",
             kScores + kInput + R"(layer { name: "a" type: "Accuracy" bottom: "s" bottom: "x" top: "a" })",
             {"the number of labels must match the number of predictions", "needs 4"}},
        Case{"TopK",
             kScores + kLabel +
                 R"(layer { name: "a" type: "Accuracy" bottom: "s" bottom: "l" top: "a" accuracy_param { top_k: 6 } })",
             {"top_k is 6 and there are 5 classes"}},
        Case{"EuclideanShapes",
             kScores + kLabel + R"(layer { name: "a" type: "EuclideanLoss" bottom: "s" bottom: "l" top: "a" })",
             {"the inputs must have the same dimension"}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace trainer
