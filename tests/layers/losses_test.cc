// Tests SoftmaxWithLoss, EuclideanLoss, Softmax and Accuracy with numbers from numpy.
#include <tuple>

#include "layers/net_run.h"

namespace trainer {
namespace {

std::string softmax_loss(const std::string& fields) {
  return input_layer("x", {2, 3, 2}) + input_layer("label", {2, 2}) +
         "layer { name: \"loss\" type: \"SoftmaxWithLoss\" bottom: \"x\" bottom: \"label\" top: \"loss\" "
         "loss_param { " +
         fields + " } }";
}
const Given kScores{{"x", uneven(12)}, {"label", {0, 2, 1, 2}}};

TEST(SoftmaxWithLoss, DividesAsNormalizationSays) {
  expect_near(NetText(softmax_loss("ignore_label: 1")).forward("loss", kScores), {1.970052f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalization: FULL")).forward("loss", kScores), {1.477539f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalization: BATCH_SIZE")).forward("loss", kScores), {2.955078f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalize: false")).forward("loss", kScores), {2.955078f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalization: NONE")).forward("loss", kScores), {5.910155f});
}

TEST(SoftmaxWithLoss, GradientIsZeroAtIgnoredLabels) {
  NetText net(softmax_loss("ignore_label: 1"));
  EXPECT_EQ(net.blob("loss").shape(), Shape{});
  expect_near(net.gradient("loss", {2}, "x", kScores), {-0.6177615f, 0.0165446f, 0.02197451f, 0.4485676f, 0.595787f,
                                                        -0.4651122f, 0, 0.4037405f, 0, 0.1814123f, 0, -0.5851529f});
  ASSERT_EQ(net.net().labels.size(), 1u);
  EXPECT_EQ(net.net().labels[0].range.classes, 3);
  EXPECT_EQ(net.net().labels[0].range.ignore, 1);
  EXPECT_EQ(net.net().labels[0].range.consumer, "layer \"loss\" (SoftmaxWithLoss)");
}

TEST(SoftmaxWithLoss, AllLabelsIgnored) {
  const Given given{{"x", uneven(12)}, {"label", {7, 7, 7, 7}}};
  expect_near(NetText(softmax_loss("ignore_label: 7")).forward("loss", given), {0});
}

TEST(SoftmaxWithLoss, VanishingProbabilityStaysFinite) {
  NetText net(input_layer("x", {1, 2}) + input_layer("label", {1}) +
              R"(layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" top: "p" })");
  const Given given{{"x", {0, 1000}}, {"label", {0}}};
  expect_near(net.forward("loss", given), {87.33655f});
  expect_near(net.forward("p", given), {0, 1});
  EXPECT_EQ(net.net().layers[2].tops[0].loss_weight, 1);
  EXPECT_EQ(net.net().layers[2].tops[1].loss_weight, 0);
}

// Weights of the classes in place of labels; those of the last place add up to 0.7.
TEST(SoftmaxWithLoss, TakesSoftLabels) {
  const std::string inputs = input_layer("x", {2, 3, 2}) + input_layer("q", {2, 3, 2});
  const std::string layer = R"(layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "q" top: "loss" )";
  const Given given{{"x", uneven(12)}, {"q", {0.2f, 0, 0.5f, 0.3f, 0.1f, 0.7f, 0, 0.7f, 0.4f, 0, 0.6f, 0}}};
  NetText net(inputs + layer + "}");
  expect_near(net.forward("loss", given), {1.3321841f});
  expect_near(net.gradient("loss", {2}, "x", given),
              {-0.0706569f, 0.0124084f, -0.2368153f, 0.1864257f, 0.3074722f, -0.1988342f, 0.3028054f, -0.1380362f,
               -0.0639408f, 0.0952415f, -0.2388646f, 0.0427947f});
  expect_near(NetText(inputs + layer + "loss_param { normalization: BATCH_SIZE } }").forward("loss", given),
              {2.6643682f});
  ASSERT_EQ(net.net().labels.size(), 1u);
  EXPECT_EQ(net.net().labels[0].range.class_axis, 1);
  EXPECT_EQ(net.net().labels[0].range.classes, 3);

  // A label of one class gives the loss of that label.
  const Given hard{{"x", uneven(12)}, {"q", {1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1}}};
  const Given labels{{"x", uneven(12)}, {"label", {0, 2, 1, 2}}};
  expect_near(NetText(inputs + layer + "}").forward("loss", hard), NetText(softmax_loss("")).forward("loss", labels));
}

TEST(Softmax, SumsToOneAndHasCaffesGradient) {
  NetText net(input_layer("x", {2, 3, 2}) + R"(layer { name: "s" type: "Softmax" bottom: "x" top: "y" })");
  const Given given{{"x", uneven(12)}};
  expect_near(net.forward("y", given), {0.07335776f, 0.02481689f, 0.03296177f, 0.6728515f, 0.8936805f, 0.3023316f,
                                        0.6056108f, 0.6056108f, 0.2721185f, 0.2721185f, 0.1222707f, 0.1222707f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "x", given),
              {-0.1133731f, -0.0517027f, -0.06940041f, 0.1524902f, 0.1827735f, -0.1007875f, 0.1752211f, 0.1752211f,
               -0.07365443f, -0.07365443f, -0.1015667f, -0.1015667f});
}

TEST(EuclideanLoss, HalfTheMeanSquaredDistance) {
  NetText net(input_layer("a", {2, 3}) + input_layer("b", {2, 3, 1}) +
              R"(layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" })");
  const Given given{{"a", uneven(6)}, {"b", uneven(6, -0.4f)}};
  expect_near(net.forward("loss", given), {6.5611f});
  expect_near(net.gradient("loss", {1.5f}, "a", given), {-0.945f, -1.365f, -1.785f, 2.1f, 1.68f, 1.26f});
  expect_near(net.gradient("loss", {1.5f}, "b", given), {0.945f, 1.365f, 1.785f, -2.1f, -1.68f, -1.26f});
}

std::string accuracy(const std::string& fields) {
  return input_layer("x", {5, 3}) + input_layer("label", {5}) +
         "layer { name: \"a\" type: \"Accuracy\" bottom: \"x\" bottom: \"label\" top: \"share\" top: "
         "\"classes\" "
         "accuracy_param { " +
         fields + " } }";
}

TEST(Accuracy, TiesCountAgainstThePrediction) {
  const Given given{{"x", {1, 2, 3, 3, 2, 1, 2, 2, 0, 0, 5, 1, 1, 0, 0}}, {"label", {2, 1, 0, 1, 2}}};
  const struct {
    const char* fields;
    float share;
    Numbers classes;
  } cases[] = {{"", 0.4f, {0, 0.5f, 0.5f}},
               {"ignore_label: 2", 1 / 3.0f, {0, 0.5f, 0}},
               {"top_k: 2", 0.8f, {1, 1, 0.5f}},
               {"top_k: 2 ignore_label: 2", 1, {1, 1, 0}}};
  for (const auto& c : cases) {
    NetText net(accuracy(c.fields));
    expect_near(net.forward("share", given), {c.share});
    expect_near(net.forward("classes", given), c.classes);
  }
}

TEST(Accuracy, ScoresThatAreNotNumbersAreWrong) {
  const float nan = std::nanf("");
  const Given given{{"x", {nan, nan, nan, 1, nan, 0, 3, 0, 0, 0, 3, 0, 0, 0, 3}}, {"label", {0, 0, 0, 1, 2}}};
  expect_near(NetText(accuracy("")).forward("share", given), {0.6f});
}

TEST(Accuracy, CountsNothingAsZero) {
  const Given given{{"x", uneven(15)}, {"label", Numbers(5, 9.0f)}};
  expect_near(NetText(accuracy("ignore_label: 9")).forward("share", given), {0});
}

std::string labelled_loss(const std::string& type, const std::string& fields = "") {
  return input_layer("x", {3, 4}) + input_layer("label", {3}) + "layer { name: \"loss\" type: \"" + type +
         "\" bottom: \"x\" bottom: \"label\" top: \"loss\" " + fields + " }";
}

TEST(HingeLoss, BothNorms) {
  const Given given{{"x", uneven(12)}, {"label", {1, 3, 0}}};
  NetText linear(labelled_loss("HingeLoss"));
  expect_near(linear.forward("loss", given), {4.8f});
  expect_near(linear.gradient("loss", {2}, "x", given),
              {0.6666667f, -0.6666667f, 0, 0.6666667f, 0.6666667f, 0.6666667f, 0.6666667f, -0.6666667f, -0.6666667f,
               0.6666667f, 0.6666667f, 0});
  NetText squared(labelled_loss("HingeLoss", "hinge_loss_param { norm: L2 }"));
  expect_near(squared.forward("loss", given), {10.3f});
  expect_near(squared.gradient("loss", {2}, "x", given),
              {0.1333333f, -3.066667f, 0, 4, 3.466667f, 2.933333f, 2.4f, -0.8f, -1.333333f, 0.8f, 0.2666667f, 0});
}

TEST(MultinomialLogisticLoss, PassesAGradientWhereTheProbabilityIsZero) {
  const Given given{{"x", {0.2f, 0.3f, 0.5f, 0, 0, 0.1f, 0.2f, 0.7f, 0.25f, 0.25f, 0.5f, 0}}, {"label", {0, 3, 3}}};
  NetText net(labelled_loss("MultinomialLogisticLoss"));
  expect_near(net.forward("loss", given), {16.00594f});
  expect_near(net.gradient("loss", {2}, "x", given),
              {-3.333333f, 0, 0, 0, 0, 0, 0, -0.952381f, 0, 0, 0, -6.666667e+19f});
}

TEST(SigmoidCrossEntropyLoss, DividesAsNormalizationSays) {
  const std::string text =
      input_layer("x", {3, 4}) + input_layer("t", {3, 4}) +
      R"(layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "loss" loss_param { )";
  const Given given{{"x", uneven(12)}, {"t", {0, 1, 0.5f, -1, 255, 0.25f, 0.9f, -1, 1, 0, 0.3f, 0.6f}}};
  expect_near(NetText(text + "} }").forward("loss", given), {-131.1538f});
  NetText valid(text + "normalization: VALID ignore_label: -1 } }");
  expect_near(valid.forward("loss", given), {-39.89012f});
  expect_near(valid.gradient("loss", {2}, "x", given),
              {0.0578101f, -0.157167f, -0.06910694f, 0, -50.8336f, 0.103705f, -0.0420051f, 0, -0.1f, 0.08026247f,
               0.002005104f, -0.07370496f});
  expect_near(NetText(text + "normalization: FULL ignore_label: -1 } }").forward("loss", given), {-33.24177f});
  expect_near(NetText(text + "normalization: NONE ignore_label: 255 } }").forward("loss", given), {12.75482f});
}

TEST(SigmoidCrossEntropyLoss, StaysFiniteWhereTheSigmoidIsFull) {
  NetText net(input_layer("x", {2}) + input_layer("t", {2}) +
              R"(layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "loss" })");
  expect_near(net.forward("loss", {{"x", {200, -200}}, {"t", {0, 1}}}), {200});
}

// Pairs: similar, equal but not similar, within the margin, beyond it.
TEST(ContrastiveLoss, BothVersions) {
  const std::string text =
      input_layer("a", {4, 2}) + input_layer("b", {4, 2}) + input_layer("similar", {4}) +
      R"(layer { name: "loss" type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "similar" top: "loss" )";
  const Given given{
      {"a", {1, 2, 0, 0, 3, 1, 0.5f, 0.5f}}, {"b", {1, 1, 0, 0, 3, 1.5f, 2.5f, 0.5f}}, {"similar", {1, 0, 0, 0}}};
  for (const auto& [fields, loss, gradient] : std::vector<std::tuple<std::string, Numbers, Numbers>>{
           {"}", {0.28125f}, {0, 0.5f, 0, 0, 0, 0.24995f, 0, 0}},
           {"contrastive_loss_param { legacy_version: true } }", {0.34375f}, {0, 0.5f, 0, 0, 0, 0.25f, 0, 0}}}) {
    NetText net(text + fields);
    expect_near(net.forward("loss", given), loss);
    expect_near(net.gradient("loss", {2}, "a", given), gradient);
    Numbers opposite;
    for (float value : gradient) opposite.push_back(-value);
    expect_near(NetText(text + fields).gradient("loss", {2}, "b", given), opposite);
  }
}

TEST(InfogainLoss, WeighsByTheRowOfTheLabel) {
  NetText net(input_layer("x", {3, 4}) + input_layer("label", {3}) + input_layer("h", {1, 1, 4, 4}) +
              R"(layer { name: "loss" type: "InfogainLoss" bottom: "x" bottom: "label" bottom: "h" top: "loss" })");
  const Given given{{"x", uneven(12)}, {"label", {1, 3, 0}}, {"h", uneven(16, 0.3f)}};
  expect_near(net.forward("loss", given), {1.243097f});
  expect_near(net.gradient("loss", {2}, "x", given),
              {-0.2805791f, -0.2135754f, -0.142287f, 0.6364415f, 0.2704305f, 0.3667726f, -0.362273f, -0.2749301f,
               0.0230299f, 0.1547798f, 0.2694688f, -0.4472785f});
}

}  // namespace
}  // namespace trainer
