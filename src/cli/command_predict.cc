// trainer predict: the predictions of a trained net for pictures or rows.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "cli/prediction_target.h"
#include "cli/signals.h"
#include "data/data_source.h"
#include "data/feeds/picture_inputs.h"
#include "data/picture_input.h"
#include "formats/hdf5_file.h"
#include "hub/weight_names.h"
#include "report/log.h"
#include "session/deploy_net.h"
#include "session/open_net.h"

namespace trainer {
namespace {

// The records to predict: pictures, or the rows of an HDF5 file.
struct Inputs {
  std::shared_ptr<const ImageList> images;  // nullptr for rows
  std::string file;                         // with rows
  std::string items;                        // the blob of the first top
  bool keep_size = false;                   // pictures are neither resized nor cropped

  std::string name_of(int64_t record) const {
    return images ? std::string(images->path(static_cast<uint64_t>(record))) : fmt::format("{}", record);
  }
};

caffe::LayerParameter& layer_named(caffe::NetParameter* net, const std::string& name) {
  for (caffe::LayerParameter& layer : *net->mutable_layer()) {
    if (layer.name() == name) return layer;
  }
  TRAINER_ASSERT(false);
}

// How a Data or ImageData layer prepares pictures.
std::optional<caffe::PictureInput> preparation_of(const caffe::LayerParameter& layer, const Positions& positions) {
  if (layer.type() != "Data") return picture_input_of(layer, {});
  StreamOptions options;
  options.phase = caffe::TEST;
  options.in_order = true;
  Diagnostics problems;
  const std::unique_ptr<BatchFeed> feed = open_feed(layer, options, positions, &problems);
  problems.throw_if_errors();
  return picture_input_of(layer, stored_shape(*feed));
}

// The layer that takes pictures in a net without data layers: its only Input layer, with one top of 4 axes.
caffe::LayerParameter* input_layer(caffe::NetParameter* net) {
  caffe::LayerParameter* found = nullptr;
  for (caffe::LayerParameter& layer : *net->mutable_layer()) {
    if (layer.type() != "Input") continue;
    const bool pictures =
        layer.top_size() == 1 && layer.input_param().shape_size() == 1 && layer.input_param().shape(0).dim_size() == 4;
    if (found != nullptr || !pictures) return nullptr;
    found = &layer;
  }
  return found;
}

// Lets the Input layer read pictures, prepared as the net or its weights say. Returns its top.
std::string feed_input(const std::string& weights, caffe::NetParameter* net) {
  std::shared_ptr<const caffe::PictureInput> input = std::make_shared<caffe::PictureInput>(net->picture_input());
  if (!net->has_picture_input()) input = weights == "none" ? nullptr : read_weights_of(weights).notes.picture_input;
  caffe::LayerParameter* const layer = input_layer(net);
  if (layer == nullptr || input == nullptr)
    throw config_error(
        "the net \"{}\" has no data layer in phase TEST, so it is unknown how pictures are prepared for it: give the "
        "net that was trained, with its data layers: --model=FILE --weights=FILE{}",
        net->name(), layer == nullptr ? "" : "; or add picture_input { ... } to the net (trainer help PictureInput)");
  const caffe::BlobShape wanted = layer->input_param().shape(0);
  const ItemShape shape = item_shape(*input);
  const int64_t given[] = {shape.channels, shape.height, shape.width};
  for (int axis = 1; axis < 4; ++axis) {
    if (given[axis - 1] != 0 && given[axis - 1] != wanted.dim(axis))
      throw config_error("{} takes pictures of {}x{}x{}, but pictures are prepared to be {} (picture_input of {})",
                         subject_of(*layer), wanted.dim(1), wanted.dim(2), wanted.dim(3), shape.text(),
                         net->has_picture_input() ? "the net" : weights);
  }
  read_pictures(*input, static_cast<uint32_t>(wanted.dim(0)), layer);
  return layer->top(0);
}

bool is_hdf5(const std::vector<std::string>& words) {
  return words.size() == 1 && std::filesystem::is_regular_file(words[0]) && Hdf5File::has_signature(words[0]);
}

// Gives the data layer the records of the command line.
Inputs feed(const std::vector<std::string>& words, const std::string& data, const std::string& weights,
            caffe::NetParameter* net, const Positions& positions) {
  Inputs inputs;
  if (data.empty()) {
    inputs.items = feed_input(weights, net);
    inputs.images = std::make_shared<const ImageList>(read_picture_inputs(words));
    return inputs;
  }
  caffe::LayerParameter& layer = layer_named(net, data);
  inputs.items = layer.top(0);
  if (layer.type() == "HDF5Data") {
    if (!is_hdf5(words))
      throw data_error(
          "{} reads rows: give one HDF5 file with a dataset for each of {}. `trainer convert hdf5 {}=TABLE.csv "
          "rows.h5` "
          "makes one of a table, with its columns in the order of the training data",
          subject_of(layer), fmt::join(layer.top(), ", "), layer.top(0));
    inputs.file = words[0];
    layer.mutable_hdf5_data_param()->set_source(inputs.file);
    return inputs;
  }
  const std::optional<caffe::PictureInput> input = preparation_of(layer, positions);
  if (!input)
    throw config_error("{}: predictions need a net whose first data layer in phase TEST is ImageData, Data or HDF5Data",
                       subject_of(layer));
  inputs.images = std::make_shared<const ImageList>(read_picture_inputs(words));
  const uint32_t batch =
      layer.type() == "Data" ? layer.data_param().batch_size() : layer.image_data_param().batch_size();
  inputs.keep_size = item_shape(*input).height == 0;
  read_pictures(*input, batch, &layer);
  return inputs;
}

PredictionFormat format_of(const std::string& name) {
  return name == "json" ? PredictionFormat::kJson : name == "csv" ? PredictionFormat::kCsv : PredictionFormat::kText;
}

// A blob of the current batch, which must have a row for each record.
struct Rows {
  Shape shape;
  std::vector<float> values;

  void read(const NetSession& net, size_t blob) {
    shape = net.kept_shape(blob);
    values.resize(static_cast<size_t>(shape.count()));
    net.read_kept(blob, values.data());
    if (shape.rank() == 0 || shape[0] != net.data().items())
      throw config_error("the blob to predict has the shape {}: it needs a row for each of the {} records of a batch",
                         shape.text(), net.data().items());
  }
  std::span<const float> row(int64_t i) const {
    const auto each = static_cast<size_t>(shape.count(1));
    return std::span(values).subspan(static_cast<size_t>(i) * each, each);
  }
};

// All records once, batch by batch. The net keeps the blob to predict and, if the output needs them, the items.
void predict(const Inputs& inputs, const PredictionForm& form, const PredictionOutput& output, NetSession& net) {
  const SignalHandlers signals;
  std::unique_ptr<PredictionTarget> target;
  Rows predicted, items;
  for (int64_t done = 0; done < output.records;) {
    signals.throw_if_stopped();
    net.run_next(ProgramKind::kForward);
    predicted.read(net, 0);
    if (output.needs_items()) items.read(net, 1);
    if (target == nullptr) target = prediction_target(form, output, predicted.shape);
    for (int64_t row = 0; row < net.data().items(); ++row, ++done) {
      PredictedRecord record{inputs.name_of(done), predicted.shape, predicted.row(row), {}, {}};
      if (output.needs_items()) record.item_shape = items.shape, record.item = items.row(row);
      target->add(record);
    }
  }
  target->finish();
}

int run_predict(const Arguments& arguments) {
  const RunModel files = trained_net_of(arguments);
  if (arguments.positional().empty())
    throw UsageError("Need pictures: files, folders, lists, or - for a list on the standard input");
  PredictionForm form;
  form.format = format_of(arguments.text("format"));
  form.top_k = arguments.integer("top_k");
  if (form.top_k < 1) throw config_error("--top_k is {}; it must be at least 1", form.top_k);
  PredictionOutput output;
  output.path = arguments.text("output");
  if (arguments.get_bool("overwrite")) output.existing = Existing::kReplaced;
  if (!output.path.empty() && output.existing == Existing::kKept && !std::filesystem::is_directory(output.path))
    refuse_existing(output.path, "choose another name, or replace it with --overwrite");

  ConfiguredNet configured = net_to_run(arguments, files, UnfilledInput::kZeros);
  caffe::NetParameter* const net = configured.file->net.get();
  const Prediction prediction = remove_labels(net);
  const Inputs inputs = feed(arguments.positional(), prediction.data, files.weights, net, *configured.net.positions);
  OpenNetOptions options = open_options_of(arguments, files.weights);
  options.device = choose_device(device_request_of(arguments));
  options.reading = {true, inputs.images};
  options.keep = {arguments.text("blob").empty() ? prediction.top : arguments.text("blob")};
  if (output.needs_items()) options.keep.push_back(inputs.items);
  log_info(options.device.use);
  std::optional<OpenNet> opened;
  try {
    opened.emplace(std::move(configured), options);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kData || !inputs.keep_size) throw;
    throw data_error(
        "{}\nPictures keep their own size in this net. If theirs is not that of the training, add a resize to the data "
        "layer (trainer help AugmentStep)",
        error.what());
  }
  OpenNet& open = *opened;
  form.probabilities = prediction.probabilities && options.keep[0] == prediction.top;
  form.class_names = open.session().class_names();
  output.records = open.session().data().records_per_epoch();
  output.name_of = [&](int64_t record) { return inputs.name_of(record); };
  output.colors = open.session().data().colors();
  predict(inputs, form, output, open.session());
  return 0;
}

REGISTER_COMMAND(
    predict, .name = "predict", .summary = "runs a trained net on images and shows its predictions",
    .usage = "predict --run=FOLDER|--model=FILE --weights=FILE INPUT...|- [flags]",
    .description =
        "Runs the net in phase TEST without its labels, losses and metrics over the inputs, prepared as its data layer "
        "says, and shows the classes with the largest probabilities of each. A net without a softmax or sigmoid at its "
        "end shows its values.\n\n"
        "An INPUT is an image file, a folder (with all images below it), a text file that lists images, or - for such "
        "a "
        "list on the standard input. A net that reads HDF5Data takes one HDF5 file.\n\n"
        "If the net gives classes of pixels, --output is a folder: each picture gets a gray PNG of class numbers "
        "there.",
    .flags =
        {
            run_flag(),
            model_flag(),
            weights_flag(),
            weights_map_flag(),
            weights_match_flag(),
            {"top_k", FlagType::kInteger, "5", "N", "The number of classes to show for each picture."},
            {"format", FlagType::kChoice, "text", "text|json|csv",
             "Lines for people, a JSON object in each line, or CSV with a header."},
            {"blob", FlagType::kText, "", "NAME", "The blob to show instead, with its values."},
            {"output", FlagType::kFile, "", "PATH",
             "A file for the predictions, the folder of masks, or FILE.png: a sheet of the pictures with their "
             "classes."},
            {"overwrite", FlagType::kBool, "false", "", "Replace an existing file."},
            gpu_flag(),
            cpu_flag(),
            precision_flag(),
            deterministic_flag(),
            set_flag(),
            allow_fresh_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_predict, .computes = true);

}  // namespace
}  // namespace trainer
