// The generated kernels of the CUDA device's maps, compiled as C++ and run on an emulator of thread blocks, against the
// reference.
#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "device/cuda/map_codegen.h"
#include "device/map_generator.h"

namespace trainer::cpu {
namespace {

using Launch = void (*)(const void* arguments, int blocks, int lanes, int rows);

// All sources in one library, each in its own namespace.
class Emulated {
 public:
  int add(const std::string& source) {
    return numbers_.emplace(source, static_cast<int>(numbers_.size())).first->second;
  }

  void build() {
    char folder[] = "/tmp/trainer_maps_XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    {
      std::ofstream out(folder_ / "maps.cc");
      out << "#include \"" TRAINER_SOURCE_DIR "/tests/emulated_gpu/cuda_emulator.h\"\n";
      for (const auto& [source, number] : numbers_) {
        std::string plain = source;
        for (size_t at; (at = plain.find("extern \"C\" ")) != std::string::npos;) plain.erase(at, 11);
        out << "namespace source" << number << " {\n"
            << plain << "}\n"
            << "extern \"C\" void launch" << number << "(const void* arguments, int blocks, int lanes, int rows) {\n"
            << "  emulate(emulated_kernel(\"map\", source" << number << "::map), arguments, blocks, lanes, rows);\n}\n";
      }
    }
    const std::string compile = fmt::format(
        "{} -std=c++17 -O0 -ffp-contract=off -fno-strict-aliasing -w -shared -fPIC -o {}/maps.so "
        "{}/maps.cc " TRAINER_SOURCE_DIR "/tests/emulated_gpu/cuda_emulator.cc",
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
  std::vector<int> sources;
};

// `in_place[i]` >= 0: result i overwrites that operand.
std::vector<TestTensor> run(const Emulated& emulated, const Case& c, std::vector<TestTensor> operands, uint64_t pass,
                            const std::vector<int>& in_place = {}) {
  std::vector<TestTensor> results;
  std::vector<void*> out;
  for (const TensorDesc& desc : c.map.outputs) {
    results.emplace_back(desc);
    if (results.back().bytes() > 0) std::memset(results.back().raw(), 0xC6, results.back().bytes());
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const bool replaces = i < in_place.size() && in_place[i] >= 0;
    out.push_back(replaces ? operands[static_cast<size_t>(in_place[i])].raw() : results[i].raw());
  }
  for (size_t i = 0; i < c.launches.size(); ++i) {
    const cuda::MapLaunch& launch = c.launches[i];
    std::vector<std::byte> arguments = launch.arguments;
    std::vector<float> parts(static_cast<size_t>(launch.partial_floats));
    std::vector<const void*> addresses;
    std::vector<unsigned> counters(static_cast<size_t>(launch.counters));
    const cuda::MapAddresses& map = launch.addresses.front();
    for (int operand : map.operands) addresses.push_back(operands[static_cast<size_t>(operand)].raw());
    for (int output : map.outputs) addresses.push_back(out[static_cast<size_t>(output)]);
    addresses.push_back(parts.data());
    addresses.push_back(counters.data());
    addresses.push_back(&pass);
    for (int table : map.tables) {
      const SegmentTable& segments = c.map.body().segments[static_cast<size_t>(table)];
      addresses.push_back(segments.ends.data());
      addresses.push_back(segments.values.data());
    }
    std::memcpy(arguments.data() + map.at, addresses.data(), addresses.size() * sizeof(void*));
    const Launch run = emulated.launch(c.sources[i]);
    run(arguments.data(), static_cast<int>(launch.blocks), launch.lanes, launch.rows);
    for (const unsigned counter : counters) EXPECT_EQ(counter, 0u);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (out[i] != results[i].raw()) std::memcpy(results[i].raw(), out[i], results[i].bytes());
  }
  return results;
}

TEST(CudaMapCodegen, AgreesWithTheReference) {
  Emulated emulated;
  std::vector<Case> cases;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    Case c{MapGenerator(seed), MapCase(), {}, {}};
    c.map = c.generator.make();
    ASSERT_EQ(cuda::refuse_generated_map(c.map.instance()), "");
    // With one multiprocessor, reductions have one part; with many, several.
    const OpInstance instance = c.map.instance();
    c.launches = cuda::map_launches({&instance, 1}, seed % 2 == 0 ? 1 : 200);
    for (const cuda::MapLaunch& launch : c.launches) c.sources.push_back(emulated.add(launch.source));
    cases.push_back(std::move(c));
  }
  emulated.build();
  if (HasFatalFailure()) return;
  int parted = 0;
  for (size_t seed = 0; seed < cases.size(); ++seed) {
    const Case& c = cases[seed];
    for (const cuda::MapLaunch& launch : c.launches) parted += launch.partial_floats > 0;
    std::vector<TestTensor> operands;
    for (size_t i = 0; i < c.map.inputs.size(); ++i) operands.push_back(random_tensor(c.map.inputs[i], seed + i));
    const auto expected = run_reference(c.map, operands, seed);
    expect_close(c.map, c.generator, expected, run(emulated, c, operands, seed), fmt::format("seed {}", seed));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(parted, 0);
}

// A gradient of batch norm, in place: sums of g and of g * (x - mean) over all axes but one, and g * scale. The sums of
// its values are exact in f32.
struct GradientCase {
  Shape shape;
  MemoryFormat order;
  DType dtype;
  bool whole;            // sums over all axes
  const char* expected;  // in the source: the vector width and the groups in flight
  int lanes;

  Case make(int multiprocessors) const {
    Case c{MapGenerator(0), MapCase(shape), {}, {}};
    Shape channels(std::vector<int64_t>(static_cast<size_t>(shape.rank()), 1));
    channels[1] = shape[1];
    const int g = c.map.input(shape, order, dtype), x = c.map.input(shape, order, dtype);
    const int mean = c.map.input(channels), scale = c.map.input(channels);
    std::vector<int> axes;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (axis != 1 || whole) axes.push_back(axis);
    }
    c.map.reduce(g, Reduction::kSum, axes);
    c.map.reduce(c.map.node(Fn::kMultiply, g, c.map.node(Fn::kSubtract, x, mean)), Reduction::kSum, axes);
    c.map.reduce(x, Reduction::kMax, axes);
    c.map.store(c.map.node(Fn::kMultiply, g, scale), order, dtype);
    const OpInstance instance = c.map.instance();
    c.launches = cuda::map_launches({&instance, 1}, multiprocessors);
    return c;
  }
};

// Indices have 32 bits if all offsets and a grid stride fit, otherwise 64 bits.
TEST(CudaMapCodegen, IndicesAreAsWideAsOffsetsNeed) {
  const auto index_of = [](const Shape& domain, const Shape& operand) {
    MapCase c;
    c.op.kind = OpKind::kMap;
    c.op.attributes = MapBody{domain, {{Fn::kInput, 0}}, {{0, Reduction::kMax, {1}}}, {}, {}};
    const OpInstance instance{&c.op, {TensorDesc{operand}}, {TensorDesc{Shape{domain[0], 1}}}};
    const std::string text = cuda::map_launches({&instance, 1}, 132)[0].source;
    const size_t at = text.find("typedef ");
    return text.substr(at + 8, text.find(" Index;") - at - 8);
  };
  EXPECT_EQ(index_of({1024, 1 << 19}, {1024, 1 << 19}), "int");
  EXPECT_EQ(index_of({1024, (1 << 20) + 1}, {1024, (1 << 20) + 1}), "long long");
  EXPECT_EQ(index_of({1024, (1 << 20) + 1}, {1, (1 << 20) + 1}), "long long");
  EXPECT_EQ(index_of({1 << 20, 1 << 20}, {1, 1 << 20}), "long long");
}

TEST(CudaMapCodegen, LargeSumsAreExactAndDoNotReadWhatTheyOverwrite) {
  constexpr MemoryFormat kRows = MemoryFormat::kRowMajor, kLast = MemoryFormat::kChannelsLast;
  const std::vector<GradientCase> kinds = {
      {{4, 64, 20, 21}, kLast, DType::kF32, false, "WIDTH = 4, RESULTS = 4, FLIGHT = 4", 8},
      {{4, 64, 20, 21}, kLast, DType::kBF16, false, "WIDTH = 8, RESULTS = 8, FLIGHT = 4", 8},
      {{4, 20, 20, 21}, kLast, DType::kBF16, false, "WIDTH = 4, RESULTS = 4, FLIGHT = 4", 8},
      {{4, 7, 20, 21}, kLast, DType::kF32, false, "WIDTH = 1, RESULTS = 1, FLIGHT = 4", 8},
      {{4, 300, 3, 3}, kLast, DType::kF32, false, "WIDTH = 4, RESULTS = 4, FLIGHT = 4", 8},
      {{4, 5, 24, 24}, kRows, DType::kF32, false, "WIDTH = 4, RESULTS = 1, FLIGHT = 4", 32},
      {{4, 5, 24, 24}, kRows, DType::kBF16, false, "WIDTH = 8, RESULTS = 1, FLIGHT = 4", 32},
      {{4, 5, 23, 23}, kRows, DType::kBF16, false, "WIDTH = 1, RESULTS = 1, FLIGHT = 4", 256},
      {{5, 2, 64, 64}, kRows, DType::kF32, false, "WIDTH = 4, RESULTS = 1, FLIGHT = 4", 256},
      {{8, 4, 32, 36}, kLast, DType::kBF16, true, "WIDTH = 4, RESULTS = 1, FLIGHT = 2", 256}};
  Emulated emulated;
  std::vector<Case> cases;
  for (const GradientCase& kind : kinds) {
    for (const int multiprocessors : {1, 200}) {
      cases.push_back(kind.make(multiprocessors));
      Case& c = cases.back();
      ASSERT_EQ(c.launches.size(), 1u);
      EXPECT_NE(c.launches[0].source.find(kind.expected), std::string::npos)
          << kind.shape.text() << " not " << kind.expected;
      EXPECT_EQ(c.launches[0].lanes, kind.lanes) << kind.shape.text();
      c.sources.push_back(emulated.add(c.launches[0].source));
    }
  }
  emulated.build();
  if (HasFatalFailure()) return;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    const GradientCase& kind = kinds[i / 2];
    std::vector<TestTensor> operands;
    for (size_t operand = 0; operand < 4; ++operand)
      operands.push_back(random_tensor(c.map.inputs[operand], 10 * i + operand));
    const std::vector<TestTensor> got = run(emulated, c, operands, 0, {-1, -1, -1, 0});
    const size_t sums = static_cast<size_t>(kind.whole ? 1 : kind.shape[1]);
    std::vector<double> sum(sums, 0), product(sums, 0), most(sums, -INFINITY);
    const std::vector<int64_t> strides = c.map.inputs[0].strides();
    for (int64_t n = 0; n < kind.shape[0]; ++n) {
      for (int64_t channel = 0; channel < kind.shape[1]; ++channel) {
        for (int64_t y = 0; y < kind.shape[2]; ++y) {
          for (int64_t x = 0; x < kind.shape[3]; ++x) {
            const int64_t at = n * strides[0] + channel * strides[1] + y * strides[2] + x * strides[3];
            const size_t of = kind.whole ? 0 : static_cast<size_t>(channel);
            const double g = operands[0][at], value = operands[1][at];
            sum[of] += g;
            product[of] += g * (value - static_cast<double>(operands[2][channel]));
            most[of] = std::max(most[of], value);
            ASSERT_EQ(got[3][at], g * static_cast<double>(operands[3][channel])) << "case " << i << " element " << at;
          }
        }
      }
    }
    for (size_t k = 0; k < sums; ++k) {
      EXPECT_EQ(got[0][static_cast<int64_t>(k)], sum[k]) << "case " << i << " result " << k;
      EXPECT_EQ(got[1][static_cast<int64_t>(k)], product[k]) << "case " << i << " result " << k;
      EXPECT_EQ(got[2][static_cast<int64_t>(k)], most[k]) << "case " << i << " result " << k;
    }
  }
}

}  // namespace
}  // namespace trainer::cpu
