// Compiles every kernel that the CUDA device generates for the layers' examples, the nets of models/ and the update
// rules with NVRTC, for the supported architectures. The programs are only planned: no GPU is needed.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "compile/compile.h"
#include "device/cuda/cubins.h"
#include "device/cuda/libraries.h"
#include "layers/example_nets.h"
#include "layers/net_run.h"
#include "runtime/planning_device.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "train/configure_training.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

using SourceSet = std::set<std::string>;

// Small maps are interpreted, among them nearly all of the examples. Most others differ in expression or element types.
constexpr size_t kMaxSources = 300;

// The plugin of this build, even if another one is beside this test.
std::unique_ptr<Device> planned_gpu() {
  void* plugin = dlopen(TRAINER_CUDA_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) throw device_error("{}", dlerror());
  const auto open = reinterpret_cast<Device* (*)(const DeviceSpec*, const char*, const DeviceOptions*)>(
      dlsym(plugin, "trainer_open_cuda_device"));
  const DeviceSpec spec{DeviceSpec::Kind::kCuda, 0, "sm_90", true};
  const DeviceOptions options;
  return planning_device(std::unique_ptr<Device>(open(&spec, TRAINER_VERSION, &options)));
}

// Collects the sources of the programs of one precision.
class Generator {
 public:
  explicit Generator(Precision precision) : precision_(precision) {}

  // In phase TRAIN also its gradients.
  void add_example(const ExampleNet& example, caffe::Phase phase) {
    DeviceSession device_session(planned_gpu(), precision_);
    NetText text(example.text, phase);
    ASSERT_EQ(text.problems(), "") << example.name;
    declare_parameters(text.net(), false, device_session.store);
    Module module;
    module.results = outputs_of(text.net());
    if (phase == caffe::TRAIN) {
      const ExampleResults results = add_gradients(text.net());
      module.results.insert(module.results.end(), results.gradients.begin(), results.gradients.end());
    }
    module.graph = std::move(text.net().graph);
    compile(std::move(module), *device_session.device, device_session.store, device_session.arena,
            {Fusion::kOn, activation_type(precision_)});
    take(device_session);
  }

  void add_model(const std::string& path, caffe::Phase phase) {
    DeviceSession device_session(planned_gpu(), precision_);
    const Model model(path, phase, device_session);
    model.session->program(phase == caffe::TRAIN ? ProgramKind::kTrain : ProgramKind::kForward);
    take(device_session);
  }

  void add_update(const std::string& path, const caffe::SolverParameter& solver) {
    DeviceSession device_session(planned_gpu(), precision_);
    const Model model(path, caffe::TRAIN, device_session);
    const UpdateRule update(solver, trained_parameters(model.session->lowered()), device_session);
    take(device_session);
  }

  const SourceSet& sources() const { return sources_; }

 private:
  // A net of models/ on random batches.
  struct Model {
    Model(const std::string& path, caffe::Phase phase, DeviceSession& device_session) {
      caffe::NetState state;
      state.set_phase(phase);
      state.add_stage("bench");
      Diagnostics diagnostics;
      const FilteredNet net = configure_net(path, state, {}, &file, &diagnostics);
      diagnostics.throw_if_errors();
      session = std::make_unique<NetSession>(*net.net, *net.positions, phase, 1, device_session);
      declare_parameters(session->lowered(), phase == caffe::TRAIN, device_session.store);
    }
    std::unique_ptr<NetFile> file;
    std::unique_ptr<NetSession> session;
  };

  void take(const DeviceSession& device_session) {
    const std::vector<std::string> sources = device_session.device->generated_sources();
    sources_.insert(sources.begin(), sources.end());
  }

  Precision precision_;
  SourceSet sources_;
};

SourceSet generated_sources(Precision precision) {
  Generator generator(precision);
  for (const auto& file : std::filesystem::recursive_directory_iterator(TRAINER_SOURCE_DIR "/models")) {
    const std::string path = file.path().string();
    if (path.find("_train_") == std::string::npos) continue;
    for (const caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) generator.add_model(path, phase);
  }
  for (const std::string& type : solver_types()) {
    caffe::SolverParameter solver;
    solver.set_type(type);
    solver.set_momentum(0.9f);
    solver.set_weight_decay(0.0005f);
    solver.set_clip_gradients(35);
    generator.add_update(TRAINER_SOURCE_DIR "/models/lenet/lenet_train_test.prototxt", solver);
    solver.set_clip_adaptive(0.1f);
    solver.set_clip_value(1);
    solver.mutable_ema();
    generator.add_update(TRAINER_SOURCE_DIR "/models/lenet/lenet_train_test.prototxt", solver);
  }
  const size_t of_models = generator.sources().size();
  for (const ExampleNet& example : example_nets()) {
    for (const caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) generator.add_example(example, phase);
  }
  std::cout << fmt::format("{}: {} sources of models and update rules, {} with the layers' examples\n",
                           name_of(precision), of_models, generator.sources().size());
  return generator.sources();
}

struct Compilation {
  const std::string* source;
  int architecture;
  std::string problem;  // "" where it compiles
};

// What is wrong with a cubin for sm_`architecture`, or "".
std::string check_cubin(const std::string& cubin, int architecture) {
  constexpr size_t kHeader = 64, kMachine = 18, kFlags = 48;  // of a 64-bit ELF file
  constexpr uint16_t kCuda = 190;
  if (cubin.size() < kHeader || std::memcmp(cubin.data(),
                                            "\x7f"
                                            "ELF",
                                            4) != 0)
    return "no ELF file";
  uint16_t machine = 0;
  uint32_t flags = 0;
  std::memcpy(&machine, cubin.data() + kMachine, sizeof machine);
  std::memcpy(&flags, cubin.data() + kFlags, sizeof flags);
  if (machine != kCuda) return fmt::format("ELF machine {}", machine);
  if (static_cast<int>(flags >> 8 & 0xff) != architecture) return fmt::format("ELF flags {:#x}", flags);
  return "";
}

// The error if one of NVIDIA's libraries is not installed, or "". Other errors are failures.
std::string absence_of(void (*open)()) {
  try {
    open();
  } catch (const Error& error) {
    if (std::string(error.what()).find("Install NVIDIA's CUDA 13 libraries") == std::string::npos) throw;
    return error.what();
  }
  return "";
}

TEST(CudaTexts, CompileForEveryArchitecture) {
  if (const std::string absent = absence_of([] { cuda::cudnn(); }); !absent.empty())
    GTEST_SKIP() << absent;  // also opens NVRTC
  const SourceSet floats = generated_sources(Precision::kFP32);
  SourceSet all = generated_sources(Precision::kBF16);
  std::vector<Compilation> compilations;
  for (const std::string& source : floats) compilations.push_back({&source, 75, ""});
  all.insert(floats.begin(), floats.end());
  // A source is the same for all architectures. If the oldest one compiles, a later one can fail only in a part of
  // NVRTC that all sources use, so each source is compiled for one later architecture in turn.
  constexpr std::array kLater = {90, 100, 110, 120};
  size_t turn = 0;
  for (const std::string& source : all) {
    EXPECT_EQ(source.find("__CUDA_ARCH__"), std::string::npos) << source;
    compilations.push_back({&source, 80, ""});
    compilations.push_back({&source, kLater[turn++ % kLater.size()], ""});
  }
  std::cout << all.size() << " sources" << std::endl;
  EXPECT_LT(all.size(), kMaxSources) << "do sources contain names, extents or constants?";

#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < compilations.size(); ++i) {
    Compilation& c = compilations[i];
    try {
      c.problem = check_cubin(cuda::compile_source(*c.source, fmt::format("sm_{}", c.architecture)), c.architecture);
    } catch (const Error& error) {
      c.problem = error.what();
    }
  }
  for (const Compilation& c : compilations) EXPECT_EQ(c.problem, "") << "sm_" << c.architecture << "\n" << *c.source;
}

TEST(CudaTexts, ArePtxForAnArchitectureThatNvrtcDoesNotKnow) {
  if (const std::string absent = absence_of([] { cuda::nvrtc(); }); !absent.empty()) GTEST_SKIP() << absent;
  const std::string code = cuda::compile_source("extern \"C\" __global__ void k(float* x) { *x = 1; }", "sm_999");
  EXPECT_NE(code.find(".entry k("), std::string::npos);
  EXPECT_EQ(code.back(), 0);  // the driver needs the terminating zero
}

}  // namespace
}  // namespace trainer
