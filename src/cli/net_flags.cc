// The flags that several commands share.
#include "cli/net_flags.h"

#include <charconv>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/fetch_weights.h"
#include "report/log.h"

namespace trainer {
namespace {

// "data=16,3,227,227".
std::pair<std::string, Shape> read_shape(const std::string& word) {
  const size_t equals = word.rfind('=');
  const auto refuse = [&word](const std::string& why) {
    return config_error("--shape {}: {}; write the name of a data layer's top and its dimensions: data=16,3,227,227",
                        word, why);
  };
  if (equals == std::string::npos || equals == 0) throw refuse("it has no NAME=");
  std::vector<int64_t> dims;
  for (const std::string& part : split(word.substr(equals + 1), ',')) {
    const std::string number = trim(part);
    if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos)
      throw refuse(fmt::format("\"{}\" is not a dimension", number));
    int64_t dim = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), dim).ec != std::errc()) dim = Shape::kUncountable;
    dims.push_back(dim);
  }
  const std::string problem = check_shape(Shape(dims));
  if (!problem.empty()) throw refuse(problem);
  return {word.substr(0, equals), Shape(dims)};
}

}  // namespace

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
Flag run_flag() {
  return {"run", FlagType::kFolder, "", "FOLDER",
          "The run folder of a training: its test net, with the best weights if the solver has best, else those of "
          "the newest intact snapshot."};
}
Flag model_flag() { return {"model", FlagType::kFile, "", "FILE", "The prototxt file of the net that was trained."}; }
Flag shape_flag() {
  return {"shape",
          FlagType::kText,
          "",
          "TOP=DIMS",
          "The shape of a data layer's top (data=16,3,227,227), in place of its data set.",
          true};
}
Flag allow_fresh_flag() {
  return {"allow_fresh", FlagType::kBool, "false", "",
          "Accept layers that the weights lack, with the values of their fillers."};
}
Flag weights_flag() {
  return {"weights", FlagType::kFile, "", "FILE|NAME",
          "The weights: a file, or published weights (trainer weights names). Layers are matched by name."};
}
Flag weights_map_flag() {
  return {"weights_map", FlagType::kFile, "", "FILE",
          "A text file that says which tensors of the weights go into which blobs: lines LAYER/BLOB TENSOR "
          "[transpose=1,0], with one * in both names for the same text. Other tensors are matched by name."};
}
Flag weights_match_flag() {
  return {"weights_match", FlagType::kChoice, "name", "name|order",
          "Match the tensors of the weights to learned blobs by name, or one after the other in the order of file and "
          "net, if the shapes agree."};
}
Flag level_flag() {
  return {"level", FlagType::kInteger, "0", "N", "The level of the net's state, for include and exclude rules."};
}
Flag stage_flag() {
  return {"stage", FlagType::kText, "", "NAME,NAME", "Stages of the net's state, for include and exclude rules."};
}

DeviceRequest device_request_of(const Arguments& arguments) {
  DeviceRequest request;
  request.cpu = arguments.get_bool("cpu");
  if (arguments.given("gpu")) request.gpu = arguments.text("gpu");
  return request;
}

DeviceOptions device_options_of(const Arguments& arguments) {
  return device_options(arguments.text("precision"), arguments.get_bool("deterministic"));
}

WeightMatching weight_matching_of(const Arguments& arguments) {
  WeightMatching matching;
  matching.by_order = arguments.text("weights_match") == "order";
  if (!arguments.given("weights_map")) return matching;
  if (matching.by_order)
    throw config_error("--weights_map and --weights_match=order contradict each other: give one of them");
  matching.map = read_weight_map(arguments.text("weights_map"));
  return matching;
}

int64_t memory_of(const Arguments& arguments) {
  return arguments.given("memory") ? parse_memory(arguments.text("memory")) : 0;
}

std::vector<std::string> stages_of(const Arguments& arguments) { return comma_list(arguments.text("stage")); }

caffe::NetState net_state_of(const Arguments& arguments, caffe::Phase phase) {
  const bool given = arguments.given("level");
  return requested_state(phase, given ? std::optional<int>(static_cast<int>(arguments.integer("level"))) : std::nullopt,
                         stages_of(arguments));
}

ConfigureOptions configure_options_of(const Arguments& arguments) {
  ConfigureOptions options;
  options.edits.overrides = arguments.texts("set");
  options.has_level = arguments.given("level");
  options.level = static_cast<int>(arguments.integer("level"));
  options.stages = stages_of(arguments);
  return options;
}

TrainingFiles training_to_look_at(const Arguments& arguments) {
  Diagnostics diagnostics;
  TrainingFiles files = configure_training(arguments.text("solver"), configure_options_of(arguments), &diagnostics);
  diagnostics.throw_if_errors();
  if (!diagnostics.list().empty()) log_warning(diagnostics.render());
  return files;
}

GivenShapes given_shapes(const Arguments& arguments) {
  GivenShapes shapes;
  for (const std::string& word : arguments.texts("shape")) {
    const auto [name, shape] = read_shape(word);
    if (!shapes.emplace(name, shape).second) throw config_error("--shape gives \"{}\" twice", name);
  }
  return shapes;
}

DiagnosticsError with_shape_remedy(const DiagnosticsError& error, const std::string& action) {
  if (error.code() != ExitCode::kData) return error;
  return DiagnosticsError(error.code(),
                          fmt::format("{}\nTo {} a net without its data sets, give the shapes of the tops of its data "
                                      "layers: --shape data=16,3,227,227",
                                      error.what(), action),
                          error.problems());
}

RunModel trained_net_of(const Arguments& arguments) {
  const std::string& run = arguments.text("run");
  if (!run.empty() && !arguments.text("model").empty())
    throw UsageError("Give --run, or --model and --weights, not both");
  if (run.empty() && arguments.text("model").empty())
    throw UsageError("Need a trained net: --run=FOLDER, or --model=FILE and --weights=FILE");
  RunReport report;
  RunModel files = run.empty() ? RunModel{arguments.text("model"), ""} : find_run_model(run, report);
  if (!arguments.text("weights").empty()) files.weights = arguments.text("weights");
  if (files.weights.empty()) throw UsageError("Need the weights of the net: --weights=FILE");
  return files;
}

ConfiguredNet net_to_look_at(const Arguments& arguments, caffe::Phase phase, const GivenShapes& given) {
  return configure_or_throw(arguments.text("model"), net_state_of(arguments, phase), {arguments.texts("set"), {}},
                            UnfilledInput::kZeros, given);
}

ConfiguredNet net_to_run(const Arguments& arguments, const RunModel& files, UnfilledInput unfilled,
                         const GivenShapes& given) {
  Edits edits{arguments.texts("set"), {}};
  if (unfilled == UnfilledInput::kError) edits.fills = arguments.texts("fill");
  std::vector<NamedWeights> weights;
  if (files.weights != "none") weights.push_back(weights_of_flag(files.weights));
  ConfiguredNet net =
      configure_or_throw(files.model, net_state_of(arguments, caffe::TEST), edits, unfilled, given, weights);
  fetch_weights(files.weights);
  return net;
}

OpenNetOptions open_options_of(const Arguments& arguments, const std::string& weights) {
  OpenNetOptions options;
  options.device_options = device_options_of(arguments);
  options.weights = weights;
  options.matching = weight_matching_of(arguments);
  options.allow_fresh = arguments.get_bool("allow_fresh");
  return options;
}

}  // namespace trainer
