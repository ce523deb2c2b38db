// Compares small trainings with results of Caffe: the same net, data and initial weights must give the same weights.
//
// cases.tar.xz holds one folder per case: net.prototxt, solver.prototxt, data, init.caffemodel.h5 (initial weights),
// and expected.caffemodel.h5 (weights after max_iter iterations) or expected_output.h5 (written by HDF5Output from one
// TEST batch); in resume cases, snapshot/ holds Caffe's solver state. A case passes if for every blob the change since
// init differs from Caffe's change by less than 0.2% of its norm. Cases with unregistered layer types are not run.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "formats/hdf5_file.h"
#include "formats/weights.h"
#include "session/parameters.h"
#include "test_environment.h"
#include "train/configure_training.h"
#include "train/training.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 2e-3;

// The unpacked archive; unpacked once per process and removed at its end.
class Cases {
 public:
  static const fs::path& folder() {
    static const Cases cases;
    return cases.folder_;
  }
  ~Cases() { fs::remove_all(folder_); }

 private:
  Cases() {
    char name[] = "/tmp/trainer_conformance_XXXXXX";
    folder_ = mkdtemp(name);
    const std::string archive = source_folder() + "/tests/conformance/cases.tar.xz";
    const std::string command = "tar -xJf '" + archive + "' -C '" + folder_.string() + "'";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("cannot unpack " + archive);
  }
  fs::path folder_;
};

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(Cases::folder())) {
    if (fs::exists(entry.path() / "net.prototxt")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Blobs = std::map<std::string, std::vector<float>>;

Blobs blobs_of(const std::string& path) {
  Blobs blobs;
  for (const WeightLayer& layer : read_weights(path).layers) {
    for (size_t i = 0; i < layer.blobs.size(); ++i) {
      if (layer.blobs[i].present) blobs[layer.name + "/" + std::to_string(i)] = layer.blobs[i].data;
    }
  }
  return blobs;
}

double norm(const std::vector<float>& x) {
  double sum = 0;
  for (float v : x) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

std::vector<float> difference(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> out(a.size());
  for (size_t i = 0; i < a.size(); ++i) out[i] = a[i] - b[i];
  return out;
}

void expect_equal_change(const Blobs& got, const Blobs& expected, const Blobs& init) {
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, reference] : expected) {
    ASSERT_TRUE(got.count(name)) << name;
    ASSERT_EQ(got.at(name).size(), reference.size()) << name;
    const std::vector<float> start = init.count(name) ? init.at(name) : std::vector<float>(reference.size(), 0.0f);
    const double step = norm(difference(reference, start));
    const double scale = step > 1e-5 * std::max(norm(start), 1e-3) ? step : std::max(norm(reference), 1e-3);
    EXPECT_LT(norm(difference(got.at(name), reference)) / scale, kTolerance) << name;
  }
}

void train(const fs::path& snapshot) {
  Diagnostics diagnostics;
  TrainingFiles files = configure_training("solver.prototxt", {}, &diagnostics);
  diagnostics.throw_if_errors();
  TrainingOptions options;
  options.devices = {test_device()};
  if (snapshot.empty()) {
    options.weights = {"init.caffemodel.h5"};
  } else {
    options.snapshot = snapshot.string();
  }
  RunReport report;
  Training(std::move(files), options).run(report);
}

fs::path copy_snapshot() {
  fs::path state;
  if (!fs::exists("snapshot")) return state;
  for (const fs::directory_entry& entry : fs::directory_iterator("snapshot")) {
    const fs::path copy = fs::path("out") / entry.path().filename();
    fs::copy_file(entry.path(), copy, fs::copy_options::overwrite_existing);
    if (copy.string().find(".solverstate") != std::string::npos) state = copy;
  }
  return state;
}

void run_forward_case() {
  std::unique_ptr<NetFile> file;
  Diagnostics diagnostics;
  caffe::NetState state;
  state.set_phase(caffe::TEST);
  const FilteredNet net = configure_net("net.prototxt", state, {}, &file, &diagnostics);
  diagnostics.throw_if_errors();
  {
    DeviceSession device_session(test_device());
    NetSession session(*net.net, *net.positions, caffe::TEST, 0, device_session);
    add_parameters(session.lowered(), 0, false, device_session.store);
    load_weights(read_weights("init.caffemodel.h5"), session.lowered(), device_session.store);
    session.run_next(ProgramKind::kForward);
  }
  Hdf5File got = Hdf5File::open("output.h5"), expected = Hdf5File::open("expected_output.h5");
  for (const std::string& name : expected.children("/")) {
    const std::vector<float> reference = expected.read_floats(name), ours = got.read_floats(name);
    ASSERT_EQ(ours.size(), reference.size()) << name;
    EXPECT_LT(norm(difference(ours, reference)) / std::max(norm(reference), 1e-6), kTolerance) << name;
  }
}

class Conformance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(Cases::folder() / GetParam());
    fs::create_directories("out");
  }
  void TearDown() override { fs::current_path(before_); }

 private:
  fs::path before_;
};

TEST_P(Conformance, AgreesWithCaffe) {
  if (fs::exists("expected_output.h5")) return run_forward_case();
  train(copy_snapshot());
  fs::path last;
  int most = -1;
  for (const fs::directory_entry& entry : fs::directory_iterator("out")) {
    int iteration = 0;
    const std::string name = entry.path().filename().string();
    if (name.find(".caffemodel.h5") == std::string::npos) continue;
    if (std::sscanf(name.c_str(), "w_iter_%d.", &iteration) == 1 && iteration > most) {
      most = iteration;
      last = entry.path();
    }
  }
  ASSERT_FALSE(last.empty()) << "no weights were written";
  expect_equal_change(blobs_of(last), blobs_of("expected.caffemodel.h5"), blobs_of("init.caffemodel.h5"));
}

INSTANTIATE_TEST_SUITE_P(Cases, Conformance, testing::ValuesIn(case_names()),
                         [](const testing::TestParamInfo<std::string>& info) { return info.param; });

}  // namespace
}  // namespace trainer
