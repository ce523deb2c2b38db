// Chooses the devices of a run.
#include "session/choose_device.h"

#include <fmt/ranges.h>

#include <map>

#include "base/cores.h"
#include "base/error.h"
#include "base/text.h"
#include "gpus/choose_gpu.h"
#include "report/log.h"

namespace trainer {
namespace {

ChosenDevice chosen(const TakenGpu& gpu) {
  if (!gpu.warning.empty()) log_warning(gpu.warning);
  return {DeviceSpec::cuda(gpu.id), gpu.lease, gpu.uuid, gpu.beside, "Use " + gpu.text};
}

// The GPUs of the request; nullopt for the CPU and for no request.
std::optional<GpuRequest> gpus_of(const DeviceRequest& request) {
  if (request.cpu && request.gpu) throw config_error("--cpu and --gpu contradict each other: give one of them");
  if (!request.gpu) return std::nullopt;
  GpuRequest parsed = parse_gpu_request(*request.gpu);
  parsed.process = request.local_rank;
  parsed.processes = request.local_size;
  return parsed;
}

}  // namespace

DeviceRequest DeviceRequest::of(const std::string& text) {
  DeviceRequest request;
  request.cpu = text == "cpu";
  if (!request.cpu && !text.empty()) request.gpu = text;
  return request;
}

ChosenDevice cpu_device() {
  const CoreGrant cores = granted_cores();
  if (cores.omp_threads > 2 * cores.granted)
    log_warning(fmt::format(
        "OMP_NUM_THREADS={} starts {} threads on {} core{}: they compete for the cores and use more memory. "
        "Set it to {}, or unset it",
        cores.omp_threads, usable_cores(), cores.granted, cores.granted == 1 ? "" : "s", cores.granted));
  return {DeviceSpec(), nullptr, "", "", "Use CPU."};
}

ChosenDevice gpu_device(int number) { return chosen(take_gpus({GpuRequest::Kind::kNumbers, {number}}).front()); }

int count_devices(Group& group, const std::vector<ChosenDevice>& devices) {
  constexpr const char* kCpu = "CPU";
  std::string own;
  for (const ChosenDevice& device : devices)
    own += (device.spec.kind == DeviceSpec::Kind::kCpu ? kCpu : device.uuid) + '\n';
  int count = 0;
  std::string first_device;
  std::map<std::string, const Member*> users;  // of GPUs
  const std::vector<std::string> all = group.gather(own);
  for (size_t i = 0; i < all.size(); ++i) {
    const Member& member = group.members()[i];
    for (const std::string& device : split(trim(all[i]), '\n')) {
      if (count++ == 0) first_device = device;
      if ((device == kCpu) != (first_device == kCpu)) {
        const Member& first = group.members().front();
        throw config_error("{} computes on the CPU and {} on a GPU: give all processes the same kind of device",
                           text_of(device == kCpu ? member : first), text_of(device == kCpu ? first : member));
      }
      if (device == kCpu) continue;
      const auto [user, is_first] = users.emplace(device, &member);
      if (!is_first)
        throw device_error(
            "{} and {} have the same GPU, {}. Start at most one process for each GPU, with --gpu=all or "
            "--gpu=auto, so that each takes its own",
            text_of(*user->second), text_of(member), device);
    }
  }
  return count;
}

std::vector<ChosenDevice> choose_devices(const DeviceRequest& request, const caffe::SolverParameter& solver) {
  const std::optional<GpuRequest> asked = gpus_of(request);
  if (!asked) {
    const bool by_solver =
        !request.cpu && solver.has_solver_mode() && solver.solver_mode() == caffe::SolverParameter_SolverMode_GPU;
    if (!by_solver) return {cpu_device()};
    if (request.local_size == 1) return {gpu_device(solver.device_id())};
    return {chosen(take_gpus({GpuRequest::Kind::kOwn, {}, request.local_rank, request.local_size}).front())};
  }
  std::vector<ChosenDevice> devices;
  for (const TakenGpu& gpu : take_gpus(*asked)) devices.push_back(chosen(gpu));
  return devices;
}

ChosenDevice choose_device(const DeviceRequest& request) {
  const std::optional<GpuRequest> asked = gpus_of(request);
  if (!asked) return cpu_device();
  const std::vector<TakenGpu> gpus = take_gpus(*asked);
  if (gpus.size() > 1)
    throw config_error("only trainer train runs on several GPUs, but --gpu={} names {}: name one, or use auto",
                       *request.gpu, gpus.size());
  return chosen(gpus.front());
}

DeviceOptions device_options(const std::string& precision, bool deterministic) {
  DeviceOptions options;
  std::vector<std::string> names;
  for (const Precision known : {Precision::kFP32, Precision::kTF32, Precision::kBF16, Precision::kFP16}) {
    names.push_back(name_of(known));
    if (precision == names.back()) options.precision = known;
  }
  if (precision != name_of(options.precision))
    throw config_error("--precision={}: not one of {}", precision, fmt::join(names, ", "));
  options.deterministic = deterministic;
  options.log = [](const std::string& line) { log_info(line); };
  return options;
}

int64_t parse_memory(const std::string& text) {
  const int64_t bytes = parse_bytes(text);
  if (bytes < 0) throw config_error("--memory={}: not a size; write 800M or 1.5G", text);
  return bytes;
}

}  // namespace trainer
