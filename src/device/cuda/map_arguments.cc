// Declares and fills the struct in one sequence.
#include "device/cuda/map_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace trainer::cuda {
namespace {

const char* type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "float";
    case DType::kBF16: return "Bf16";
    case DType::kF16: return "F16";
    case DType::kS32: return "int";
    case DType::kU8: return "unsigned char";
  }
  return "?";
}

}  // namespace

std::string arguments_text(const OpInstance& instance, const MapWalk& walk, size_t constants) {
  const size_t dims = walk.dims.extents.size();
  std::string text = "struct Arguments {\n";
  for (size_t i = 0; i < walk.operands.size(); ++i)
    text +=
        fmt::format("  const {}* in{};\n", type_of(instance.inputs[static_cast<size_t>(walk.operands[i])].dtype), i);
  for (size_t i = 0; i < walk.outputs.size(); ++i)
    text += fmt::format("  {}* out{};\n", type_of(instance.outputs[walk.outputs[i]].dtype), i);
  text += "  float* parts;\n  const unsigned long long* pass;\n";
  for (size_t i = 0; i < walk.tables.size(); ++i)
    text += fmt::format("  const long long* ends{0};\n  const float* values{0};\n", i);
  text += "  long long units, part_count, chunk, summed, kept;\n";
  text += fmt::format("  long long extent[{0}];\n  long long stride[{1}][{0}];\n", dims, walk.streams.size());
  if (!walk.tables.empty()) text += fmt::format("  long long entries[{}];\n", walk.tables.size());
  if (!walk.keys.empty()) text += fmt::format("  unsigned long long key[{}];\n", walk.keys.size());
  return text + fmt::format("  float k[{}];\n}};\n", std::max<size_t>(constants, 1));
}

std::vector<std::byte> packed_arguments(const OpInstance& instance, const MapWalk& walk,
                                        const std::vector<float>& constants) {
  const MapBody& body = instance.op->as<MapBody>();
  std::vector<std::byte> bytes((walk.operands.size() + walk.outputs.size() + 2 + 2 * walk.tables.size()) *
                               sizeof(void*));
  auto append = [&](const auto& value) {
    const size_t at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  for (int64_t number : {walk.units, walk.parts, walk.chunk, walk.summed_groups, walk.kept_groups}) append(number);
  for (size_t dim = 0; dim <= walk.innermost(); ++dim)
    append(walk.extent(dim) / (dim == walk.innermost() ? walk.width : 1));
  for (int s : walk.streams) {
    for (size_t dim = 0; dim <= walk.innermost(); ++dim) append(walk.stride(s, dim));
  }
  for (int table : walk.tables) append(static_cast<int64_t>(body.segments[static_cast<size_t>(table)].ends.size()));
  for (int key : walk.keys) append(body.keys[static_cast<size_t>(key)]);
  for (float k : constants) append(k);
  if (constants.empty()) append(0.0f);
  while (bytes.size() % sizeof(void*) != 0) bytes.push_back(std::byte{0});
  return bytes;
}

}  // namespace trainer::cuda
