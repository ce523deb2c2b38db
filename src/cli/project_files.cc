// Writes the recipe for a data set: data layers with augmentation, the loss, and the solver.
#include "cli/project_files.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/shell_text.h"
#include "base/text.h"
#include "config/prototxt_text.h"

namespace trainer {
namespace {

using caffe::LayerParameter;

constexpr int64_t kManyRecords = 20000, kFewRecords = 2000;

bool pictures(const Project& project) { return !project.content.rows; }
bool changes_pictures(const Project& project) {
  return pictures(project) && (project.content.task != ProjectTask::kRegress || project.size <= 32);
}
bool small(const Project& project) { return project.size <= 64; }

// The name of the last layer: its own if weights of other classes are loaded, so that it starts from its filler.
std::string head_of(const Project& project) {
  if (project.weights.empty()) return "";
  std::string name = std::filesystem::path(project.folder).filename().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return "results_" + name;
}

void normalize(const Project& project, caffe::TransformationParameter* transform) {
  caffe::NormalizeStep& step = *transform->add_augment()->mutable_normalize();
  if (project.content.color) {
    for (const float value : project.preparation.mean) step.add_mean(value);
    for (const float value : project.preparation.deviation) step.add_std(value);
    return;
  }
  // The means of the three colors.
  float mean = 0, deviation = 0;
  for (size_t i = 0; i < 3; ++i) {
    mean += project.preparation.mean[i] / 3;
    deviation += project.preparation.deviation[i] / 3;
  }
  step.add_mean(std::round(mean * 1000) / 1000);
  step.add_std(std::round(deviation * 1000) / 1000);
}

// Adds a step that resizes pictures, with the filter of the published weights.
caffe::ResizeStep& add_resize(const Project& project, caffe::TransformationParameter* transform) {
  caffe::ResizeStep& step = *transform->add_augment()->mutable_resize();
  if (project.preparation.bicubic) step.set_filter(caffe::AugmentStep::BICUBIC);
  return step;
}

// Random changes of training pictures, more for larger data sets.
void augment_training(const Project& project, caffe::TransformationParameter* transform) {
  const auto size = static_cast<uint32_t>(project.size);
  const ProjectTask task = project.content.task;
  if (project.size <= 32 && task != ProjectTask::kSegment) {
    add_resize(project, transform).set_size(size);
    caffe::RandomCropStep& crop = *transform->add_augment()->mutable_random_crop();
    crop.set_size(size);
    crop.set_padding(2);
  } else if (task == ProjectTask::kRegress) {
    add_resize(project, transform).set_size(size);
  } else {
    caffe::RandomResizedCropStep& crop = *transform->add_augment()->mutable_random_resized_crop();
    crop.set_size(size);
    crop.set_scale_min(project.content.records() < kManyRecords || task == ProjectTask::kSegment ? 0.35f : 0.08f);
    if (project.preparation.bicubic) crop.set_filter(caffe::AugmentStep::BICUBIC);
  }
  if (task != ProjectTask::kRegress && project.size > 32) transform->add_augment()->mutable_horizontal_flip();
  if (project.content.color && task != ProjectTask::kRegress) {
    if (project.content.records() >= kFewRecords && task == ProjectTask::kClassify) {
      transform->add_augment()->mutable_trivial_augment();
    } else {
      caffe::ColorJitterStep& jitter = *transform->add_augment()->mutable_color_jitter();
      jitter.set_brightness(0.2f);
      jitter.set_contrast(0.2f);
      jitter.set_saturation(0.2f);
    }
  }
  normalize(project, transform);
  if (task == ProjectTask::kClassify && project.content.records() >= kFewRecords)
    transform->add_augment()->mutable_erase()->set_probability(0.1f);
}

void prepare_test(const Project& project, caffe::TransformationParameter* transform) {
  const auto size = static_cast<uint32_t>(project.size);
  if (small(project) || project.content.task != ProjectTask::kClassify) {
    add_resize(project, transform).set_size(size);
  } else {
    const PicturePreparation& usual = project.preparation;
    add_resize(project, transform)
        .set_short_side(size * static_cast<uint32_t>(usual.resized) / static_cast<uint32_t>(usual.cropped));
    transform->add_augment()->mutable_center_crop()->set_size(size);
  }
  normalize(project, transform);
}

void read_images(const Project& project, bool train, LayerParameter* layer) {
  const ProjectData& data = project.content;
  layer->set_type("ImageData");
  caffe::TransformationParameter& transform = *layer->mutable_transform_param();
  if (data.color && project.preparation.rgb) transform.set_channel_order(caffe::TransformationParameter::RGB);
  if (train) {
    augment_training(project, &transform);
  } else {
    prepare_test(project, &transform);
  }
  caffe::ImageDataParameter& param = *layer->mutable_image_data_param();
  param.set_source(train ? data.train : data.test);
  if (!data.root_folder.empty()) param.set_root_folder(data.root_folder);
  if (data.task == ProjectTask::kRegress) param.set_label_kind(caffe::ImageDataParameter::VALUES);
  if (data.task == ProjectTask::kSegment) param.set_label_kind(caffe::ImageDataParameter::MASK);
  if (data.task == ProjectTask::kClassify) param.set_labels(project.folder + "/labels.txt");
  if (data.validation_fraction > 0) param.set_validation_fraction(static_cast<float>(data.validation_fraction));
  param.set_batch_size(static_cast<uint32_t>(project.batch()));
  if (train) param.set_shuffle(true);
  if (!data.color) param.set_is_color(false);
}

void add_data(const Project& project, bool train, NetBuilder* net) {
  LayerParameter& layer = net->add("data", "", {});
  layer.add_top("label");
  layer.add_include()->set_phase(train ? caffe::TRAIN : caffe::TEST);
  if (pictures(project)) return read_images(project, train, &layer);
  layer.set_type("HDF5Data");
  caffe::HDF5DataParameter& param = *layer.mutable_hdf5_data_param();
  param.set_source(train ? project.content.train : project.content.test);
  param.set_batch_size(static_cast<uint32_t>(project.batch()));
  if (train) param.set_shuffle(true);
}

// Values with at most this number get a scale each; more values share one.
constexpr size_t kMostScales = 16;

// The scale of all values together: the mean, and the deviation from it.
ValueScale common_scale(const std::vector<ValueScale>& scales) {
  const auto count = static_cast<double>(scales.size());
  double mean = 0, square = 0;
  for (const ValueScale& scale : scales) mean += scale.mean / count;
  for (const ValueScale& scale : scales)
    square += (scale.deviation * scale.deviation + (scale.mean - mean) * (scale.mean - mean)) / count;
  return {mean, std::sqrt(square)};
}

// factor * blob + shift, for each value its own pair.
struct Line {
  double factor, shift;
};

void add_line(const std::string& name, const std::string& blob, Line line, NetBuilder* net) {
  caffe::PowerParameter& param = *net->add(name, "Power", {blob}).mutable_power_param();
  param.set_scale(static_cast<float>(line.factor));
  param.set_shift(static_cast<float>(line.shift));
}

void add_lines(const std::string& name, const std::string& blob, const std::vector<Line>& lines, NetBuilder* net) {
  std::vector<std::string> parts;
  LayerParameter& slice = net->add(name + ".slice", "Slice", {blob});
  slice.clear_top();
  slice.mutable_slice_param()->set_axis(1);
  for (size_t i = 0; i < lines.size(); ++i) {
    slice.add_top(fmt::format("{}.{}.in", name, i));
    if (i > 0) slice.mutable_slice_param()->add_slice_point(static_cast<uint32_t>(i));
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    parts.push_back(fmt::format("{}.{}", name, i));
    add_line(parts.back(), parts.back() + ".in", lines[i], net);
  }
  net->concat(name, parts);
}

// The layers from the last learned layer, whose results have mean 0 and deviation 1 for the labels, to values, and the
// loss.
void add_values(const std::vector<ValueScale>& scales, const std::string& last, NetBuilder* net) {
  const auto deviation = [](const ValueScale& scale) { return scale.deviation > 0 ? scale.deviation : 1; };
  if (scales.size() == 1 || scales.size() > kMostScales) {
    const ValueScale scale = common_scale(scales);
    net->comment("The values: those of the last layer times the deviation of the labels, plus their mean");
    add_line("values", last, {deviation(scale), scale.mean}, net);
    net->comment("Half the mean squared distance from the labels; the weight makes it one of deviations");
    net->add("loss", "EuclideanLoss", {"values", "label"})
        .add_loss_weight(static_cast<float>(1 / (deviation(scale) * deviation(scale))));
    return;
  }
  std::vector<Line> to_values, from_labels;
  for (const ValueScale& scale : scales) {
    to_values.push_back({deviation(scale), scale.mean});
    from_labels.push_back({1 / deviation(scale), -scale.mean / deviation(scale)});
  }
  net->comment("The values: those of the last layer times the deviation of each label, plus its mean");
  add_lines("values", last, to_values, net);
  net->comment("Labels with mean 0 and deviation 1");
  add_lines("scaled", "label", from_labels, net);
  net->comment("Half the mean squared distance from them");
  net->add("loss", "EuclideanLoss", {last, "scaled"});
}

void add_losses(const Project& project, const std::string& results, NetBuilder* net) {
  const ProjectTask task = project.content.task;
  const auto ignore = [&](LayerParameter& layer) {
    if (task != ProjectTask::kSegment) return;
    if (layer.type() == "Accuracy") {
      layer.mutable_accuracy_param()->set_ignore_label(255);
    } else {
      layer.mutable_loss_param()->set_ignore_label(255);
    }
  };
  if (task == ProjectTask::kRegress) return add_values(project.content.scales, results, net);
  const bool smooth = task == ProjectTask::kClassify;
  net->comment(smooth ? "The loss, in training with smoothed labels, and the accuracy of tests"
                      : "The loss, and the accuracy of tests");
  LayerParameter& loss = net->add("loss", "SoftmaxWithLoss", {results, "label"});
  ignore(loss);
  if (smooth) {
    loss.add_include()->set_phase(caffe::TRAIN);
    loss.mutable_loss_param()->set_label_smoothing(0.1f);
    net->add("loss", "SoftmaxWithLoss", {results, "label"}).add_include()->set_phase(caffe::TEST);
  }
  LayerParameter& accuracy = net->add("accuracy", "Accuracy", {results, "label"});
  accuracy.add_include()->set_phase(caffe::TEST);
  ignore(accuracy);
}

NetOptions options_of(const Project& project) {
  NetOptions options;
  options.outputs = static_cast<int>(project.content.outputs);
  options.head = head_of(project);
  if (project.content.row.size() == 2) options.steps = static_cast<int>(project.content.row[0]);
  return options;
}

CommentedNet built_net(const Project& project) {
  const ProjectData& data = project.content;
  NetBuilder net(project.kind->title);
  net.comment(changes_pictures(project) ? "Training data, changed at random in each epoch" : "Training data");
  add_data(project, true, &net);
  net.comment("Test data");
  add_data(project, false, &net);
  add_losses(project, project.kind->build(net, options_of(project)), &net);
  CommentedNet built = net.take();
  // Of other data, the data layers know the names.
  if (data.rows || data.task == ProjectTask::kSegment) {
    for (const std::string& name : data.classes) built.net.add_class_names(name);
  }
  return built;
}

// Whether the net has layers that builder.batch_norm adds.
bool has_scales(const Project& project) {
  const CommentedNet built = built_net(project);
  return std::any_of(built.net.layer().begin(), built.net.layer().end(),
                     [](const LayerParameter& layer) { return layer.name().ends_with(".scale"); });
}

std::string count(int64_t number, const char* one, const char* many) {
  return fmt::format("{} {}", format_count(number), number == 1 ? one : many);
}

std::string content_text(const Project& project) {
  const ProjectData& data = project.content;
  const std::string records =
      pictures(project) ? count(data.records(), "picture", "pictures") : count(data.records(), "row", "rows");
  const std::string outputs = data.task == ProjectTask::kRegress ? count(data.outputs, "value", "values")
                                                                 : count(data.outputs, "class", "classes");
  return fmt::format("{} ({} for training, {} for tests), {}", records, format_count(data.train_records),
                     format_count(data.test_records), outputs);
}

}  // namespace

int64_t Project::batch() const {
  const int64_t wanted = content.rows || size <= 32              ? 64
                         : size <= 128                           ? 64
                         : content.task == ProjectTask::kSegment ? 8
                                                                 : 32;
  // Several updates in an epoch.
  return std::clamp<int64_t>(content.train_records / 4, std::min<int64_t>(2, content.train_records), wanted);
}

int64_t Project::epoch_count() const {
  if (epochs > 0) return epochs;
  const int64_t records = content.records();
  if (!weights.empty()) return records < kFewRecords ? 20 : records < kManyRecords ? 15 : 10;
  return records < kFewRecords ? 40 : records < kManyRecords ? 60 : 90;
}

caffe::NetParameter project_core(const Project& project) {
  NetBuilder net(project.kind->title);
  caffe::BlobShape& shape = *net.add("data", "Input", {}).mutable_input_param()->add_shape();
  shape.add_dim(1);
  if (pictures(project)) {
    shape.add_dim(project.content.color ? 3 : 1);
    for (int i = 0; i < 2; ++i) shape.add_dim(project.size);
  }
  for (const int64_t extent : project.content.row) shape.add_dim(extent);
  project.kind->build(net, options_of(project));
  return net.take().net;
}

std::string project_net(const Project& project) {
  const std::string origin = project.kind->origin;
  return fmt::format("# {} for {}: {}.\n", project.kind->title, printable(project.data), content_text(project)) +
         (origin.empty() ? "" : fmt::format("# Layers have the names of {}.\n", origin)) + net_text(built_net(project));
}

std::string project_solver(const Project& project) {
  const int64_t epochs = project.epoch_count();
  const int64_t updates = epochs * std::max<int64_t>(1, project.content.train_records / project.batch());
  const bool tuned = !project.weights.empty();
  const bool values = project.content.task == ProjectTask::kRegress;
  const float rate = project.kind->rate * (tuned ? 0.1f : 1.0f);
  std::string text =
      fmt::format("# Trains net.prototxt, which is next to this file, on {}.\n", printable(project.data));
  text += "net: \"net.prototxt\"\n";
  if (tuned) {
    caffe::SolverParameter weights;
    weights.add_weights(project.weights);
    text +=
        "# Layers of the same names start from these weights; the last layer has another name and starts from "
        "scratch.\n" +
        compact_prototxt(weights);
  }
  text += fmt::format("max_epochs: {}\n", epochs);
  text += "\n# AdamW: the rate rises during the warm-up, then falls along half a cosine wave.\n";
  text += fmt::format("type: \"AdamW\"\nmomentum: 0.9\nbase_lr: {:g}\nlr_policy: \"cosine\"\n", rate);
  text += fmt::format("warmup_epochs: {:g}\n", std::min(5.0, 0.1 * static_cast<double>(epochs)));
  text += "clip_gradients: 1\n";
  text += fmt::format("weight_decay: {:g}\n", 0.05);
  const bool scales = has_scales(project);
  text += fmt::format("# No decay of biases{}.\n", scales ? " and of the scales of BatchNorm" : "");
  text += "param_rule { pattern: \"*/1\" decay_mult: 0 }\n";
  if (scales) text += "param_rule { pattern: \"*.scale\" decay_mult: 0 }\n";
  if (tuned) {
    caffe::SolverParameter faster;
    faster.add_param_rule()->set_pattern(head_of(project));
    faster.mutable_param_rule(0)->set_lr_mult(10);
    text += "# The last layer learns faster than those with weights.\n" + compact_prototxt(faster);
  }
  text += fmt::format("# Tests and predictions use an average of the weights.\nema {{ decay: {:g} test: true }}\n",
                      updates < 5000 ? 0.99 : 0.999);
  text += "\n# A test of all test data after each epoch. The best weights are in net_best.caffemodel.\n";
  text += "test_epochs: 1\ntest_interval_epochs: 1\ntest_initialization: false\n";
  text += values ? "best { metric: \"loss\" mode: MIN }\n" : "best { metric: \"accuracy\" mode: MAX }\n";
  text += fmt::format("early_stop {{ patience: {} }}\n", std::max<int64_t>(10, epochs / 3));
  caffe::SolverParameter prefix;
  prefix.set_snapshot_prefix(project.folder + "/net");
  text += "\ndisplay_epochs: 0.5\naverage_loss: 20\nsnapshot_epochs: 1\nkeep_snapshots: 2\n" + compact_prototxt(prefix);
  text += "# On the CPU, unless the command line has --gpu.\nsolver_mode: CPU\n";
  return text;
}

std::string project_summary(const Project& project) {
  const char* const tasks[] = {"classification", "regression", "segmentation"};
  return fmt::format("{}: {}; {} with {}{}", printable(project.data), content_text(project),
                     tasks[static_cast<int>(project.content.task)], project.kind->title,
                     pictures(project) ? fmt::format(", {0} x {0} pixels", project.size) : "");
}

std::string project_labels(const Project& project) {
  std::string text;
  for (const std::string& name : project.content.classes) text += name + '\n';
  return text;
}

std::string project_readme(const Project& project) {
  const std::string solver = project.folder + "/solver.prototxt";
  std::string text =
      fmt::format("# {} for {}\n\n{}.\n\n", project.kind->title, printable(project.data), content_text(project));
  text += "The commands work in any folder. With an NVIDIA GPU add `--gpu=auto`.\n\n";
  text += fmt::format("Check data, net and solver:\n\n    trainer validate --solver={}\n\n", shell_quoted(solver));
  if (pictures(project))
    text +=
        fmt::format("See the pictures as the net sees them:\n\n    trainer preview --solver={} --output=sheet.png\n\n",
                    shell_quoted(solver));
  text += fmt::format(
      "Train for {}; Ctrl-C stops with a snapshot, and the same command continues from it:\n\n"
      "    trainer train --solver={} --snapshot=auto\n\n",
      count(project.epoch_count(), "epoch", "epochs"), shell_quoted(solver));
  const std::string run = shell_quoted(project.folder);
  text += fmt::format("Test the best weights:\n\n    trainer test --run={}\n\n", run);
  text += fmt::format("Use them:\n\n    trainer predict --run={} {}\n\n", run,
                      project.content.rows                            ? "rows.h5"
                      : project.content.task == ProjectTask::kSegment ? "PICTURES --output=masks"
                                                                      : "PICTURES");
  text += fmt::format("Use them in other programs:\n\n    trainer export --run={} --output={}\n\n", run,
                      shell_quoted(project.folder + "/net.onnx"));
  text += "| file | content |\n| --- | --- |\n";
  text += fmt::format("| net.prototxt | {}, with the data layers and the loss |\n", project.kind->title);
  text += "| solver.prototxt | the recipe: rates, tests, snapshots |\n";
  if (!project.content.classes.empty())
    text += "| labels.txt | the names of the classes, in the order of their numbers |\n";
  for (const ProjectFile& file : project.content.files)
    text += fmt::format("| {} | {}{} |\n", file.name, file.name.ends_with(".h5.txt") ? "the path of the " : "",
                        file.name.starts_with("train") ? "training data" : "test data");
  text += "\nThe training adds:\n\n| file | content |\n| --- | --- |\n";
  text += "| net_best.caffemodel | the weights with the best test result |\n";
  text += "| net_iter_N.* | snapshots after N iterations, to continue from |\n";
  text += "| net_run/ | for each start a folder: log, curves (report.html), metrics, net and solver |\n";
  if (!project.weights.empty())
    text += fmt::format(
        "\nThe training starts from the weights {}. Their license also holds for weights trained from them: {}.\n",
        project.weights, project.licence.empty() ? "ask their publisher, and note it here" : project.licence);
  return text;
}

}  // namespace trainer
