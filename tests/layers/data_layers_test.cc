// Tests layers at the borders of a net: sources, dummy data, HDF5 output.
#include <filesystem>

#include "formats/hdf5_file.h"
#include "formats/temp_folder.h"
#include "layers/net_run.h"

namespace trainer {
namespace {

TEST(DummyData, ConstantsStayAndOthersAreDrawnAnew) {
  NetText net(R"(
layer { name: "d" type: "DummyData" top: "c" top: "u" top: "b"
  dummy_data_param { num: 2 channels: 3 height: 4 width: 4
    data_filler { value: 3 } data_filler { type: "uniform" min: 5 max: 6 } data_filler { type: "bilinear" } } })");
  ASSERT_EQ(net.problems(), "");
  EXPECT_EQ(net.blob("u").shape(), (Shape{2, 3, 4, 4}));
  const GraphRun first(net.graph(), {}, 0), second(net.graph(), {}, 1);
  EXPECT_EQ(first[net.blob("c")], Numbers(96, 3.0f));
  EXPECT_NE(first[net.blob("u")], second[net.blob("u")]);
  for (float value : first[net.blob("u")]) EXPECT_TRUE(value > 5 && value < 6) << value;
  const Numbers bilinear = first[net.blob("b")];
  expect_near({bilinear[0], bilinear[1], bilinear[5], bilinear[95]}, {0.0625f, 0.1875f, 0.5625f, 0.0625f});
}

TEST(DataSource, TakesTheShapesOfItsDataSet) {
  caffe::NetParameter param;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(
      R"(layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "s" batch_size: 4 } }
layer { name: "r" type: "ReLU" bottom: "data" top: "data" })",
      "net.prototxt", &param, &positions, &diagnostics);
  LowerOptions options;
  options.source_shapes = [](const caffe::LayerParameter&) { return std::vector<Shape>{{4, 1, 28, 28}, {4}}; };
  const auto net = lower_net(param, positions, options, &diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  ASSERT_EQ(net->graph->sources.size(), 2u);
  EXPECT_EQ(net->graph->sources[1].name, "label");
  EXPECT_EQ(net->graph->sources[1].layer, 0);
  EXPECT_EQ(net->graph->sources[1].top, 1);
  EXPECT_EQ(net->layers[1].tops[0].value.shape(), (Shape{4, 1, 28, 28}));

  // A data layer whose shapes are given needs neither source nor batch_size.
  for (const char* type : {"Data", "HDF5Data", "ImageData", "MemoryData"}) {
    caffe::NetParameter bare = param;
    bare.mutable_layer(0)->set_type(type);
    bare.mutable_layer(0)->clear_data_param();
    lower_net(bare, positions, options, &diagnostics);
    EXPECT_EQ(diagnostics.render(), "") << type;
  }

  // The failure to open a data set is reported elsewhere: lowering adds no message about its readers.
  options.source_shapes = [](const caffe::LayerParameter&) { return std::vector<Shape>(); };
  lower_net(param, positions, options, &diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
}

std::string writing_net(const std::string& path) {
  return input_layer("x", {2, 3}) + input_layer("l", {2}) +
         "layer { name: \"o\" type: \"HDF5Output\" bottom: \"x\" bottom: \"l\" hdf5_output_param { file_name: \"" +
         path + "\" } }";
}

TEST(HDF5Output, AppendsEveryBatch) {
  const TempFolder folder;
  const std::string path = folder / "out.h5";
  for (int run = 0; run < 2; ++run) {  // the second run replaces the file of the first
    const std::string was_there = read_all(path);
    NetText net(writing_net(path));
    ASSERT_EQ(net.problems(), "");
    EXPECT_EQ(read_all(path), was_there) << "checking a net must not touch the file";
    GraphRun(net.graph(), {{"x", {1, 2, 3, 4, 5, 6}}, {"l", {0, 1}}});
    NetText again(writing_net(path));  // another program of the same net appends to the file
    GraphRun(again.graph(), {{"x", {7, 8, 9, 10, 11, 12}}, {"l", {2, 3}}});
  }
  const Hdf5File file = Hdf5File::open(path);
  EXPECT_EQ(file.dataset("data").shape, (Shape{4, 3, 1, 1}));
  EXPECT_EQ(file.dataset("label").shape, (Shape{4, 1, 1, 1}));
  EXPECT_EQ(file.read_floats("data"), (Numbers{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(file.read_floats("label"), (Numbers{0, 1, 2, 3}));
}

TEST(HDF5Output, LeavesFilesOfOthersAlone) {
  const TempFolder folder;
  const float weights[] = {1, 2};
  Hdf5File best = Hdf5File::create(folder / "best.caffemodel.h5");
  best.write_floats("data/ip/0", Shape{2}, weights);
  best.close();
  for (const std::string& path : {folder / "best.caffemodel.h5", folder.write("text", "precious")}) {
    const std::string was_there = read_all(path);
    NetText net(writing_net(path));
    const std::string error = data_error_of([&] { GraphRun(net.graph(), {{"x", {1, 2, 3, 4, 5, 6}}, {"l", {0, 1}}}); });
    EXPECT_TRUE(contains(error, path + " exists")) << error;
    EXPECT_TRUE(contains(error, "Give another file_name, or remove the file"));
    EXPECT_EQ(read_all(path), was_there);
  }
  const std::string empty = folder.write("empty", "");
  NetText net(writing_net(empty));
  GraphRun(net.graph(), {{"x", {1, 2, 3, 4, 5, 6}}, {"l", {0, 1}}});
}

}  // namespace
}  // namespace trainer
