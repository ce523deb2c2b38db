// Declares and fills the members in the same order.
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

std::string arguments_declaration(const std::string& name, const OpInstance& instance, const MapSchedule& schedule,
                                  size_t constants) {
  const size_t dims = schedule.dims.extents.size();
  std::string text = fmt::format("struct {} {{\n", name);
  for (size_t i = 0; i < schedule.operands.size(); ++i)
    text += fmt::format("  const {}* in{};\n",
                        type_of(instance.inputs[static_cast<size_t>(schedule.operands[i])].dtype), i);
  for (size_t i = 0; i < schedule.outputs.size(); ++i)
    text += fmt::format("  {}* out{};\n", type_of(instance.outputs[schedule.outputs[i]].dtype), i);
  text += "  float* parts;\n  unsigned* counters;\n  const unsigned long long* pass;\n";
  for (size_t i = 0; i < schedule.tables.size(); ++i)
    text += fmt::format("  const long long* ends{0};\n  const float* values{0};\n", i);
  text += "  long long units, part_count, chunk, summed, kept;\n";
  text += fmt::format("  long long extent[{0}];\n  long long stride[{1}][{0}];\n", dims, schedule.streams.size());
  if (!schedule.tables.empty()) text += fmt::format("  long long entries[{}];\n", schedule.tables.size());
  if (!schedule.keys.empty()) text += fmt::format("  unsigned long long key[{}];\n", schedule.keys.size());
  return text + fmt::format("  float k[{}];\n}};\n", std::max<size_t>(constants, 1));
}

std::vector<std::byte> packed_arguments(const OpInstance& instance, const MapSchedule& schedule,
                                        const std::vector<float>& constants) {
  const MapBody& body = instance.op->as<MapBody>();
  std::vector<std::byte> bytes((schedule.operands.size() + schedule.outputs.size() + 3 + 2 * schedule.tables.size()) *
                               sizeof(void*));
  auto append = [&](const auto& value) {
    const size_t at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  for (int64_t number : {schedule.units, schedule.parts, schedule.chunk, schedule.summed_groups, schedule.kept_groups})
    append(number);
  for (size_t dim = 0; dim <= schedule.innermost(); ++dim)
    append(schedule.extent(dim) / (dim == schedule.innermost() ? schedule.width : 1));
  for (int s : schedule.streams) {
    for (size_t dim = 0; dim <= schedule.innermost(); ++dim) append(schedule.stride(s, dim));
  }
  for (int table : schedule.tables) append(static_cast<int64_t>(body.segments[static_cast<size_t>(table)].ends.size()));
  for (int key : schedule.keys) append(body.keys[static_cast<size_t>(key)]);
  for (float k : constants) append(k);
  if (constants.empty()) append(0.0f);
  while (bytes.size() % sizeof(void*) != 0) bytes.push_back(std::byte{0});
  return bytes;
}

}  // namespace trainer::cuda
