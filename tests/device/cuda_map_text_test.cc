// The texts of CUDA's maps, compiled by the host's compiler and run by an emulator of blocks and threads, against the
// reference.
#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "device/cuda/map_text.h"
#include "device/map_generator.h"

namespace trainer::cpu {
namespace {

using Launch = void (*)(const void* arguments, int blocks, int lanes, int rows, bool finish);

// All texts in one library, each in a namespace of its own.
class Emulated {
 public:
  int add(const std::string& text) { return numbers_.emplace(text, static_cast<int>(numbers_.size())).first->second; }
  size_t texts() const { return numbers_.size(); }

  void build() {
    char folder[] = "/tmp/trainer_maps_XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    {
      std::ofstream out(folder_ / "maps.cc");
      out << "#include \"" TRAINER_SOURCE_DIR "/tests/emulated_gpu/cuda_emulator.h\"\n";
      for (const auto& [text, number] : numbers_) {
        std::string plain = text;
        for (size_t at; (at = plain.find("extern \"C\" ")) != std::string::npos;) plain.erase(at, 11);
        const bool finishes = plain.find(" finish(") != std::string::npos;
        out << "namespace text" << number << " {\n" << plain << "}\n"
            << "extern \"C\" void launch" << number << "(const void* arguments, int blocks, int lanes, int rows, bool finish) {\n"
            << "  const EmulatedKernel map = emulated_kernel(\"map\", text" << number << "::map);\n"
            << "  emulate("
            << (finishes ? fmt::format("finish ? emulated_kernel(\"finish\", text{}::finish) : ", number) : "")
            << "map, arguments, blocks, lanes, rows);\n}\n";
      }
    }
    const std::string compile = fmt::format("{} -std=c++17 -O0 -ffp-contract=off -fno-strict-aliasing -w -shared -fPIC -o {}/maps.so {}/maps.cc "
                                            TRAINER_SOURCE_DIR "/tests/emulated_gpu/cuda_emulator.cc",
                                            TRAINER_COMPILER, folder, folder);
    ASSERT_EQ(std::system(compile.c_str()), 0) << compile;
    library_ = dlopen((folder_ / "maps.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
  }
  Launch launch(int number) const {
    return reinterpret_cast<Launch>(dlsym(library_, ("launch" + std::to_string(number)).c_str()));
  }
  ~Emulated() {
    if (library_ != nullptr) dlclose(library_);
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

 private:
  std::map<std::string, int> numbers_;
  std::filesystem::path folder_;
  void* library_ = nullptr;
};

struct Case {
  MapGenerator generator;
  MapCase map;
  std::vector<cuda::MapLaunch> launches;
  std::vector<int> texts;
};

std::vector<TestTensor> run(const Emulated& emulated, const Case& c, std::vector<TestTensor> operands, uint64_t pass) {
  std::vector<TestTensor> results;
  for (const TensorDesc& desc : c.map.outputs) {
    results.emplace_back(desc);
    if (results.back().bytes() > 0) std::memset(results.back().raw(), 0xC6, results.back().bytes());
  }
  for (size_t i = 0; i < c.launches.size(); ++i) {
    const cuda::MapLaunch& launch = c.launches[i];
    std::vector<std::byte> arguments = launch.arguments;
    std::vector<float> parts(static_cast<size_t>(launch.part_floats));
    std::vector<const void*> addresses;
    for (int operand : launch.operands) addresses.push_back(operands[static_cast<size_t>(operand)].raw());
    for (int output : launch.outputs) addresses.push_back(results[static_cast<size_t>(output)].raw());
    addresses.push_back(parts.data());
    addresses.push_back(&pass);
    for (int table : launch.tables) {
      const SegmentTable& segments = c.map.body().segments[static_cast<size_t>(table)];
      addresses.push_back(segments.ends.data());
      addresses.push_back(segments.values.data());
    }
    std::memcpy(arguments.data(), addresses.data(), addresses.size() * sizeof(void*));
    const Launch run = emulated.launch(c.texts[i]);
    run(arguments.data(), static_cast<int>(launch.blocks), launch.lanes, launch.rows, false);
    if (launch.finish_blocks > 0) run(arguments.data(), static_cast<int>(launch.finish_blocks), launch.lanes, launch.rows, true);
  }
  return results;
}

TEST(CudaMapText, AgreesWithTheReference) {
  Emulated emulated;
  std::vector<Case> cases;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    Case c{MapGenerator(seed), MapCase(), {}, {}};
    c.map = c.generator.make();
    ASSERT_EQ(cuda::refuse_map_text(c.map.instance()), "");
    // Few multiprocessors keep sums whole, many cut them into parts.
    c.launches = cuda::map_launches(c.map.instance(), seed % 2 == 0 ? 1 : 200);
    for (const cuda::MapLaunch& launch : c.launches) c.texts.push_back(emulated.add(launch.text));
    cases.push_back(std::move(c));
  }
  emulated.build();
  if (HasFatalFailure()) return;
  int parted = 0;
  for (size_t seed = 0; seed < cases.size(); ++seed) {
    const Case& c = cases[seed];
    for (const cuda::MapLaunch& launch : c.launches) parted += launch.finish_blocks > 0;
    std::vector<TestTensor> operands;
    for (size_t i = 0; i < c.map.inputs.size(); ++i) operands.push_back(random_tensor(c.map.inputs[i], seed + i));
    const auto expected = run_reference(c.map, operands, seed);
    expect_close(c.map, c.generator, expected, run(emulated, c, operands, seed), fmt::format("seed {}", seed));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(parted, 0);
}

}  // namespace
}  // namespace trainer::cpu
