// Chooses and locks the GPUs of a run.
#include "gpus/choose_gpu.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "base/text.h"
#include "gpus/gpu_lock.h"
#include "gpus/nvidia_driver.h"
#include "gpus/nvidia_management.h"

namespace trainer {
namespace {

constexpr const char* kRemedy = "Run on the CPU with --cpu (extract_features: with CPU in place of GPU)";

struct KnownGpu {
  NvidiaGpu gpu;
  GpuUse use;
  std::string refusal;  // why this program cannot use it at all; or ""

  std::string name() const { return fmt::format("GPU {} ({})", gpu.id, gpu.name); }
};

std::vector<KnownGpu> known_gpus() {
  const NvidiaDriver driver = query_nvidia_driver();
  const std::string refusal = refuse_driver(driver);
  if (!refusal.empty()) throw device_error("no NVIDIA GPU can be used: {}. {}", refusal, kRemedy);
  const NvidiaManagement management = query_nvidia_management(driver.gpus);
  std::vector<KnownGpu> out;
  for (size_t i = 0; i < driver.gpus.size(); ++i)
    out.push_back({driver.gpus[i], management.uses[i], refuse_gpu(driver.gpus[i])});
  return out;
}

std::string processes_text(const GpuUse& use) {
  std::string text;
  for (const GpuProcess& process : use.processes) text += (text.empty() ? "" : "; ") + process_text(process);
  return text;
}

TakenGpu taken(const KnownGpu& known, const GpuLock& lock) {
  TakenGpu out;
  out.lease = lock.lease;
  out.id = known.gpu.id;
  out.uuid = known.gpu.uuid;
  out.text = known.name();
  if (known.use.known) out.text += ", free " + format_bytes(known.use.free);
  out.beside = processes_text(known.use);
  if (!out.beside.empty()) out.text += ", also used by " + out.beside;
  return out;
}

std::string use_text(const GpuUse& use) {
  if (!use.known) return "";
  std::string text = fmt::format("; {} of {} used", format_bytes(use.used), format_bytes(use.total));
  if (!use.processes.empty()) text += " (" + processes_text(use) + ")";
  return text;
}

// Why kAuto does not take this GPU, apart from its lock; or "".
std::string not_free(const KnownGpu& known) {
  if (!known.refusal.empty()) return known.refusal;
  if (known.gpu.exclusive && !known.use.processes.empty()) return "its compute mode allows one process";
  if (known.use.known && known.use.free < known.use.total / 2) return "less than half of its memory is free";
  return "";
}

// Why a lock leaves its GPU to others.
std::string not_taken(const GpuLock& lock) {
  if (lock.state == GpuLock::State::kHeld) return "held by " + lock.holder;
  if (lock.state == GpuLock::State::kShared) return "in use by another session of this process";
  return "it cannot be locked: " + lock.problem;
}

TakenGpu take_free_gpu(const std::vector<KnownGpu>& gpus) {
  std::vector<const KnownGpu*> order;
  for (const KnownGpu& known : gpus) order.push_back(&known);
  std::stable_sort(order.begin(), order.end(), [](const KnownGpu* a, const KnownGpu* b) {
    return std::tuple(!a->use.processes.empty(), -a->use.free) < std::tuple(!b->use.processes.empty(), -b->use.free);
  });
  std::vector<std::string> reasons(gpus.size());
  for (const KnownGpu* known : order) {
    std::string reason = not_free(*known);
    if (reason.empty()) {
      const GpuLock lock = take_gpu_lock(known->gpu.uuid);
      if (lock.state == GpuLock::State::kTaken) return taken(*known, lock);
      reason = not_taken(lock);
    }
    reasons[static_cast<size_t>(known->gpu.id)] =
        fmt::format("\n  {}: {}{}", known->name(), reason, use_text(known->use));
  }
  std::string list;
  for (const std::string& reason : reasons) list += reason;
  const bool any_usable =
      std::any_of(gpus.begin(), gpus.end(), [](const KnownGpu& known) { return known.refusal.empty(); });
  throw device_error("no GPU is free:{}\n{}", list,
                     any_usable ? "Share one with --gpu=N, wait for one, or run on the CPU with --cpu" : kRemedy);
}

// The requested GPUs; throws if one cannot be used.
std::vector<KnownGpu> usable_gpus(const std::vector<KnownGpu>& gpus, const GpuRequest& request) {
  std::vector<KnownGpu> usable;
  for (const int number : named_gpus(request, gpus.size())) {
    const KnownGpu& known = gpus[static_cast<size_t>(number)];
    if (!known.refusal.empty()) throw device_error("{}: {}. {}", known.name(), known.refusal, kRemedy);
    usable.push_back(known);
  }
  return usable;
}

TakenGpu take_named_gpu(const KnownGpu& known) {
  const GpuLock lock = take_gpu_lock(known.gpu.uuid);
  TakenGpu out = taken(known, lock);
  if (lock.state == GpuLock::State::kHeld)
    out.warning = fmt::format("GPU {} is in use by another run, {}. Both runs share it; --gpu=auto takes a free GPU",
                              known.gpu.id, lock.holder);
  if (lock.state == GpuLock::State::kUnusable)
    out.warning = fmt::format("GPU {} cannot be locked, so other runs may take it too: {}", known.gpu.id, lock.problem);
  return out;
}

}  // namespace

GpuRequest parse_gpu_request(const std::string& text) {
  constexpr size_t kMostDigits = 6;
  GpuRequest request;
  if (text == "auto" || text == "all") {
    request.kind = text == "auto" ? GpuRequest::Kind::kAuto : GpuRequest::Kind::kAll;
    return request;
  }
  if (text.rfind("sm_", 0) == 0)
    throw config_error("--gpu={}: a GPU that is not in this machine can be planned for (trainer summary) but not used",
                       text);
  for (const std::string& part : split(text, ',')) {
    const std::string digits = trim(part);
    if (digits.empty() || digits.size() > kMostDigits || digits.find_first_not_of("0123456789") != std::string::npos)
      throw config_error(
          "--gpu={}: \"{}\" is not the number of a GPU; write a number, several with commas between (0,1), all, or "
          "auto",
          text, digits);
    const int number = std::stoi(digits);
    if (std::find(request.numbers.begin(), request.numbers.end(), number) != request.numbers.end())
      throw config_error("--gpu={}: GPU {} is named twice", text, number);
    request.numbers.push_back(number);
  }
  return request;
}

std::vector<int> named_gpus(const GpuRequest& request, size_t count) {
  if (request.kind == GpuRequest::Kind::kNumbers) {
    for (const int number : request.numbers) {
      if (static_cast<size_t>(number) >= count)
        throw device_error(
            "there is no GPU {}: the driver sees {}, numbered from 0 (CUDA_VISIBLE_DEVICES may hide others)", number,
            count);
    }
    return request.numbers;
  }
  const auto processes = static_cast<size_t>(request.processes), process = static_cast<size_t>(request.process);
  size_t first = 0, own = count;
  if (processes > 1 && count > 1) {
    const bool one = request.kind == GpuRequest::Kind::kOwn;
    if (one && process >= count)
      throw device_error(
          "there is no GPU {} for process {} of {} on this host: the driver sees {} (CUDA_VISIBLE_DEVICES may hide "
          "others). Start one process for each GPU, or one for all of them with --gpu=all",
          process, process, processes, count);
    if (!one && count % processes != 0)
      throw device_error(
          "--gpu=all: {} GPUs cannot be divided evenly among {} processes on this host. Start one process for all of "
          "them, or one for each",
          count, processes);
    own = one ? 1 : count / processes;
    first = process * own;
  }
  std::vector<int> numbers(own);
  std::iota(numbers.begin(), numbers.end(), static_cast<int>(first));
  return numbers;
}

std::vector<TakenGpu> take_gpus(const GpuRequest& request) {
  const std::vector<KnownGpu> gpus = known_gpus();
  if (request.kind == GpuRequest::Kind::kAuto) return {take_free_gpu(gpus)};
  std::vector<TakenGpu> out;
  for (const KnownGpu& known : usable_gpus(gpus, request)) out.push_back(take_named_gpu(known));
  return out;
}

void check_gpus(const GpuRequest& request) { usable_gpus(known_gpus(), request); }

}  // namespace trainer
