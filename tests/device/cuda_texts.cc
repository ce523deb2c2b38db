// Every text that the CUDA device generates for the layers' examples, the nets of models/ and the update
// rules, compiled by NVRTC for the architectures that are served. The programs are planned for a GPU that
// need not be there.
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

using TextSet = std::set<std::string>;

// Small maps are interpreted, the examples' nearly all; most of the others differ in expression or element types.
constexpr size_t kMostTexts = 300;

// The plugin that the program opens, whatever lies beside this one.
std::unique_ptr<Device> planned_gpu() {
  void* plugin = dlopen(TRAINER_CUDA_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) throw device_error("{}", dlerror());
  const auto open = reinterpret_cast<Device* (*)(const DeviceSpec*, const char*, const DeviceOptions*)>(
      dlsym(plugin, "trainer_open_cuda_device"));
  const DeviceSpec spec{DeviceSpec::Kind::kCuda, 0, "sm_90", true};
  const DeviceOptions options;
  return planning_device(std::unique_ptr<Device>(open(&spec, TRAINER_VERSION, &options)));
}

// What one precision's programs generate.
class Generator {
 public:
  explicit Generator(Precision precision) : precision_(precision) {}

  // Its gradients too in phase TRAIN.
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
    UpdateRule(solver, trained_parameters(model.session->lowered()), device_session);
    take(device_session);
  }

  const TextSet& texts() const { return texts_; }

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
    const std::vector<std::string> texts = device_session.device->generated_texts();
    texts_.insert(texts.begin(), texts.end());
  }

  Precision precision_;
  TextSet texts_;
};

TextSet generated_texts(Precision precision) {
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
  }
  const size_t of_models = generator.texts().size();
  for (const ExampleNet& example : example_nets()) {
    for (const caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) generator.add_example(example, phase);
  }
  std::cout << fmt::format("{}: {} texts of models and update rules, {} with the layers' examples\n",
                           name_of(precision), of_models, generator.texts().size());
  return generator.texts();
}

struct Compilation {
  const std::string* text;
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

// Which of NVIDIA's libraries is not installed, or "". Other errors are failures.
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
    GTEST_SKIP() << absent;  // takes NVRTC, too
  const TextSet floats = generated_texts(Precision::kFP32);
  TextSet all = generated_texts(Precision::kBF16);
  std::vector<Compilation> compilations;
  for (const std::string& text : floats) compilations.push_back({&text, 75, ""});
  all.insert(floats.begin(), floats.end());
  // A text is the same for all architectures: what the oldest one compiles fails on a later one only by a part of NVRTC
  // that all texts go through, so the later ones take turns.
  constexpr std::array kLater = {90, 100, 110, 120};
  size_t turn = 0;
  for (const std::string& text : all) {
    EXPECT_EQ(text.find("__CUDA_ARCH__"), std::string::npos) << text;
    compilations.push_back({&text, 80, ""});
    compilations.push_back({&text, kLater[turn++ % kLater.size()], ""});
  }
  std::cout << all.size() << " texts" << std::endl;
  EXPECT_LT(all.size(), kMostTexts) << "do names, extents or constants stand in texts?";

#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < compilations.size(); ++i) {
    Compilation& c = compilations[i];
    try {
      c.problem = check_cubin(cuda::compile_text(*c.text, fmt::format("sm_{}", c.architecture)), c.architecture);
    } catch (const Error& error) {
      c.problem = error.what();
    }
  }
  for (const Compilation& c : compilations) EXPECT_EQ(c.problem, "") << "sm_" << c.architecture << "\n" << *c.text;
}

TEST(CudaTexts, ArePtxForAnArchitectureThatNvrtcDoesNotKnow) {
  if (const std::string absent = absence_of([] { cuda::nvrtc(); }); !absent.empty()) GTEST_SKIP() << absent;
  const std::string code = cuda::compile_text("extern \"C\" __global__ void k(float* x) { *x = 1; }", "sm_999");
  EXPECT_NE(code.find(".entry k("), std::string::npos);
  EXPECT_EQ(code.back(), 0);  // as the driver reads it
}

}  // namespace
}  // namespace trainer
