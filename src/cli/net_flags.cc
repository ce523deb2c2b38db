// The flags that several commands share.
#include "cli/net_flags.h"

#include <optional>

#include "base/cores.h"
#include "base/error.h"
#include "base/text.h"
#include "config/net_inputs.h"
#include "config/override.h"
#include "gpus/choose_gpu.h"
#include "report/log.h"
#include "session/check_nets.h"

namespace trainer {

Flag gpu_flag() {
  return {"gpu", FlagType::kText, "", "N|auto|all",
          "Run on the NVIDIA GPU with this number, counted among those in CUDA_VISIBLE_DEVICES; auto takes a free "
          "one. train also accepts several (0,1) or all. trainer device_query shows the users of each GPU."};
}
Flag cpu_flag() { return {"cpu", FlagType::kBool, "false", "", "Run on the CPU, even if solver_mode is GPU."}; }
Flag precision_flag() {
  return {"precision", FlagType::kChoice, "fp32", "fp32|tf32|bf16|fp16",
          "The type of the operands of convolutions and large inner products. Sums, weights, their gradients and files "
          "are always 32-bit floats. fp32: 32-bit floats. tf32 (GPU): activations are 32-bit floats, but tensor cores "
          "use 10 bits of mantissa: faster, accurate to about 3 digits. bf16: activations are bfloat16, with half the "
          "memory, accurate to 2 to 3 digits. fp16 (GPU): activations are float16, accurate to about 3 digits, with "
          "automatic loss scaling."};
}
Flag deterministic_flag() {
  return {
      "deterministic", FlagType::kBool, "false", "",
      "Give the same bits in each run on GPUs of one model with the same libraries, driver and options, also after "
      "stop and resume. Excludes library kernels that sum in no fixed order, and does not choose kernels by timing. "
      "No effect on the CPU, where all sums have a fixed order: the same number of threads always gives the same "
      "bits."};
}
Flag memory_flag() {
  return {"memory", FlagType::kText, "", "SIZE",
          "The most memory to use (800M, 1.5G) for parameters, gradients, history, activations and data buffers. The "
          "backward pass recomputes forward values that do not fit; the results are the same bits."};
}
Flag set_flag() {
  return {"set",
          FlagType::kText,
          "",
          "FIELD=VALUE",
          "Set a field of the solver or net: base_lr=0.1, layer[conv1].convolution_param.num_output=32. "
          "See `trainer help set`.",
          true};
}
Flag fill_flag() {
  return {"fill",
          FlagType::kText,
          "",
          "TOP=VALUE|gaussian",
          "Fill this top of an Input layer with a value (data=0.5), or with new random numbers for each batch.",
          true};
}
Flag allow_fresh_flag() {
  return {"allow_fresh", FlagType::kBool, "false", "",
          "Accept layers that the weights lack, with the values of their fillers."};
}
Flag level_flag() {
  return {"level", FlagType::kInteger, "0", "N", "The level of the net's state, for include and exclude rules."};
}
Flag stage_flag() {
  return {"stage", FlagType::kText, "", "NAME,NAME", "Stages of the net's state, for include and exclude rules."};
}

std::vector<std::string> comma_list(const std::string& text) {
  std::vector<std::string> out;
  for (const std::string& part : split(text, ',')) {
    if (!trim(part).empty()) out.push_back(trim(part));
  }
  return out;
}

namespace {

ChosenDevice chosen(const TakenGpu& gpu) {
  if (!gpu.warning.empty()) log_warning(gpu.warning);
  return {DeviceSpec::cuda(gpu.id), gpu.lease, gpu.beside, "Use " + gpu.text};
}

// The value of --gpu; nullopt without the flag.
std::optional<GpuRequest> request_of(const Arguments& arguments) {
  if (arguments.get_bool("cpu") && arguments.given("gpu"))
    throw config_error("--cpu and --gpu contradict each other: give one of them");
  if (!arguments.given("gpu")) return std::nullopt;
  return parse_gpu_request(arguments.text("gpu"));
}

}  // namespace

ChosenDevice cpu_device() {
  const CoreGrant cores = granted_cores();
  if (cores.omp_threads > 2 * cores.granted)
    log_warning(fmt::format(
        "OMP_NUM_THREADS={} starts {} threads on {} core{}: they compete for the cores and use more memory. "
        "Set it to {}, or unset it",
        cores.omp_threads, usable_cores(), cores.granted, cores.granted == 1 ? "" : "s", cores.granted));
  return {DeviceSpec(), nullptr, "", "Use CPU."};
}

ChosenDevice gpu_device(int number) { return chosen(take_gpus({GpuRequest::Kind::kNumbers, {number}}).front()); }

std::vector<ChosenDevice> devices_of(const Arguments& arguments, const caffe::SolverParameter& solver) {
  const std::optional<GpuRequest> request = request_of(arguments);
  if (!request) {
    const bool by_solver = !arguments.get_bool("cpu") && solver.has_solver_mode() &&
                           solver.solver_mode() == caffe::SolverParameter_SolverMode_GPU;
    return {by_solver ? gpu_device(solver.device_id()) : cpu_device()};
  }
  std::vector<ChosenDevice> devices;
  for (const TakenGpu& gpu : take_gpus(*request)) devices.push_back(chosen(gpu));
  return devices;
}

ChosenDevice device_of(const Arguments& arguments) {
  const std::optional<GpuRequest> request = request_of(arguments);
  if (!request) return cpu_device();
  const std::vector<TakenGpu> gpus = take_gpus(*request);
  if (gpus.size() > 1)
    throw config_error("only trainer train runs on several GPUs, but --gpu={} names {}: name one, or use auto",
                       arguments.text("gpu"), gpus.size());
  return chosen(gpus.front());
}

DeviceOptions device_options_of(const Arguments& arguments) {
  DeviceOptions options;
  for (const Precision precision : {Precision::kTF32, Precision::kBF16, Precision::kFP16}) {
    if (arguments.text("precision") == name_of(precision)) options.precision = precision;
  }
  options.deterministic = arguments.get_bool("deterministic");
  options.tell = [](const std::string& line) { log_info(line); };
  return options;
}

int64_t memory_of(const Arguments& arguments) {
  const std::string& text = arguments.text("memory");
  if (!arguments.given("memory")) return 0;
  const int64_t bytes = parse_bytes(text);
  if (bytes < 0) throw config_error("--memory={}: not a size; write 800M or 1.5G", text);
  return bytes;
}

std::vector<std::string> stages_of(const Arguments& arguments) { return comma_list(arguments.text("stage")); }

namespace {

ConfiguredNet configured_net(const Arguments& arguments, caffe::Phase phase, const std::string& path, bool runs,
                             const GivenShapes& given) {
  caffe::NetState state;
  state.set_phase(phase);
  if (arguments.given("level")) state.set_level(static_cast<int>(arguments.integer("level")));
  for (const std::string& stage : stages_of(arguments)) state.add_stage(stage);
  ConfiguredNet out;
  Diagnostics diagnostics;
  for (const std::string& assignment : arguments.texts("set")) {
    if (!is_net_override(assignment))
      throw config_error("--set {}: this command has no solver; write net.FIELD=... or layer[NAME].FIELD=...",
                         assignment);
  }
  const Edits edits{arguments.texts("set"), runs ? arguments.texts("fill") : std::vector<std::string>()};
  out.net = configure_net(path, state, edits, &out.file, &diagnostics);
  if (runs && out.net.net != nullptr) require_no_inputs(*out.net.net, *out.net.positions, &diagnostics);
  if (diagnostics.has_errors()) add_net_problems({out.net}, given, &diagnostics);
  diagnostics.throw_if_errors();
  if (!diagnostics.list().empty()) log_warning(diagnostics.render());
  return out;
}

}  // namespace

ConfiguredNet net_to_look_at(const Arguments& arguments, caffe::Phase phase, const GivenShapes& given) {
  return configured_net(arguments, phase, arguments.text("model"), false, given);
}

ConfiguredNet net_to_run(const Arguments& arguments, const std::string& path) {
  return configured_net(arguments, caffe::TEST, path, true, {});
}

void load_trained_weights(const Arguments& arguments, const std::string& path, const LoweredNet& net,
                          StateStore& store) {
  if (path == "none" && net.parameters.empty()) return;
  const std::vector<WeightMatch> matches = load_weights(path, net, store);
  require_trained(path, matches, arguments.get_bool("allow_fresh"));
  log_info(match_table(path, matches));
}

}  // namespace trainer
