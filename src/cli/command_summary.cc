// trainer summary: shows the layers, memory and plan of a net without running it, or the schedule of a solver.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "base/text.h"
#include "cli/caffe_table.h"
#include "cli/command.h"
#include "cli/iteration_cost.h"
#include "cli/net_flags.h"
#include "cli/net_plan.h"
#include "cli/scaling.h"
#include "cli/schedule_view.h"
#include "config/diagnostics.h"
#include "gpus/choose_gpu.h"
#include "ops/cost.h"
#include "report/log.h"
#include "session/parameters.h"

namespace trainer {
namespace {

std::string fit(const std::string& text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 3) + "...";
}

// The multiply-adds of the forward pass for each layer.
std::vector<double> forward_multiply_adds(const LoweredNet& net) {
  std::vector<double> sums(net.layers.size(), 0.0);
  for (const Op& op : net.graph->ops) {
    const int layer = op.shares.front().layer;
    if (layer >= 0 && op.pass() == Pass::kForward)
      sums[static_cast<size_t>(layer)] += cost_of(*net.graph, op).multiply_adds;
  }
  return sums;
}

void print_layers(const LoweredNet& net) {
  const std::vector<double> work = forward_multiply_adds(net);
  std::printf("%-24s %-18s %-28s %14s %18s\n", "layer", "type", "tops", "parameters", "multiply-adds");
  int64_t parameters = 0;
  double total = 0;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const LoweredLayer& layer = net.layers[i];
    int64_t count = 0;
    for (int index : layer.parameters) {
      const ParameterInfo& parameter = net.parameters[static_cast<size_t>(index)];
      count += parameter.shape.count();
      if (parameter.owner && !parameter.statistic) parameters += parameter.shape.count();
    }
    total += work[i];
    const std::string shape = layer.tops.empty() ? "" : layer.tops.front().value.shape().text();
    std::printf("%-24s %-18s %-28s %14s %18s\n", fit(layer.param->name(), 24).c_str(),
                fit(layer.param->type(), 18).c_str(),
                fit(layer.tops.empty() ? "" : layer.tops.front().name + " " + shape, 28).c_str(),
                count == 0 ? "" : format_count(count).c_str(),
                work[i] == 0 ? "" : format_count(static_cast<int64_t>(work[i])).c_str());
    for (size_t top = 1; top < layer.tops.size(); ++top)
      std::printf("%-24s %-18s %s\n", "", "",
                  (layer.tops[top].name + " " + layer.tops[top].value.shape().text()).c_str());
  }
  std::printf("%zu layers, %s learned parameters, %s multiply-adds forward\n", net.layers.size(),
              format_count(parameters).c_str(), format_count(static_cast<int64_t>(total)).c_str());
}

std::string layer_names(const LoweredNet& net, const Op& op) {
  std::string text;
  for (const LayerShare& share : op.shares) {
    const std::string name = share.layer < 0 ? "-" : net.layers[static_cast<size_t>(share.layer)].param->name();
    if (text.find(name) == std::string::npos) text += (text.empty() ? "" : "+") + name;
  }
  return text;
}

std::string place_text(const Program& program, int value) {
  const PlannedValue& planned = program.values[static_cast<size_t>(value)];
  std::string text = fmt::format("%{}[{}]", value, planned.desc.shape.text());
  if (planned.desc.dtype != DType::kF32) text += fmt::format(":{}", name_of(planned.desc.dtype));
  if (planned.desc.order == MemoryFormat::kChannelsLast) text += "/cl";
  switch (planned.placement.kind) {
    case Placement::kArena: return text + fmt::format("@{}", planned.placement.offset);
    case Placement::kState: return text + "@" + program.states[static_cast<size_t>(planned.placement.index)];
    case Placement::kSource: return text + "@" + program.sources[static_cast<size_t>(planned.placement.index)].name;
  }
  return text;
}

std::string op_text(const Op& op) {
  if (op.kind == OpKind::kMap) return "map " + op.as<MapBody>().text();
  std::string text = name_of(op.kind);
  if (op.kind == OpKind::kConvolution && op.as<ConvolutionAttributes>().epilogue.relu) text += "+relu";
  if (op.kind == OpKind::kMatmul && op.as<MatmulAttributes>().epilogue.relu) text += "+relu";
  return text;
}

// Whether an op reorders an activation, not weights or their gradient.
bool is_permute(const Program& program, const Op& op) {
  const auto is_state = [&program](int value) {
    return program.values[static_cast<size_t>(value)].placement.kind == Placement::kState;
  };
  return op.kind == OpKind::kReorder && !is_state(op.inputs[0]) && !is_state(op.outputs[0]);
}

void print_plan(const LoweredNet& net, const Program& program, bool training) {
  std::printf("\nPlan of the %s pass: %zu steps, arena %s\n", training ? "forward-backward" : "forward",
              program.steps.size(), format_bytes(program.arena_bytes()).c_str());
  int reorders = 0, fused = 0;
  double total_work = 0, reference_work = 0;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const char* pass = step.op.pass() == Pass::kForward ? "f" : step.op.pass() == Pass::kBackward ? "b" : "u";
    reorders += step.op.kind == OpKind::kReshape || is_permute(program, step.op);
    fused += step.op.shares.size() > 1;
    total_work += step.operations;
    if (step.implementation == "reference") reference_work += step.operations;
    std::printf("%4zu %s %-10s %-28s %s\n", i, pass, step.implementation.c_str(),
                fit(layer_names(net, step.op), 28).c_str(), fit(op_text(step.op), 160).c_str());
    std::string operands = "in";
    for (int input : step.op.inputs) operands += " " + place_text(program, input);
    operands += "  out";
    for (int output : step.op.outputs) operands += " " + place_text(program, output);
    const int64_t launches = step.kernel->cost().launches;
    std::printf("       %s  %.3g GFLOP %.3g MB%s\n", operands.c_str(), step.operations * 1e-9, bytes_of(step) * 1e-6,
                launches == 1 ? "" : fmt::format(" {} launches", launches).c_str());
    for (const Refusal& refusal : step.refused)
      std::printf("       not %s: %s\n", refusal.implementation.c_str(), refusal.reason.c_str());
  }
  std::printf("%d fused steps, %d permutes; %.1f%% of the operations run by reference implementations\n", fused,
              reorders, total_work > 0 ? 100 * reference_work / total_work : 0);
}

// Opens a session of the net. If only its data sets are missing, adds the remedy of this command to the error.
std::unique_ptr<NetSession> open_net(const ConfiguredNet& configured, caffe::Phase phase, DeviceSession& device_session,
                                     GivenShapes shapes) {
  try {
    return std::make_unique<NetSession>(*configured.net.net, *configured.net.positions, phase, 1, device_session,
                                        std::move(shapes));
  } catch (const DiagnosticsError& error) {
    throw with_shape_remedy(error, "show");
  }
}

// Planning reads the properties of a GPU but does not take its lock.
DeviceSpec device_to_plan_for(const std::string& gpu) {
  if (gpu.empty()) return DeviceSpec().planned();
  if (std::isalpha(static_cast<unsigned char>(gpu.front())) != 0 && gpu != "auto" && gpu != "all")
    return {DeviceSpec::Kind::kCuda, 0, gpu, true};
  const GpuRequest request = parse_gpu_request(gpu);
  if (request.numbers.size() != 1)
    throw config_error("--gpu={}: a plan is for one GPU; write its number, a name (h200) or an architecture (sm_90)",
                       gpu);
  check_gpus(request);
  return DeviceSpec::cuda(request.numbers.front()).planned();
}

// Runs some iterations on this machine and predicts those of more.
void show_scaling(const Arguments& arguments, const ConfiguredNet& configured, GivenShapes shapes) {
  const int64_t world = arguments.given("world") ? arguments.integer("world") : 1;
  if (world < 1 || world > 1 << 20) throw config_error("--world={}: not a number of devices", world);
  const Network network = parse_network(arguments.text("network"));
  const ChosenDevice device = choose_device(DeviceRequest::of(arguments.text("gpu")));
  DeviceSession device_session(device.spec, device_options_of(arguments));
  const std::unique_ptr<NetSession> net = open_net(configured, caffe::TRAIN, device_session, std::move(shapes));
  add_parameters(net->lowered(), 1, true, device_session.store);
  UpdateRule update(default_solver(), trained_parameters(net->lowered()), device_session);
  device_session.limit_memory(memory_of(arguments), net->data().batch_bytes());
  const MeasuredPass measured = measure_pass(*net, device_session, update, caffe::SolverParameter::FP32);
  std::fputs(scaling_table(measured, static_cast<int>(world), network, net->batch_size()).c_str(), stdout);
}

int run_summary(const Arguments& arguments) {
  const bool schedule = !arguments.text("solver").empty();
  if (schedule == !arguments.text("model").empty())
    throw UsageError("Give a net or a solver: --model=FILE or --solver=FILE");
  if (!schedule && arguments.given("output"))
    throw UsageError("--output belongs to --solver: it is a picture of the schedule");
  if (schedule) {
    show_schedule(arguments);
    return 0;
  }
  const bool training = arguments.text("phase") == "TRAIN";
  const caffe::Phase phase = training ? caffe::TRAIN : caffe::TEST;
  GivenShapes shapes = given_shapes(arguments);
  const ConfiguredNet configured = net_to_look_at(arguments, phase, shapes);
  if (arguments.given("world") || arguments.given("network")) {
    if (!training) throw config_error("--world and --network are about training: leave out --phase=TEST");
    show_scaling(arguments, configured, std::move(shapes));
    return 0;
  }
  DeviceSession device_session(device_to_plan_for(arguments.text("gpu")), device_options_of(arguments));
  const std::unique_ptr<NetSession> session = open_net(configured, phase, device_session, std::move(shapes));
  NetSession& net = *session;
  if (!net.warnings().empty()) log_warning(net.warnings());
  if (arguments.get_bool("caffe")) {
    if (arguments.get_bool("plan")) throw config_error("--caffe and --plan are two views: give one of them");
    std::fputs(caffe_table(net.lowered()).c_str(), stdout);
    return 0;
  }
  print_layers(net.lowered());
  const NetPlan plan(net, device_session, training, memory_of(arguments));
  const Program& program = *plan.program;
  std::printf("planned memory: %s (activations %s, parameters%s %s, data buffers %s)\n",
              format_bytes(program.arena_bytes() + device_session.store.bytes() + net.data().batch_bytes()).c_str(),
              format_bytes(program.arena_bytes()).c_str(), training ? ", gradients and history of SGD" : "",
              format_bytes(device_session.store.bytes()).c_str(), format_bytes(net.data().batch_bytes()).c_str());
  const std::string repeated = repeated_text(program);
  if (!repeated.empty()) std::printf("%s\n", repeated.c_str());
  if (!arguments.get_bool("plan")) return 0;
  print_plan(net.lowered(), program, training);
  if (device_session.device->is_host()) return 0;
  IterationCost cost(device_session.device->data_sheet());
  cost.add(program);
  if (plan.update) cost.add(plan.update->program());
  std::printf("%s\n", cost.text().c_str());
  return 0;
}

REGISTER_COMMAND(
    summary, .name = "summary", .summary = "shows a net's layers, shapes, parameters, work and memory, or a schedule",
    .usage =
        "summary --model=FILE [--phase=TRAIN|TEST] [--shape=TOP=DIMS] [--gpu=ID|h200|sm_90] "
        "[--precision=bf16|...] [--memory=SIZE] [--plan | --caffe]\n"
        "summary --model=FILE --world=N [--network=RATE] [--gpu=ID]\n"
        "summary --solver=FILE [--output=FILE.svg]",
    .description =
        "Checks and compiles the net without running it. --plan shows each step: the layers fused into it, "
        "its implementation and why faster ones are refused, the memory of its values (%value[shape]/cl for "
        "channels-last @offset), operations and bytes. For a GPU the last line is the cost of an iteration: "
        "launches (kernels, copies and library calls), bytes, operations, and the least time for these by "
        "the GPU's data sheet, each step at full memory bandwidth or at the peak rate of its precision. The "
        "cost includes all steps and, in phase TRAIN, the update of time --update (SGD with momentum), but "
        "not the copies of batches to the GPU and of the loss to the host.\n"
        "\n"
        "--caffe shows the net that Caffe builds, including Split layers, one item per line, with columns "
        "separated by tabs (in names a tab is \\t, a line end \\n, a backslash \\\\):\n"
        "  layer  NAME  TYPE  BOTTOM...\n"
        "  top    LAYER  TYPE  TOP  DIMS   (64,20,24,24; nothing for a scalar)\n"
        "  blob   LAYER  INDEX  DIMS       learned blobs and statistics, shared ones with each layer\n"
        "\n"
        "--world predicts the training of N processes with a device like this one each, and of up to 1,024: it "
        "measures "
        "some iterations here, and sums the times of the exchanges that the backward pass does not hide.\n"
        "\n"
        "--solver draws the schedule of the solver: the learning rate of each iteration, and momentum and weight decay "
        "if they change. Epochs are those of a training on one device.",
    .flags =
        {
            {"model", FlagType::kFile, "", "FILE", "The prototxt file of the net."},
            {"solver", FlagType::kFile, "", "FILE", "The solver whose schedule is shown, in place of a net."},
            {"output", FlagType::kFile, "", "FILE", "The SVG file for the picture of the schedule."},
            {"overwrite", FlagType::kBool, "false", "", "Replace the file if it exists."},
            {"world", FlagType::kInteger, "", "N", "Predict the training of N devices, by measuring one."},
            {"network", FlagType::kText, "10G", "RATE",
             "The rate of the network for --world, in bits per second: 10G, 100G, 800M."},
            {"phase", FlagType::kChoice, "TRAIN", "TRAIN|TEST", "The phase of the net."},
            {"plan", FlagType::kBool, "false", "", "Show the steps of the compiled program."},
            {"caffe", FlagType::kBool, "false", "", "Show the layers, tops and blobs that Caffe builds, for scripts."},
            shape_flag(),
            {"gpu", FlagType::kText, "", "ID|h200|sm_90",
             "Plan for this NVIDIA GPU, or for a GPU that need not exist, by its name or architecture; any "
             "other word lists the known ones."},
            precision_flag(),
            deterministic_flag(),
            memory_flag(),
            set_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_summary, .computes = true, .flags_only = true);

}  // namespace
}  // namespace trainer
