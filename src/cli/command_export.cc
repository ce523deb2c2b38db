// trainer export: writes a trained net for other programs.
#include "cli/command.h"
#include "cli/net_flags.h"
#include "export/export_net.h"
#include "formats/atomic_file.h"
#include "report/log.h"

namespace trainer {
namespace {

// Refuses existing files before anything is computed.
void check_target(const ExportOptions& options) {
  const char* const remedy = "choose another name, or replace it with --overwrite";
  if (export_format(options.output) != ExportFormat::kDeployPair) {
    if (!options.overwrite) refuse_existing(options.output, remedy);
    return;
  }
  for (const char* name : {"deploy.prototxt", "weights.caffemodel"}) {
    if (!options.overwrite) refuse_existing(options.output + name, remedy);
  }
}

int run_export(const Arguments& arguments) {
  ExportOptions options;
  const RunModel files = trained_net_of(arguments);
  options.weights = files.weights;
  options.output = arguments.text("output");
  if (options.output.empty())
    throw UsageError("Need a target: --output=FILE.onnx, FILE.safetensors, FILE.npz or FOLDER/");
  const ExportFormat format = export_format(options.output);
  if (format == ExportFormat::kDeployPair && !options.output.ends_with("/")) options.output += "/";
  options.opset = arguments.integer("opset");
  if (options.opset < kLeastOpset || options.opset > kLargestOpset)
    throw config_error("--opset is {}; it must be from {} to {}", options.opset, kLeastOpset, kLargestOpset);
  if (arguments.given("opset") && format != ExportFormat::kOnnx)
    throw config_error("--opset is for FILE.onnx: other formats have no operators");
  options.keep_bn = arguments.get_bool("keep_bn");
  options.preprocessing = arguments.get_bool("with_preprocessing");
  if (options.preprocessing && format != ExportFormat::kOnnx)
    throw config_error("--with_preprocessing is for FILE.onnx: other formats have no place for it");
  options.overwrite = arguments.get_bool("overwrite");
  options.matching = weight_matching_of(arguments);
  options.allow_fresh = arguments.get_bool("allow_fresh");
  options.shapes = given_shapes(arguments);
  check_target(options);
  if (options.weights == "none" && options.allow_fresh) options.weights.clear();
  ConfiguredNet net = net_to_run(arguments, files, UnfilledInput::kZeros, options.shapes);
  try {
    export_net(std::move(net), options);
  } catch (const DiagnosticsError& error) {
    throw with_shape_remedy(error, "export");
  }
  return 0;
}

REGISTER_COMMAND(
    export, .name = "export", .summary = "writes a trained net for other programs",
    .usage =
        "export --run=FOLDER|--model=FILE --weights=FILE --output=FILE.onnx|FILE.safetensors|FILE.npz|FOLDER/ [flags]",
    .description =
        "Writes the net in phase TEST without its labels, losses and metrics. The ending of --output selects the "
        "format:\n"
        "  FILE.onnx         an ONNX model with a symbolic batch\n"
        "  FILE.safetensors  the learned blobs as tensors, named LAYER/0, LAYER/1, ...\n"
        "  FILE.npz          the same as NumPy arrays\n"
        "  FOLDER/           deploy.prototxt and weights.caffemodel, for Caffe and OpenCV\n\n"
        "In ONNX models and folders BatchNorm, Scale and Bias are part of the weights of the layer before them. Every "
        "file is read back and computes the outputs of the net from random inputs. If they differ, the "
        "exit code is 1, and the file stays as NAME.unverified.",
    .flags =
        {
            run_flag(),
            model_flag(),
            weights_flag(),
            weights_map_flag(),
            weights_match_flag(),
            {"output", FlagType::kFile, "", "PATH", "The file or folder to write."},
            {"opset", FlagType::kInteger, "13", "N", "The version of ONNX's operators, 13 to 17."},
            {"keep_bn", FlagType::kBool, "false", "", "Keep BatchNorm, Scale and Bias as separate layers."},
            {"with_preprocessing", FlagType::kBool, "false", "",
             "Let the ONNX model subtract the mean and scale as the first data layer does; its input is pixels of 0 "
             "to 255."},
            {"overwrite", FlagType::kBool, "false", "", "Replace existing files."},
            shape_flag(),
            set_flag(),
            allow_fresh_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_export, .computes = true, .flags_only = true);

}  // namespace
}  // namespace trainer
