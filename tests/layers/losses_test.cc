// SoftmaxWithLoss, EuclideanLoss, Softmax and Accuracy against numbers computed with numpy.
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
  expect_near(NetText(softmax_loss("ignore_label: 1 normalization: FULL")).forward("loss", kScores),
              {1.477539f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalization: BATCH_SIZE")).forward("loss", kScores),
              {2.955078f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalize: false")).forward("loss", kScores),
              {2.955078f});
  expect_near(NetText(softmax_loss("ignore_label: 1 normalization: NONE")).forward("loss", kScores),
              {5.910155f});
}

TEST(SoftmaxWithLoss, GradientIsZeroAtIgnoredLabels) {
  NetText net(softmax_loss("ignore_label: 1"));
  EXPECT_EQ(net.blob("loss").shape(), Shape{});
  expect_near(net.gradient("loss", {2}, "x", kScores),
              {-0.6177615f, 0.0165446f, 0.02197451f, 0.4485676f, 0.595787f, -0.4651122f, 0, 0.4037405f, 0,
               0.1814123f, 0, -0.5851529f});
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
  NetText net(
      input_layer("x", {1, 2}) + input_layer("label", {1}) +
      R"(layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" top: "p" })");
  const Given given{{"x", {0, 1000}}, {"label", {0}}};
  expect_near(net.forward("loss", given), {87.33655f});
  expect_near(net.forward("p", given), {0, 1});
  EXPECT_EQ(net.net().layers[2].tops[0].loss_weight, 1);
  EXPECT_EQ(net.net().layers[2].tops[1].loss_weight, 0);
}

TEST(Softmax, SumsToOneAndHasCaffesGradient) {
  NetText net(input_layer("x", {2, 3, 2}) + R"(layer { name: "s" type: "Softmax" bottom: "x" top: "y" })");
  const Given given{{"x", uneven(12)}};
  expect_near(net.forward("y", given),
              {0.07335776f, 0.02481689f, 0.03296177f, 0.6728515f, 0.8936805f, 0.3023316f, 0.6056108f,
               0.6056108f, 0.2721185f, 0.2721185f, 0.1222707f, 0.1222707f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "x", given),
              {-0.1133731f, -0.0517027f, -0.06940041f, 0.1524902f, 0.1827735f, -0.1007875f, 0.1752211f,
               0.1752211f, -0.07365443f, -0.07365443f, -0.1015667f, -0.1015667f});
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

}  // namespace
}  // namespace trainer
