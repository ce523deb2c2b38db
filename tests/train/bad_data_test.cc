// A value that is not a finite number is reported at its position.
#include <cmath>

#include "base/error.h"
#include "formats/hdf5_file.h"
#include "train/train_net.h"

namespace trainer {
namespace {

TEST(BadData, IsNamedByItemAndTop) {
  const TempFolder folder;
  std::vector<float> values(12, 1.0f), labels(6, 0.0f);
  values[9] = NAN;
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  file.write_floats("data", Shape{6, 2}, values.data());
  file.write_floats("label", Shape{6}, labels.data());
  file.close();
  folder.write("list", folder / "a.h5");
  const std::string net = R"(
layer { name: "rows" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { batch_size: 3 source: ")" +
                          (folder / "list") + R"(" } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" })";
  try {
    train_net(folder, "nan", net);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDiverged);
    EXPECT_NE(std::string(error.what()).find("item 1 of top \"data\" of layer \"rows\" (HDF5Data)"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace trainer
