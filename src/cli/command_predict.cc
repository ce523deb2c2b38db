// trainer predict: what a trained net says about pictures or rows.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "cli/command.h"
#include "cli/fetch_weights.h"
#include "cli/net_flags.h"
#include "cli/prediction_writer.h"
#include "cli/signals.h"
#include "data/data_source.h"
#include "data/feeds/picture_inputs.h"
#include "data/pictures/image_encoder.h"
#include "formats/atomic_file.h"
#include "formats/hdf5_file.h"
#include "report/log.h"
#include "session/deploy_net.h"
#include "session/open_net.h"

namespace trainer {
namespace {

constexpr int64_t kMostMaskClasses = 256;  // of a PNG with 8 bits

// The records to predict: pictures, or the rows of an HDF5 file.
struct Inputs {
  std::shared_ptr<const ImageList> images;  // nullptr for rows
  std::string file;                         // with rows

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

// The size that the records of a database have: pictures get it before transform_param.
ItemShape stored_shape(const caffe::LayerParameter& layer, const Positions& positions) {
  StreamOptions options;
  options.phase = caffe::TEST;
  options.in_order = true;
  Diagnostics problems;
  const std::unique_ptr<BatchFeed> feed = open_feed(layer, options, positions, &problems);
  problems.throw_if_errors();
  const std::unique_ptr<StoredReader> reader = feed->make_stored_reader();
  reader->claim(0, 1);
  const StoredRecord first = reader->read(0);
  return first.file.empty() ? first.pixels.shape : ItemShape{first.pixels.shape.channels, 0, 0};
}

// Turns a data layer of pictures into one that reads the given list, with the same transformation.
void read_pictures(caffe::LayerParameter* layer, const Positions& positions) {
  caffe::ImageDataParameter reading;
  if (layer->type() == "ImageData") {
    reading = layer->image_data_param();
    for (const char* field : {"root_folder", "shuffle", "rand_skip", "label_kind", "mask_ignore", "validation_fraction",
                              "labels", "cache", "sampling", "skip_bad_records"})
      reading.GetReflection()->ClearField(&reading, reading.GetDescriptor()->FindFieldByName(field));
  } else {
    const ItemShape stored = stored_shape(*layer, positions);
    reading.set_batch_size(layer->data_param().batch_size());
    reading.set_is_color(stored.channels != 1);
    reading.set_new_height(static_cast<uint32_t>(stored.height));
    reading.set_new_width(static_cast<uint32_t>(stored.width));
    layer->clear_data_param();
  }
  reading.set_source("the command line");
  layer->set_type("ImageData");
  *layer->mutable_image_data_param() = reading;
  while (layer->top_size() < 2) layer->add_top("(label)");
}

bool is_hdf5(const std::vector<std::string>& words) {
  return words.size() == 1 && std::filesystem::is_regular_file(words[0]) && Hdf5File::has_signature(words[0]);
}

// Gives the data layer the records of the command line.
Inputs feed(const std::vector<std::string>& words, const std::string& data, caffe::NetParameter* net,
            const Positions& positions) {
  if (data.empty())
    throw config_error(
        "the net \"{}\" has no data layer in phase TEST, so it is unknown how pictures are prepared for it: give the "
        "net that was trained, with its data layers: --model=FILE --weights=FILE",
        net->name());
  caffe::LayerParameter& layer = layer_named(net, data);
  Inputs inputs;
  if (layer.type() == "HDF5Data") {
    if (!is_hdf5(words))
      throw data_error("{} reads rows: give one HDF5 file with a dataset for each of {}", subject_of(layer),
                       fmt::join(layer.top(), ", "));
    inputs.file = words[0];
    layer.mutable_hdf5_data_param()->set_source(inputs.file);
    return inputs;
  }
  if (layer.type() != "Data" && layer.type() != "ImageData")
    throw config_error("{}: predictions need a net whose first data layer in phase TEST is ImageData, Data or HDF5Data",
                       subject_of(layer));
  inputs.images = std::make_shared<const ImageList>(read_picture_inputs(words));
  read_pictures(&layer, positions);
  return inputs;
}

// Where predictions go: the standard output, a file, or a folder of masks.
class Target {
 public:
  Target(const Arguments& arguments, PredictionForm form, const Inputs& inputs)
      : form_(std::move(form)), inputs_(inputs), output_(arguments.text("output")) {
    existing_ = arguments.get_bool("overwrite") ? Existing::kReplaced : Existing::kKept;
  }

  void open(const Shape& shape) {
    masks_ = form_.probabilities && shape.rank() == 4 && shape.count(2) > 1;
    if (masks_ && output_.empty())
      throw config_error("the net gives a class for each pixel: name a folder for the masks with --output=FOLDER");
    if (masks_ && shape[1] > kMostMaskClasses)
      throw config_error("a mask holds at most {} classes, but the net has {}", kMostMaskClasses, shape[1]);
    if (masks_) return;
    if (!output_.empty()) file_.emplace(output_, 0, existing_);
    write(prediction_header(form_));
  }

  // The values of one record, of this shape.
  void add(int64_t record, const Shape& shape, std::span<const float> values) {
    if (masks_) return write_mask(inputs_.name_of(record), shape, values);
    write(prediction_lines(form_, inputs_.name_of(record), values));
  }

  void finish() {
    if (file_) file_->commit();
    std::fflush(stdout);
  }

 private:
  void write(const std::string& text) {
    if (file_) {
      file_->write(text.data(), text.size());
    } else if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
      throw data_error("the standard output cannot be written");
    }
  }

  void write_mask(const std::string& name, const Shape& shape, std::span<const float> values) {
    const int64_t classes = shape[1], plane = shape.count(2);
    std::vector<uint8_t> mask(static_cast<size_t>(plane));
    for (int64_t i = 0; i < plane; ++i) {
      int64_t best = 0;
      for (int64_t c = 1; c < classes; ++c) {
        if (values[static_cast<size_t>(c * plane + i)] > values[static_cast<size_t>(best * plane + i)]) best = c;
      }
      mask[static_cast<size_t>(i)] = static_cast<uint8_t>(best);
    }
    PixelView view;
    view.shape = {1, shape[2], shape[3]};
    view.bytes = mask.data();
    view.interleaved = true;
    const std::string png = encode_image(view, "png");
    namespace fs = std::filesystem;
    const fs::path relative = fs::path(name).relative_path().lexically_normal().replace_extension(".png");
    if (relative.begin() != relative.end() && *relative.begin() == "..")
      throw data_error("the mask of {} would be outside the folder {}: give paths without \"..\"", name, output_);
    const fs::path path = output_ / relative;
    fs::create_directories(path.parent_path());
    AtomicFile file(path.string(), static_cast<int64_t>(png.size()), existing_);
    file.write(png.data(), png.size());
    file.commit();
  }

  const PredictionForm form_;
  const Inputs& inputs_;
  const std::string output_;
  Existing existing_ = Existing::kKept;
  std::optional<AtomicFile> file_;
  bool masks_ = false;
};

PredictionFormat format_of(const std::string& name) {
  return name == "json" ? PredictionFormat::kJson : name == "csv" ? PredictionFormat::kCsv : PredictionFormat::kText;
}

// All records once, batch by batch.
void predict(NetSession& net, Target* target) {
  const SignalHandlers signals;
  const int64_t records = net.data().records_per_epoch();
  std::vector<float> values;
  for (int64_t done = 0; done < records;) {
    signals.throw_if_stopped();
    net.run_next(ProgramKind::kForward);
    const Shape shape = net.kept_shape(0);
    values.resize(static_cast<size_t>(shape.count()));
    net.read_kept(0, values.data());
    const int64_t rows = net.data().items();
    if (shape.rank() == 0 || shape[0] != rows)
      throw config_error("the blob to predict has the shape {}: it needs a row for each of the {} records of a batch",
                         shape.text(), rows);
    if (done == 0) target->open(shape);
    const auto each = static_cast<size_t>(shape.count(1));
    for (int64_t row = 0; row < rows; ++row, ++done)
      target->add(done, shape, std::span(values).subspan(static_cast<size_t>(row) * each, each));
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
  if (!arguments.text("output").empty() && !arguments.get_bool("overwrite") &&
      !std::filesystem::is_directory(arguments.text("output")))
    refuse_existing(arguments.text("output"), "choose another name, or replace it with --overwrite");

  std::vector<NamedWeights> weights;
  if (files.weights != "none") weights.push_back(weights_of_flag(files.weights));
  ConfiguredNet configured = configure_or_throw(files.model, net_state_of(arguments, caffe::TEST),
                                                {arguments.texts("set"), {}}, UnfilledInput::kZeros, {}, weights);
  fetch_weights(files.weights);
  caffe::NetParameter* const net = configured.file->net.get();
  const Prediction prediction = remove_labels(net);
  const Inputs inputs = feed(arguments.positional(), prediction.data, net, *configured.net.positions);
  OpenNetOptions options = open_options_of(arguments, files.weights);
  options.device = choose_device(device_request_of(arguments));
  options.reading = {true, inputs.images};
  options.keep = {arguments.text("blob").empty() ? prediction.top : arguments.text("blob")};
  log_info(options.device.use);
  OpenNet open(std::move(configured), options);
  form.probabilities = prediction.probabilities && options.keep[0] == prediction.top;
  form.class_names = open.session().class_names();
  Target target(arguments, std::move(form), inputs);
  predict(open.session(), &target);
  return 0;
}

REGISTER_COMMAND(
    predict, .name = "predict", .summary = "shows what a trained net says about pictures",
    .usage = "predict --run=FOLDER|--model=FILE --weights=FILE INPUT...|- [flags]",
    .description =
        "Runs the net in phase TEST without its labels, losses and metrics over the inputs, prepared as its data layer "
        "says, and shows the classes with the largest probabilities of each. A net without a softmax or sigmoid at its "
        "end shows its values.\n\n"
        "An INPUT is an image file, a folder (with all images below it), a text file that lists images, or - for such "
        "a "
        "list on the standard input. A net that reads HDF5Data takes one HDF5 file.\n\n"
        "If the net gives classes of pixels, --output is a folder: each picture gets a grey PNG of class numbers "
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
            {"output", FlagType::kFile, "", "PATH", "A file for the predictions, or the folder of masks."},
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
