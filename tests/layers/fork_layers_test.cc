// Tests layers of Caffe's forks with numbers from PyTorch in double precision (batch_norm, smooth_l1_loss, interpolate
// with align_corners, max_unpool2d, autograd) and, for regions, from Python loops that follow the published rounding
// rules.
#include "layers/net_run.h"

namespace trainer {
namespace {

TEST(DepthwiseConvolution, GivesEachChannelFiltersOfItsOwn) {
  for (const char* type : {"DepthwiseConvolution", "ConvolutionDepthwise"}) {
    NetText net(input_layer("x", {1, 2, 1, 3}) + "layer { name: 'c' bottom: 'x' top: 'y' type: '" + type +
                "' convolution_param { num_output: 4 kernel_h: 1 kernel_w: 2 } }");
    ASSERT_EQ(net.problems(), "");
    EXPECT_EQ(net.net().parameters[0].shape, (Shape{4, 1, 1, 2}));
    const Given given{{"x", {1, 2, 3, 4, 5, 6}}, {"c/0", {1, 0, 0, 1, 1, 1, 1, -1}}, {"c/1", {0, 0, 0, 10}}};
    expect_near(net.forward("y", given), {1, 2, 2, 3, 9, 11, 9, 9});
  }
}

TEST(DepthwiseConvolution, WarnsOfAGroupWithoutEffect) {
  NetText net(input_layer("x", {1, 4, 5, 5}) + R"(
layer { name: "c" bottom: "x" top: "y" type: "DepthwiseConvolution" convolution_param { num_output: 4 kernel_size: 3 group: 2 } })");
  EXPECT_NE(net.problems().find("group: 2 has no effect"), std::string::npos);
}

TEST(Permute, AppendsTheAxesLeftOut) {
  NetText net(input_layer("x", {1, 2, 3}) +
              "layer { name: 'p' type: 'Permute' bottom: 'x' top: 'y' permute_param { order: 2 } }");
  EXPECT_EQ(net.blob("y").shape(), (Shape{3, 1, 2}));
  expect_near(net.forward("y", {{"x", {1, 2, 3, 4, 5, 6}}}), {1, 4, 2, 5, 3, 6});
  NetText twice(input_layer("x", {1, 2, 3}) +
                "layer { name: 'p' type: 'Permute' bottom: 'x' top: 'y' permute_param { order: 1 order: 1 } }");
  EXPECT_NE(twice.problems().find("order names axis 1 twice"), std::string::npos);
}

TEST(Normalize, DividesByTheNormOfTheChannels) {
  NetText net(input_layer("x", {1, 3, 2, 2}) + R"(
layer { name: "n" type: "Normalize" bottom: "x" top: "y" norm_param { across_spatial: false channel_shared: false eps: 0.1 } })");
  ASSERT_EQ(net.problems(), "");
  EXPECT_EQ(net.net().parameters[0].filler.value(), 1);
  const Given given{{"x", uneven(12)}, {"n/0", {1, 2, 3}}};
  expect_near(net.forward("y", given), {-0.4831453f, -0.7060631f, -0.8226877f, 0.8377078f, 1.71785f, 1.303501f,
                                        0.7742943f, 0.3350831f, 0, -0.6517505f, -1.161441f, -1.507874f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "x", given),
              {0.2397626f, 0.2420193f, 0.2454576f, -0.3024566f, 0.1750029f, 0.232823f, 0.1554935f, 0.05678777f, 0,
               -0.2296828f, -0.4264965f, -0.5222006f});
}

TEST(Normalize, AcrossSpaceTakesOneNormAnItem) {
  NetText net(input_layer("x", {2, 1, 1, 2}) + "layer { name: 'n' type: 'Normalize' bottom: 'x' top: 'y' }");
  expect_near(net.forward("y", {{"x", {3, 4, 0, -5}}, {"n/0", {10}}}), {6, 8, 0, -10});
}

std::string bn(const std::string& fields) {
  return input_layer("x", {2, 2, 1, 3}) + "layer { name: 'bn' type: 'BN' bottom: 'x' top: 'y' bn_param { " + fields +
         " } }";
}

TEST(Bn, OfPspnetKeepsRunningStatistics) {
  const Given given{{"x", uneven(12)}, {"bn/0", {2, 3}}, {"bn/1", {0.5f, -1}}, {"bn/2", {1, 2}}, {"bn/3", {3, 4}}};
  NetText train(bn("eps: 0.01"));
  ASSERT_EQ(train.problems(), "");
  expect_near(train.forward("y", given), {-0.482468f, -1.355773f, -2.229078f, 2.847188f, 1.885391f, 0.9235941f,
                                          3.229078f, 2.355773f, 1.482468f, -2.923594f, -3.885391f, -4.847188f});
  const GraphRun run(train.graph(), given);
  expect_near(run.written("bn/2"), {0.855f, 1.84f});
  expect_near(run.written("bn/3"), {2.782917f, 3.754667f});

  const Numbers by_running{-1.690284f, -2.151396f,  -2.612508f,  -1,         -1.599251f, -2.198503f,
                           0.2694438f, -0.1916685f, -0.6527808f, -4.595508f, -5.19476f,  -5.794011f};
  NetText test(bn("eps: 0.01"), caffe::TEST);
  expect_near(test.forward("y", given), by_running);
  EXPECT_TRUE(test.graph().writes.empty());
  NetText frozen(bn("eps: 0.01 frozen: true slope_filler { type: 'constant' value: 1.5 }"));
  expect_near(frozen.forward("y", given), by_running);
  EXPECT_TRUE(frozen.graph().writes.empty());
  ASSERT_EQ(frozen.net().parameters.size(), 4u);
  for (const ParameterInfo& parameter : frozen.net().parameters) EXPECT_TRUE(parameter.statistic);
  EXPECT_EQ(frozen.net().parameters[0].filler.value(), 1.5f);
  EXPECT_EQ(frozen.net().parameters[3].filler.value(), 1);
}

TEST(Bn, OfSegnetHasTwoBlobs) {
  const Given given{{"x", uneven(12)}, {"bn/0", {2, 3}}, {"bn/1", {0.5f, -1}}};
  NetText learn(bn("shift_filler { type: 'constant' value: 0.001 }"), caffe::TEST);
  ASSERT_EQ(learn.problems(), "");
  EXPECT_EQ(learn.net().parameters.size(), 2u);
  expect_near(learn.forward("y", given), {-0.4883746f, -1.36693f, -2.245485f, 2.859605f, 1.894704f, 0.9298026f,
                                          3.245485f, 2.36693f, 1.488375f, -2.929803f, -3.894704f, -4.859605f});
  NetText inference(bn("bn_mode: INFERENCE"));
  expect_near(
      inference.forward("y", {{"x", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}, {"bn/0", {2, 3}}, {"bn/1", {1, -1}}}),
      {3, 5, 7, 11, 14, 17, 15, 17, 19, 29, 32, 35});
}

TEST(Bn, RefusesFieldsOfBothKinds) {
  EXPECT_NE(NetText(bn("bn_mode: LEARN frozen: true")).problems().find("fields of two kinds of BN"), std::string::npos);
}

TEST(ShuffleChannel, TakesTheChannelsOfAllGroupsInTurn) {
  NetText net(input_layer("x", {1, 6, 1, 1}) +
              "layer { name: 's' type: 'ShuffleChannel' bottom: 'x' top: 'y' shuffle_channel_param { group: 3 } }");
  expect_near(net.forward("y", {{"x", {0, 1, 2, 3, 4, 5}}}), {0, 2, 4, 1, 3, 5});
}

TEST(Axpy, ScalesChannelsAndAdds) {
  NetText net(input_layer("a", {1, 2, 1, 1}) + input_layer("x", {1, 2, 1, 2}) + input_layer("y", {1, 2, 1, 2}) +
              "layer { name: 'axpy' type: 'Axpy' bottom: 'a' bottom: 'x' bottom: 'y' top: 'z' }");
  const Given given{{"a", {2, -1}}, {"x", {1, 2, 3, 4}}, {"y", {10, 20, 30, 40}}};
  expect_near(net.forward("z", given), {12, 24, 27, 36});
  expect_near(net.gradient("z", {1, 2, 3, 4}, "a", given), {5, 25});
}

TEST(SmoothL1Loss, WithWeightsInsideAndOutside) {
  NetText net(input_layer("a", {2, 3}) + input_layer("t", {2, 3}) + input_layer("in", {2, 3}) +
              input_layer("out", {2, 3}) + R"(
layer { name: "l" type: "SmoothL1Loss" bottom: "a" bottom: "t" bottom: "in" bottom: "out" top: "loss"
  smooth_l1_loss_param { sigma: 2 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"a", uneven(6)},
                    {"t", {1, 0.8f, 0.6f, -0.45f, -0.65f, -0.85f}},
                    {"in", {1, 0.5f, 1, 1, 0, 1}},
                    {"out", {1, 1, 2, 0.5f, 1, 1}}};
  expect_near(net.forward("loss", given), {5.06875f});
  expect_near(net.gradient("loss", {1}, "a", given), {-0.5f, -0.25f, -1, 0.25f, 0, 0.5f});
  expect_near(net.gradient("loss", {1}, "t", given), {0.5f, 0.25f, 1, -0.25f, 0, -0.5f});
}

TEST(SmoothL1Loss, IsSquareNearZero) {
  NetText net(input_layer("a", {2, 1}) + input_layer("t", {2, 1}) +
              "layer { name: 'l' type: 'SmoothL1Loss' bottom: 'a' bottom: 't' top: 'loss' }");
  const Given given{{"a", {0.5f, -3}}};
  expect_near(net.forward("loss", given), {(0.125f + 2.5f) / 2});
  expect_near(net.gradient("loss", {1}, "a", given), {0.25f, -0.5f});
}

TEST(Interp, PutsCornersOnCorners) {
  NetText net(input_layer("x", {1, 1, 2, 3}) +
              "layer { name: 'i' type: 'Interp' bottom: 'x' top: 'y' interp_param { height: 4 width: 5 } }");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(6)}};
  expect_near(net.forward("y", given),
              {-0.9f,       -1.1f,       -1.3f,       -1.5f,     -1.7f,      0.06666667f, -0.1333333f,
               -0.3333333f, -0.5333333f, -0.7333333f, 1.033333f, 0.8333333f, 0.6333333f,  0.4333333f,
               0.2333333f,  2,           1.8f,        1.6f,      1.4f,       1.2f});
  expect_near(net.gradient("y", uneven(20, 0.7f), "x", given),
              {-0.665f, -1.318333f, 1.796667f, 0.945f, -0.6066667f, 0.05833333f});
}

// The input is a plane, y = row + column / 1200. By symmetry, a quarter of all weights belongs to each corner.
TEST(Interp, WideImages) {
  NetText net(input_layer("x", {1, 1, 2, 2}) +
              "layer { name: 'i' type: 'Interp' bottom: 'x' top: 'y' interp_param { height: 3 width: 1201 } }");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", {0, 1, 2, 3}}};
  Numbers expected;
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 1201; ++column) expected.push_back(static_cast<float>(row + column / 1200.0));
  expect_near(net.forward("y", given), expected);
  const Numbers gradient = net.gradient("y", Numbers(3 * 1201, 1), "x", given);
  ASSERT_EQ(gradient.size(), 4u);
  for (float corner : gradient) EXPECT_NEAR(corner, 900.75, 0.01);
}

TEST(Interp, SizesByFactorsPaddingAndASecondBottom) {
  const auto size = [](const std::string& layer) {
    NetText net(input_layer("x", {1, 1, 9, 5}) + input_layer("like", {3, 2, 7, 4}) + layer);
    EXPECT_EQ(net.problems(), "");
    return net.blob("y").shape();
  };
  const std::string head = "layer { name: 'i' type: 'Interp' bottom: 'x' top: 'y' ";
  EXPECT_EQ(size(head + "interp_param { zoom_factor: 3 } }"), (Shape{1, 1, 25, 13}));
  EXPECT_EQ(size(head + "interp_param { shrink_factor: 2 } }"), (Shape{1, 1, 5, 3}));
  EXPECT_EQ(size(head + "interp_param { shrink_factor: 4 zoom_factor: 2 pad_beg: -1 pad_end: 1 } }"),
            (Shape{1, 1, 5, 3}));
  EXPECT_EQ(size(head + "bottom: 'like' }"), (Shape{1, 1, 7, 4}));
  // The rows of x from row 1 on, followed by a row of zeros.
  NetText net(input_layer("x", {1, 1, 3, 3}) + head + "interp_param { height: 3 width: 3 pad_beg: -1 pad_end: 1 } }");
  expect_near(net.forward("y", {{"x", {1, 2, 3, 4, 5, 6, 7, 8, 9}}}), {5, 6, 0, 8, 9, 0, 0, 0, 0});
  NetText none(input_layer("x", {1, 1, 9, 5}) + head + "}");
  EXPECT_NE(none.problems().find("the size of the top is given by none or several"), std::string::npos);
}

TEST(Upsample, UndoesMaxPooling) {
  NetText net(input_layer("x", {1, 1, 3, 4}) + R"(
layer { name: "p" type: "Pooling" bottom: "x" top: "m" top: "where" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "u" type: "Upsample" bottom: "m" bottom: "where" top: "y" upsample_param { scale: 2 pad_out_h: true } })");
  ASSERT_EQ(net.problems(), "");
  expect_near(net.forward("y", {{"x", uneven(12)}}), {0, 0, 0, 2, 1.6f, 0, 0, 0, 0, 0, -0.8f, 0});

  NetText given_mask(input_layer("m", {1, 1, 2, 2}) + input_layer("where", {1, 1, 2, 2}) + R"(
layer { name: "u" type: "Upsample" bottom: "m" bottom: "where" top: "y" upsample_param { upsample_h: 3 upsample_w: 4 } })");
  const Given given{{"m", {1.6f, 2, 0, -0.8f}}, {"where", {4, 3, -1, 10}}};
  expect_near(given_mask.forward("y", given), {0, 0, 0, 2, 1.6f, 0, 0, 0, 0, 0, -0.8f, 0});
  expect_near(given_mask.gradient("y", uneven(12, 0.7f), "m", given), {1.12f, 1.4f, 0, -0.56f});
  EXPECT_THROW(given_mask.forward("y", {{"where", {0, 1, 2, 12}}}), Error);
}

TEST(Upsample, RepeatsPixels) {
  NetText net(input_layer("x", {1, 1, 2, 2}) +
              "layer { name: 'u' type: 'Upsample' bottom: 'x' top: 'y' upsample_param { scale_h: 2 scale_w: 3 } }");
  expect_near(net.forward("y", {{"x", {1, 2, 3, 4}}}),
              {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4});
  expect_near(net.gradient("y", Numbers(24, 1), "x", {}), {6, 6, 6, 6});
}

TEST(RoiPooling, TakesMaximaOfBins) {
  NetText net(input_layer("x", {2, 2, 4, 5}) + input_layer("r", {2, 5}) + R"(
layer { name: "p" type: "ROIPooling" bottom: "x" bottom: "r" top: "y"
  roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(80)}, {"r", {0, 2, 0, 7, 5, 1, 5, 4, 20, 6}}};
  expect_near(net.forward("y", given),
              {0.8f, 2, 0.9f, 1.7f, 1, 1.8f, 1.1f, 1.9f, -1.6f, 0, 0.5f, 0, -1.4f, 0, 0.7f, 0});
  expect_near(net.gradient("y", uneven(16, 0.7f), "x", given),
              {0, 0, 0, -0.91f, 0,     0, -0.63f, 0, 0, 0, 0, 0, 0, 0,      1.4f,  0, -1.19f, 0, 0,      0,
               0, 0, 0, 0,      0.84f, 0, 1.12f,  0, 0, 0, 0, 0, 0, 0,      0.28f, 0, 0.56f,  0, 0,      0,
               0, 0, 0, 0,      0,     0, 0,      0, 0, 0, 0, 0, 0, 0,      0,     0, 0,      0, -0.56f, 0,
               0, 0, 0, 0,      0,     0, 0,      0, 0, 0, 0, 0, 0, -1.12f, 0,     0, 0,      0, 1.19f,  0});
  EXPECT_THROW(net.forward("y", {{"r", {2, 0, 0, 1, 1, 0, 0, 0, 1, 1}}}), Error);
  EXPECT_THROW(net.forward("y", {{"r", {0, 0, NAN, 1, 1, 0, 0, 0, 1, 1}}}), Error);
}

TEST(PsroiPooling, TakesMeansOfBinsFromChannelsOfTheirOwn) {
  NetText net(input_layer("x", {1, 8, 4, 5}) + input_layer("r", {2, 5}) + R"(
layer { name: "p" type: "PSROIPooling" bottom: "x" bottom: "r" top: "y"
  psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 0.5 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(160)}, {"r", {0, 2, 0, 7, 5, 0, 5, 4, 20, 6}}};
  expect_near(net.forward("y", given),
              {-0.45f, -0.65f, 0, -0.2f, 0.35f, 0.15f, 0.8f, 0.6f, -0.6333333f, 0, -0.55f, 0, -1.2f, 0, 0.25f, 0});
  Numbers gradient = net.gradient("y", uneven(16, 0.7f), "x", given);
  gradient.resize(40);
  expect_near(gradient, {0, -0.1575f, -0.1575f, 0, 0, 0, -0.1575f, -0.1575f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                         0, -0.2275f, -0.2275f, 0, 0, 0, -0.2275f, -0.2275f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
}

}  // namespace
}  // namespace trainer
