// Tests label smoothing, class weights and the losses that Caffe lacks with numbers from PyTorch 2.15 in double
// precision: cross_entropy, l1_loss, huber_loss, binary_cross_entropy, binary_cross_entropy_with_logits, kl_div,
// TripletMarginLoss and TripletMarginWithDistanceLoss; sigmoid_focal_loss of torchvision 0.29; otherwise the papers'
// formulas. Gradients are from autograd, of twice the loss.
#include <fstream>

#include "layers/net_run.h"

namespace trainer {
namespace {

std::string loss_layer(const std::string& type, const std::vector<std::string>& bottoms, const std::string& fields) {
  std::string text = "layer { name: 'loss' type: '" + type + "' top: 'loss' " + fields;
  for (const std::string& bottom : bottoms) text += " bottom: '" + bottom + "'";
  return text + " }";
}

// The loss, and the gradients of twice the loss.
void expect_loss(const std::string& text, const Given& given, float loss,
                 const std::map<std::string, Numbers>& gradients) {
  NetText net(text);
  ASSERT_EQ(net.problems(), "");
  expect_near(net.forward("loss", given), {loss});
  for (const auto& [of, gradient] : gradients) expect_near(NetText(text).gradient("loss", {2}, of, given), gradient);
}

std::string class_loss(const std::string& type, const std::string& fields) {
  return input_layer("x", {2, 3, 2}) + input_layer("label", {2, 2}) + loss_layer(type, {"x", "label"}, fields);
}
const Given kLabelled{{"x", uneven(12)}, {"label", {0, 2, 1, 2}}};

TEST(SoftmaxWithLoss, SmoothsLabels) {
  expect_loss(class_loss("SoftmaxWithLoss", "loss_param { label_smoothing: 0.1 ignore_label: 1 }"), kLabelled,
              1.9433851f,
              {{"x",
                {-0.57331705f, -0.0056776269f, -0.00024771123f, 0.42634542f, 0.57356476f, -0.42066779f, 0, 0.38151832f,
                 0, 0.1591901f, 0, -0.54070841f}}});
}

const std::string kWeights = "ignore_label: 1 class_weight: [0.5, 2, 1] ";

TEST(SoftmaxWithLoss, WeighsClasses) {
  expect_loss(class_loss("SoftmaxWithLoss", "loss_param { " + kWeights + "}"), kLabelled, 1.8415808f,
              {{"x",
                {-0.3706569f, 0.019853514f, 0.013184707f, 0.53828117f, 0.35747219f, -0.55813468f, 0, 0.48448865f, 0,
                 0.21769478f, 0, -0.70218343f}}});
  expect_loss(class_loss("SoftmaxWithLoss", "loss_param { label_smoothing: 0.1 " + kWeights + "}"), kLabelled,
              1.8845633f,
              {{"x",
                {-0.34007782f, 0.006851073f, -0.038390666f, 0.49391919f, 0.37846848f, -0.50077026f, 0, 0.47923012f, 0,
                 0.16798969f, 0, -0.64721982f}}});
}

// The sum is 4.7114082.
TEST(SoftmaxWithLoss, DividesWeightedLabelsAsNormalizationSays) {
  const std::string fields = "loss_param { label_smoothing: 0.1 " + kWeights;
  expect_loss(class_loss("SoftmaxWithLoss", fields + "normalization: NONE }"), kLabelled, 4.7114082f, {});
  expect_loss(class_loss("SoftmaxWithLoss", fields + "normalization: FULL }"), kLabelled, 1.17785205f, {});
  expect_loss(class_loss("SoftmaxWithLoss", fields + "normalization: BATCH_SIZE }"), kLabelled, 2.3557041f, {});
}

TEST(SoftmaxWithLoss, LabelsWithoutWeightCostNothing) {
  const Given given{{"x", uneven(12)}, {"label", {0, 0, 1, 0}}};
  expect_loss(class_loss("SoftmaxWithLoss", "loss_param { ignore_label: 1 class_weight: [0, 2, 1] }"), given, 0,
              {{"x", Numbers(12, 0.0f)}});
}

TEST(SoftmaxWithLoss, SmoothsAndWeighsSoftLabels) {
  expect_loss(
      input_layer("x", {2, 3, 2}) + input_layer("q", {2, 3, 2}) +
          loss_layer("SoftmaxWithLoss", {"x", "q"}, "loss_param { label_smoothing: 0.1 class_weight: [0.5, 2, 1] }"),
      {{"x", uneven(12)}, {"q", {0.2f, 0, 0.5f, 0.3f, 0.1f, 0.7f, 0, 0.7f, 0.4f, 0, 0.6f, 0}}}, 1.8117271f,
      {{"x",
        {-0.00944094f, 0.0076322011f, -0.46361121f, 0.12953444f, 0.47305215f, -0.13716664f, 0.40852877f, -0.035122334f,
         -0.20602511f, 0.025398905f, -0.20250366f, 0.009723429f}}});
}

TEST(SoftmaxWithLoss, ReadsWeightsFromAFile) {
  const std::string path = testing::TempDir() + "/class_weights.txt";
  std::ofstream(path) << "0.5 2\n1\n";
  expect_loss(class_loss("SoftmaxWithLoss", "loss_param { ignore_label: 1 class_weight_file: '" + path + "' }"),
              kLabelled, 1.8415808f, {});
}

std::string element_loss(const std::string& type, const std::string& fields = "") {
  return input_layer("x", {2, 3}) + input_layer("t", {2, 3}) + loss_layer(type, {"x", "t"}, fields);
}
const Given kElements{{"x", uneven(6)}, {"t", uneven(6, -0.4f)}};

TEST(L1Loss, DividesByItemsOrElements) {
  expect_loss(element_loss("L1Loss"), kElements, 6.09f, {{"x", {-1, -1, -1, 1, 1, 1}}, {"t", {1, 1, 1, -1, -1, -1}}});
  const float third = 1 / 3.0f;
  expect_loss(element_loss("L1Loss", "loss_param { normalization: FULL }"), kElements, 2.03f,
              {{"x", {-third, -third, -third, third, third, third}}});
}

TEST(L1Loss, IgnoresTargets) {
  const Given given{{"x", {1, 2, 3, 4, 5, 6}}, {"t", {0, -1, 0, -1, 0, -1}}};
  expect_loss(element_loss("L1Loss", "loss_param { ignore_label: -1 normalization: VALID }"), given, 3,
              {{"x", {2 / 3.0f, 0, 2 / 3.0f, 0, 2 / 3.0f, 0}}});
}

TEST(HuberLoss, IsLinearBeyondDelta) {
  expect_loss(element_loss("HuberLoss", "huber_loss_param { delta: 1.5 }"), kElements, 5.7744f,
              {{"x", {-1.26f, -1.5f, -1.5f, 1.5f, 1.5f, 1.5f}}, {"t", {1.26f, 1.5f, 1.5f, -1.5f, -1.5f, -1.5f}}});
}

TEST(QuantileLoss, OneOrOneForEachChannel) {
  expect_loss(element_loss("QuantileLoss", "quantile_loss_param { quantile: 0.3 }"), kElements, 3.171f,
              {{"x", {-0.3f, -0.3f, -0.3f, 0.7f, 0.7f, 0.7f}}, {"t", {0.3f, 0.3f, 0.3f, -0.7f, -0.7f, -0.7f}}});
  expect_loss(
      input_layer("x", {2, 3}) + input_layer("t", {2, 1}) +
          loss_layer("QuantileLoss", {"x", "t"}, "quantile_loss_param { quantile: 0.1 quantile: 0.5 quantile: 0.8 }"),
      {{"x", uneven(6)}, {"t", {0.5f, -1}}}, 3.62f, {{"x", {-0.1f, -0.5f, -0.8f, 0.9f, 0.5f, 0.2f}}});
}

TEST(BCELoss, TakesProbabilities) {
  const Given given{{"x", {0.28905049f, 0.21416502f, 0.15446526f, 0.88079709f, 0.83201838f, 0.76852477f}},
                    {"t", {0, 1, 0.5f, 0.25f, 0.9f, 1}}};
  expect_loss(element_loss("BCELoss"), given, 2.5670298f,
              {{"x", {1.4065696f, -4.6692967f, -2.6456321f, 6.0079588f, -0.48640367f, -1.3011942f}}});
  expect_loss(element_loss("BCELoss", "bce_loss_param { pos_weight: 3 }"), given, 5.5024565f,
              {{"x", {1.4065696f, -14.00789f, -9.1195798f, 5.4402912f, -2.6498174f, -3.9035827f}}});
}

TEST(BCELoss, StaysFiniteAtZeroAndOne) {
  const Given given{{"x", {0, 1, 1, 0, 0, 1}}, {"t", {0, 1, 0, 1, 0, 1}}};
  expect_loss(element_loss("BCELoss"), given, 100, {{"x", {0, 0, 1e12f, -1e12f, 0, 0}}});
}

TEST(FocalLoss, OfSoftmax) {
  expect_loss(class_loss("FocalLoss", "focal_loss_param { alpha: 0.25 gamma: 1.5 } loss_param { ignore_label: 1 }"),
              kLabelled, 0.39629119f,
              {{"x",
                {-0.18049797f, 0.0042844686f, 0.0064205275f, 0.11616325f, 0.17407744f, -0.12044772f, 0, 0.11944863f, 0,
                 0.053671728f, 0, -0.17312035f}}});
}

TEST(FocalLoss, OfSigmoid) {
  expect_loss(element_loss("FocalLoss", "focal_loss_param { probability: SIGMOID }"),
              {{"x", uneven(6)}, {"t", {0, 1, 1, 1, 0, 0}}}, 1.0839744f,
              {{"x", {0.048509461f, -0.22322331f, -0.25425571f, -0.001217735f, 0.74314055f, 0.64051736f}}});
}

// The probability of the label is 1 in float.
TEST(FocalLoss, HasAGradientOfZeroAtCertainty) {
  expect_loss(input_layer("x", {1, 2}) + input_layer("label", {1}) +
                  loss_layer("FocalLoss", {"x", "label"}, "focal_loss_param { gamma: 0.5 }"),
              {{"x", {200, 0}}, {"label", {0}}}, 0, {{"x", {0, 0}}});
}

std::string overlap_loss(const std::string& fields) {
  return input_layer("x", {2, 3, 4}) + input_layer("label", {2, 4}) +
         "layer { name: 'p' type: 'Softmax' bottom: 'x' top: 'p' }" +
         loss_layer("DiceLoss", {"p", "label"}, "loss_param { ignore_label: 7 } dice_loss_param { " + fields + " }");
}

TEST(DiceLoss, OverItemsOrTheBatch) {
  const Given given{{"x", uneven(24)}, {"label", {0, 2, 1, 2, 1, 1, 0, 7}}};
  expect_loss(overlap_loss(""), given, 0.35956648f, {{"x", {-0.013282042f, 0.001944153f,  0.0074099437f, 0.0051051591f,
                                                            0.011661148f,  0.023880211f,  -0.0249415f,   0.0010715136f,
                                                            0.0016208944f, -0.025824364f, 0.017531557f,  -0.0061766727f,
                                                            0.0081732945f, 0.0081732945f, -0.032727207f, 0,
                                                            -0.041248129f, -0.041248129f, 0.023898202f,  0,
                                                            0.033074834f,  0.033074834f,  0.0088290053f, 0}}});
  expect_loss(overlap_loss("batch: true squared: true smooth: 0.1"), given, 0.49158967f,
              {{"x", {-0.029211275f,  0.00017123476f, 0.0048818178f, 0.038721703f,
                      0.038593495f,   0.092518512f,   -0.017973036f, -0.015246164f,
                      -0.0093822195f, -0.092689747f,  0.013091218f,  -0.02347554f,
                      0.0048818178f,  0.0048818178f,  -0.038433946f, 0,
                      -0.017973036f,  -0.017973036f,  0.032599589f,  0,
                      0.013091218f,   0.013091218f,   0.0058343562f, 0}}});
}

// 1 - (2 * (0.5 + 0.2) + 1) / (1.9 + 2 + 1) and 1 - (2 * 0.4 + 1) / (1.2 + 1 + 1), by hand.
TEST(DiceLoss, TakesTargets) {
  expect_loss(input_layer("p", {2, 1, 3}) + input_layer("t", {2, 1, 3}) + loss_layer("DiceLoss", {"p", "t"}, ""),
              {{"p", {0.5f, 0.2f, 1.2f, 0.4f, 0.8f, 0}}, {"t", {1, 1, 0, 1, 0, 0}}},
              1 - (2.4f / 4.9f + 1.8f / 3.2f) / 2, {});
}

TEST(KLDivergenceLoss, ScalesByTheSquareOfTheTemperature) {
  const std::string text =
      input_layer("student", {2, 3, 2}) + input_layer("teacher", {2, 3, 2}) +
      loss_layer("KLDivergenceLoss", {"student", "teacher"}, "kl_divergence_loss_param { temperature: 2 }");
  const Given given{{"student", uneven(12)}, {"teacher", uneven(12, -0.6f)}};
  expect_loss(text, given, 1.4695178f,
              {{"student",
                {-0.17070898f, -0.4391948f, -0.33345781f, 0.33543824f, 0.50416679f, 0.10375655f, 0.21452982f,
                 0.21452982f, -0.010783213f, -0.010783213f, -0.20374661f, -0.20374661f}}});
  EXPECT_TRUE(NetText(text).gradient("loss", {2}, "teacher", given).empty());
}

std::string triplet_loss(const std::string& fields, const std::string& more = "") {
  std::vector<std::string> bottoms = {"a", "p", "n"};
  if (!more.empty()) bottoms.push_back("w");
  return input_layer("a", {3, 4}) + input_layer("p", {3, 4}) + input_layer("n", {3, 4}) + more +
         loss_layer("TripletLoss", bottoms, "triplet_loss_param { " + fields + " }");
}
const Given kTriplets{{"a", uneven(12)},
                      {"p", {-0.96f, -0.72f, -1.04f, -1.36f, 1.6f, 1.28f, 0.96f, 0.64f, 0.32f, 0, -0.32f, -0.64f}},
                      {"n", {0.24f, 0.36f, 0.27f, 0.39f, 0.51f, -0.6f, -0.48f, -0.36f, -0.24f, -0.12f, 0, 0.12f}},
                      {"w", {1, 0.5f, 2}}};

TEST(TripletLoss, OfSquaredDistances) {
  expect_loss(
      triplet_loss("margin: 4"), kTriplets, 1.3041667f,
      {{"a", {0.8f, 0.72f, 0.87333333f, 1.1666667f, 0, 0, 0, 0, -0.37333333f, -0.08f, 0.21333333f, 0.50666667f}},
       {"p", {-0.04f, 0.38666667f, 0.44f, -2.24f, 0, 0, 0, 0, 0.21333333f, 0.26666667f, 0.32f, 0.37333333f}},
       {"n", {-0.76f, -1.1066667f, -1.3133333f, 1.0733333f, 0, 0, 0, 0, 0.16f, -0.18666667f, -0.53333333f, -0.88f}}});
}

TEST(TripletLoss, OfDistances) {
  expect_loss(triplet_loss("margin: 2 squared: false"), kTriplets, 1.1799443f,
              {{"a",
                {0.24574259f, 0.22974811f, 0.27808703f, 0.31408857f, 0, 0, 0, 0, -0.33838837f, -0.17933087f,
                 -0.020273362f, 0.13878414f}},
               {"p",
                {-0.011515953f, 0.11131883f, 0.12667318f, -0.64488282f, 0, 0, 0, 0, 0.23756532f, 0.29695684f,
                 0.35634836f, 0.41573987f}},
               {"n",
                {-0.23422663f, -0.34106695f, -0.40476021f, 0.33079425f, 0, 0, 0, 0, 0.10082304f, -0.11762598f,
                 -0.336075f, -0.55452402f}}});
  expect_loss(triplet_loss("margin: 2 squared: false", input_layer("w", {3})), kTriplets, 1.6169611f,
              {{"a",
                {0.24574259f, 0.22974811f, 0.27808703f, 0.31408857f, 0, 0, 0, 0, -0.67677674f, -0.35866173f,
                 -0.040546724f, 0.27756828f}}});
}

std::string center_loss(const std::string& fields = "") {
  return input_layer("x", {3, 4}) + input_layer("label", {3}) +
         loss_layer("CenterLoss", {"x", "label"}, "center_loss_param { num_output: 2 } " + fields);
}
const Given kCentered{
    {"x", uneven(12)}, {"label", {1, 0, 1}}, {"loss/0", {0.6f, 0.4f, 0.2f, -0.45f, -0.65f, -0.85f, 1, 0.8f}}};
const Numbers kPull = {-1, -0.8f, -0.6f, -0.85f, -0.26666667f, 0, 3, 0.53333333f};

TEST(CenterLoss, MovesCentersByTheMeanOfTheirItems) {
  expect_loss(center_loss(), kCentered, 3.26375f,
              {{"x",
                {-0.16666667f, -0.3f, -1.8f, 0.8f, 0.66666667f, 0.53333333f, 0.4f, 0.56666667f, 0.43333333f, 0.3f,
                 -1.2f, -1.3333333f}},
               {"loss/0", kPull}});
}

// The gradient of the loss is twice its weight, as with a loss scale of 2.
TEST(CenterLoss, MovesCentersIndependentlyOfItsWeight) {
  expect_near(NetText(center_loss("loss_weight: 0.01")).gradient("loss", {0.02f}, "loss/0", kCentered), kPull);
}

std::string arc_face_loss(const std::string& fields) {
  return input_layer("x", {3, 4}) + input_layer("label", {3}) +
         loss_layer("ArcFaceLoss", {"x", "label"},
                    "top: 'scores' arc_face_loss_param { num_output: 5 scale: 4 " + fields + " }");
}
const Given kFaces{{"x", uneven(12)},
                   {"label", {3, 0, 4}},
                   {"loss/0", {0.65f, 0.45f, 0.25f, 0.05f, -0.15f, -0.45f, -0.65f, -0.85f, 1,  0.8f,
                               0.6f,  0.4f,  0.2f,  0,     -0.2f,  -0.4f,  -0.6f,  -0.8f,  -1, 0.85f}}};

TEST(ArcFaceLoss, AddsTheMarginToTheAngle) {
  expect_loss(
      arc_face_loss("margin: 0.5"), kFaces, 4.8602966f,
      {{"x",
        {-0.22330157f, 0.040047943f, 0.30501503f, 0.18480823f, -0.23793262f, -0.00017899412f, 0.23767699f, 0.47691347f,
         0.73154044f, 0.79016703f, 0.9406765f, -0.89050668f}},
       {"loss/0", {0.40031065f,   -0.10952826f, -0.61936716f,  -1.1214482f,   0.16015213f,  0.13188585f,  -0.011762098f,
                   -0.089089515f, 0.067441817f, 0.0075869512f, -0.052267914f, -0.10537657f, -0.28250975f, 0.97369319f,
                   2.2298961f,    -1.2562029f,  0.080773239f,  0.44242815f,   0.80408306f,  1.4193994f}}});
  expect_near(NetText(arc_face_loss("")).forward("scores", kFaces),
              {-2.349329f, 0.13940454f, -1.9184658f, -1.705303f, 3.9397856f, 3.9562828f, -2.5581319f, 3.975232f, 0,
               -2.6334943f, -1.4156768f, 3.927391f, -2.3276575f, 3.4914862f, 0.16197651f});
}

// The angles of the labels are 2.01, 0.15 and 1.53.
TEST(ArcFaceLoss, FallsFurtherBeyondPi) {
  expect_loss(arc_face_loss("margin: 1.6"), kFaces, 8.4033047f,
              {{"x",
                {-0.30927308f, 0.094908978f, 0.50070981f, 0.34812129f, -0.52846328f, -0.00025650201f, 0.52809696f,
                 1.0584287f, 0.15913253f, 0.043697844f, 0.020311648f, -0.028107047f}}});
}

std::string lovasz_loss(const std::string& fields) {
  return input_layer("p", {2, 3, 4}) + input_layer("label", {2, 4}) +
         loss_layer("LovaszLoss", {"p", "label"},
                    "loss_param { ignore_label: 7 } lovasz_loss_param { " + fields + " }");
}

// The numbers are those of the paper's reference code, lovasz_softmax.
TEST(LovaszLoss, OverTheBatchOrEachImage) {
  const Given given{{"p", {0.2f,  0.5f, 0.1f,  0.6f,  0.7f,  0.15f, 0.55f, 0.3f,  0.1f, 0.35f, 0.35f, 0.1f,
                           0.25f, 0.4f, 0.82f, 0.33f, 0.45f, 0.12f, 0.04f, 0.27f, 0.3f, 0.48f, 0.14f, 0.4f}},
                    {"label", {0, 2, 1, 2, 1, 1, 0, 7}}};
  expect_loss(lovasz_loss(""), given, 0.67833333f,
              {{"p",
                {-0.33333333f,
                 0.055555556f,
                 0,
                 0.11111111f,
                 0.11111111f,
                 0,
                 -0.16666667f,
                 0,
                 0,
                 -0.33333333f,
                 0,
                 -0.33333333f,
                 0.022222222f,
                 0.033333333f,
                 -0.11111111f,
                 0,
                 -0.16666667f,
                 -0.22222222f,
                 0,
                 0,
                 0,
                 0,
                 0,
                 0}}});
  expect_loss(lovasz_loss("per_image: true"), given, 0.6125f,
              {{"p",
                {-0.33333333f,
                 0,
                 0,
                 0,
                 0.16666667f,
                 0,
                 -0.16666667f,
                 0,
                 0,
                 -0.16666667f,
                 0,
                 -0.16666667f,
                 0.083333333f,
                 0.25f,
                 -0.16666667f,
                 0,
                 -0.25f,
                 -0.25f,
                 0,
                 0,
                 0,
                 0,
                 0,
                 0}}});
  expect_loss(lovasz_loss("per_image: true classes: ALL"), given, 0.60777778f,
              {{"p",
                {-0.33333333f,
                 0,
                 0,
                 0,
                 0.16666667f,
                 0,
                 -0.16666667f,
                 0,
                 0,
                 -0.16666667f,
                 0,
                 -0.16666667f,
                 0.055555556f,
                 0.16666667f,
                 -0.11111111f,
                 0,
                 -0.16666667f,
                 -0.16666667f,
                 0,
                 0,
                 0,
                 0.33333333f,
                 0,
                 0}}});
}

}  // namespace
}  // namespace trainer
