// Checks of a net's data layers, apart from the rest of the net.
#include "session/data_layers.h"

#include <gtest/gtest.h>

#include "config/prototxt.h"
#include "formats/hdf5_file.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

std::string error_of(const std::string& text) {
  caffe::NetParameter net;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(text, "net.prototxt", &net, &positions, &diagnostics);
  EXPECT_FALSE(diagnostics.has_errors());
  DeviceSession device_session{DeviceSpec()};
  try {
    const DataLayers opened({net, positions, caffe::TEST, 1, device_session}, {}, &diagnostics);
    diagnostics.throw_if_errors();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "";
}

TEST(DataLayers, AnOutputDoesNotReplaceWhatIsRead) {
  const TempFolder folder;
  {
    Hdf5File file = Hdf5File::create(folder / "rows.h5");
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    file.write_floats("data", Shape{3, 2}, values.data());
    file.write_floats("label", Shape{3}, values.data());
    file.close();
  }
  const std::string list = folder.write("list.txt", (folder / "rows.h5") + "\n");
  const auto net = [&](const std::string& output) {
    return "layer { name: 'in' type: 'HDF5Data' top: 'data' top: 'label' hdf5_data_param { source: '" + list +
           "' batch_size: 1 } }\n" +
           "layer { name: 'out' type: 'HDF5Output' bottom: 'data' bottom: 'label' hdf5_output_param { file_name: '" +
           output + "' } }\n";
  };
  const std::string error = error_of(net(folder / "./rows.h5"));
  EXPECT_NE(error.find("net.prototxt:2:"), std::string::npos) << error;
  EXPECT_NE(error.find("layer \"out\" (HDF5Output): it would replace " + (folder / "rows.h5") +
                       ", which layer \"in\" (HDF5Data) reads"),
            std::string::npos)
      << error;
  EXPECT_EQ(error_of(net(folder / "other.h5")), "");
}

}  // namespace
}  // namespace trainer
