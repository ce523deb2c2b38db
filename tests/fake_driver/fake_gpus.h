// The GPUs of the fake libraries in this folder, from the environment:
//
//   FAKE_GPUS         one entry per GPU, separated by ";", of fields separated by ",":
//                     uuid=GPU-00000000-0000-0000-0000-000000000001,name=NVIDIA H100,memory=81559,used=500,
//                     capability=9.0,mode=0,processes=123:400+456:10
//                     Memory is in MiB, processes are pid:MiB, the compute mode is the driver's number. The defaults
//                     describe an unused GPU.
//   FAKE_CUDA_INIT    the error of cuInit
//   FAKE_CUDA_VERSION the result of cuDriverGetVersion; default 13000
//   FAKE_NVML_INIT    the error of nvmlInit_v2
#pragma once

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace fake {

struct Process {
  unsigned pid = 0;
  unsigned long long memory = 0;
};

struct Gpu {
  std::string uuid = "GPU-00000000-0000-0000-0000-000000000000", name = "Fake GPU";
  unsigned long long memory = 80ull << 30, used = 0;
  int major = 9, minor = 0, mode = 0;
  std::vector<Process> processes;
};

inline int number_of(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::atoi(text);
}

inline std::vector<std::string> parts_of(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

inline unsigned long long mebibytes(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10) << 20; }

inline void set_field(Gpu* gpu, const std::string& name, const std::string& value) {
  if (name == "uuid") gpu->uuid = value;
  if (name == "name") gpu->name = value;
  if (name == "memory") gpu->memory = mebibytes(value);
  if (name == "used") gpu->used = mebibytes(value);
  if (name == "mode") gpu->mode = std::atoi(value.c_str());
  if (name == "capability") {
    gpu->major = std::atoi(value.c_str());
    gpu->minor = std::atoi(value.substr(value.find('.') + 1).c_str());
  }
  if (name == "processes") {
    for (const std::string& entry : parts_of(value, '+'))
      gpu->processes.push_back(
          {static_cast<unsigned>(std::atoi(entry.c_str())), mebibytes(entry.substr(entry.find(':') + 1))});
  }
}

inline std::vector<Gpu> all_gpus() {
  const char* text = std::getenv("FAKE_GPUS");
  std::vector<Gpu> gpus;
  for (const std::string& entry : parts_of(text == nullptr ? "" : text, ';')) {
    Gpu gpu;
    for (const std::string& field : parts_of(entry, ',')) {
      const size_t equals = field.find('=');
      if (equals != std::string::npos) set_field(&gpu, field.substr(0, equals), field.substr(equals + 1));
    }
    gpus.push_back(gpu);
  }
  return gpus;
}

}  // namespace fake
