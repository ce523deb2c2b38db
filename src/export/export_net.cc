// Exports a trained net and checks the files.
#include "export/export_net.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/error.h"
#include "config/prototxt_text.h"
#include "data/data_source.h"
#include "export/array_net.h"
#include "export/deploy_pair.h"
#include "export/onnx_evaluator.h"
#include "export/preprocessing.h"
#include "export/sequence_marks.h"
#include "export/to_onnx.h"
#include "formats/weight_tensors.h"
#include "layers/layer.h"
#include "report/log.h"
#include "session/deploy_net.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;
using caffe::LayerParameter;

constexpr double kLargestDifference = 1e-3;
constexpr const char* kUnverified = ".unverified";

bool is_read(const caffe::NetParameter& net, const std::string& blob) {
  return std::any_of(net.layer().begin(), net.layer().end(), [&](const LayerParameter& layer) {
    return std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
  });
}

// Turns a data layer into an Input layer for the tops that other layers read.
void become_input(LayerParameter* layer, const caffe::NetParameter& net,
                  const std::function<Shape(const std::string& top, int index)>& shape_of) {
  LayerParameter input;
  input.set_name(layer->name());
  input.set_type("Input");
  for (int i = 0; i < layer->top_size(); ++i) {
    if (!is_read(net, layer->top(i))) continue;
    input.add_top(layer->top(i));
    const Shape shape = shape_of(layer->top(i), i);
    caffe::BlobShape* dims = input.mutable_input_param()->add_shape();
    for (const int64_t dim : shape.dims()) dims->add_dim(dim);
  }
  *layer = std::move(input);
}

// Data layers need no data set if the shapes of all tops that are read are given. Input layers take given shapes too.
void use_given_shapes(caffe::NetParameter* net, GivenShapes* given) {
  const caffe::NetParameter whole = *net;
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (find_data_source(layer.type()) == nullptr && layer.type() != "Input") continue;
    const bool known = std::all_of(layer.top().begin(), layer.top().end(), [&](const std::string& top) {
      return given->count(top) > 0 || !is_read(whole, top);
    });
    if (!known) continue;
    const std::vector<std::string> tops(layer.top().begin(), layer.top().end());
    become_input(&layer, whole, [&](const std::string& top, int) { return given->at(top); });
    for (const std::string& top : tops) given->erase(top);
  }
  auto* layers = net->mutable_layer();
  for (int i = layers->size() - 1; i >= 0; --i) {
    if (layers->Get(i).type() == "Input" && layers->Get(i).top_size() == 0) layers->DeleteSubrange(i, 1);
  }
}

void use_shapes_of_data(const LoweredNet& lowered, const caffe::NetParameter& message, ExportedNet* net) {
  for (size_t i = 0; i < net->layers.size(); ++i) {
    LayerParameter& param = net->layers[i].param;
    if (find_data_source(param.type()) != nullptr || param.type() == "Input")
      become_input(&param, message, [&](const std::string&, int index) {
        return lowered.layers[i].tops[static_cast<size_t>(index)].value.shape();
      });
  }
  std::erase_if(net->layers, [](const ExportedLayer& layer) {
    return layer.param.type() == "Input" && layer.param.top_size() == 0;
  });
}

bool has_recurrence(const ExportedNet& net) {
  return std::any_of(net.layers.begin(), net.layers.end(),
                     [](const ExportedLayer& layer) { return is_recurrent(layer.param); });
}

// Lowers the net for these shapes of its inputs; nullptr if they do not fit the net or its blobs. After a Reshape that
// states the batch, for example, another batch needs weights of other shapes.
// `message` is the net, and outlives the result.
std::unique_ptr<LoweredNet> lower_with_blobs(const ExportedNet& net, const caffe::NetParameter& message,
                                             const GivenShapes& shapes) {
  std::unique_ptr<LoweredNet> lowered = try_to_lower(message, shapes);
  if (lowered == nullptr) return nullptr;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const std::vector<int>& parameters = lowered->layers[i].parameters;
    for (size_t blob = 0; blob < net.layers[i].blobs.size(); ++blob) {
      const Shape& shape = lowered->parameters[static_cast<size_t>(parameters[blob])].shape;
      if (shape.count() != net.layers[i].blobs[blob].shape.count()) return nullptr;
    }
  }
  return lowered;
}

// The shapes of the inputs that files are checked with: one item, unless a layer computes several steps or needs a
// batch of one size.
GivenShapes shapes_to_check(const ExportedNet& net) {
  const caffe::NetParameter message = net.message();
  const GivenShapes single = input_shapes(message, 1);
  return has_recurrence(net) || lower_with_blobs(net, message, single) == nullptr ? input_shapes(message, 0) : single;
}

GivenShapes larger_batch(GivenShapes shapes) {
  for (auto& [name, shape] : shapes) {
    if (shape.rank() > 0) ++shape[0];
  }
  return shapes;
}

// Inputs of a net and the outputs that it computes from them.
struct Sample {
  NamedArrays inputs, outputs;
};

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

void require_finite_weights(const ExportedNet& net, const std::string& weights) {
  for (const ExportedLayer& layer : net.layers) {
    for (size_t i = 0; i < layer.blobs.size(); ++i) {
      if (!all_finite(layer.blobs[i].data))
        throw data_error(
            "{}: blob {} of {} has values that are infinite or not numbers: export the weights of an earlier snapshot",
            weights.empty() ? "the net" : weights, i, subject_of(layer.param));
    }
  }
}

// A blob that has values that are not finite; "" if there is none.
std::string blob_without_numbers(const NamedArrays& outputs) {
  for (const auto& [name, array] : outputs) {
    if (!all_finite(array.values)) return name;
  }
  return "";
}

Error not_finite(const std::string& path, const std::string& blob) {
  return Error(ExitCode::kInternal,
               fmt::format("{}{} is not checked: the net computes values of the blob \"{}\" that are infinite or not "
                           "numbers from random inputs. Are these the weights of a trained net?",
                           path, kUnverified, blob));
}

Error not_equal(const std::string& path, double difference) {
  return Error(ExitCode::kInternal,
               fmt::format("{}{} does not compute the outputs of the net: on random inputs they differ by {:.2g} of "
                           "the largest value (allowed: {})",
                           path, kUnverified, difference, kLargestDifference));
}

void log_check(const std::string& path, double difference) {
  log_info(
      fmt::format("{} computes the outputs of the net on random inputs; the largest difference is {:.2g} of the "
                  "largest value",
                  path, difference));
}

// Files that are written, checked and renamed together. `write` fills them; `difference` reads them back.
struct ExportedFiles {
  std::vector<std::string> paths;
  std::function<void(const std::vector<AtomicFile*>&)> write;
  std::function<double(const std::vector<std::string>&)> difference;  // of the files at these paths
  std::string unchecked;  // a blob of the net without finite values; "" if there is none

  void commit(Existing existing) const {
    std::vector<std::unique_ptr<AtomicFile>> owned;
    std::vector<AtomicFile*> files;
    for (const std::string& path : paths) {
      owned.push_back(std::make_unique<AtomicFile>(path, 0, existing));
      files.push_back(owned.back().get());
    }
    write(files);
    std::vector<std::string> written;
    for (AtomicFile* file : files) {
      file->finish();
      written.push_back(file->temporary_path());
    }
    const double found = difference(written);
    const bool verified = unchecked.empty() && found <= kLargestDifference;
    for (AtomicFile* file : files) {
      if (!verified) file->redirect(file->path() + kUnverified);
    }
    AtomicFile::commit_together(files);
    if (!unchecked.empty()) throw not_finite(paths[0], unchecked);
    if (!verified) throw not_equal(paths[0], found);
    log_check(paths[0], found);
  }
};

// The pixels that become the input after preprocessing, in place of a random input.
void use_pixels(const Preprocessing& preprocessing, NamedArrays* raw, NamedArrays* prepared) {
  NamedArray& pixels = raw->at(preprocessing.blob);
  for (float& value : pixels.values) value = std::round((value + 1) * 127.5f);
  const int64_t channels = pixels.shape[1], plane = pixels.shape.count(2), item = pixels.shape.count(1);
  const auto at = [&](const std::vector<float>& values, int64_t i, float fallback) {
    if (values.empty()) return fallback;
    const auto count = static_cast<int64_t>(values.size());
    return values[static_cast<size_t>(count == 1 ? 0 : count == channels ? i / plane % channels : i % item)];
  };
  std::vector<float>& values = prepared->at(preprocessing.blob).values;
  for (int64_t i = 0; i < pixels.shape.count(); ++i)
    values[static_cast<size_t>(i)] =
        (pixels.values[static_cast<size_t>(i)] - at(preprocessing.mean, i, 0)) * at(preprocessing.factor, i, 1);
}

std::vector<std::string> names_of(const NamedArrays& arrays) {
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(name);
  return names;
}

double onnx_difference(const OnnxModel& model, const Sample& sample) {
  std::map<std::string, OnnxArray> inputs;
  for (const OnnxValue& input : model.inputs) {
    const NamedArray& array = sample.inputs.at(input.name);
    inputs[input.name] = {array.shape, array.values, {}, false};
  }
  NamedArrays outputs;
  for (auto& [name, array] : evaluate_onnx(model, std::move(inputs), names_of(sample.outputs)))
    outputs[name] = {array.shape, std::move(array.floats)};
  return largest_difference(sample.outputs, outputs);
}

// `weights` is a weight file.
double difference_with_weights(const caffe::NetParameter& net, const std::string& weights, const GivenShapes& shapes,
                               const Sample& sample) {
  ArrayNet read(net_without_values(net), shapes);
  read.load(weights);
  return largest_difference(sample.outputs, read.run(sample.inputs));
}

// A net without data layers: its only Input layer, if it takes pictures, as a data layer with the transform_param that
// the net or its weights note. Otherwise a layer without tops.
LayerParameter noted_data(const ExportedNet& net) {
  LayerParameter data;
  if (net.notes.picture_input == nullptr) return data;
  for (const ExportedLayer& layer : net.layers) {
    if (layer.param.type() != "Input") continue;
    const caffe::InputParameter& input = layer.param.input_param();
    const bool pictures = layer.param.top_size() == 1 && input.shape(0).dim_size() == 4;
    if (data.top_size() > 0 || !pictures) return {};
    data = layer.param;
    *data.mutable_transform_param() = net.notes.picture_input->transform_param();
  }
  return data;
}

// How the user of the model prepares pictures, as far as the model does not.
void add_preparation(const LayerParameter& data, const WeightNotes& notes, bool preprocessing, OnnxModel* model) {
  if (data.has_transform_param()) {
    const caffe::TransformationParameter& param = data.transform_param();
    model->metadata.emplace_back("transform_param",
                                 prototxt_text(preprocessing ? without_preprocessing(param) : param));
  }
  if (notes.picture_input == nullptr) return;
  for (const auto& [name, extent] : {std::pair{"new_height", notes.picture_input->new_height()},
                                     std::pair{"new_width", notes.picture_input->new_width()}}) {
    if (extent > 0) model->metadata.emplace_back(name, std::to_string(extent));
  }
}

class Exporter {
 public:
  Exporter(ConfiguredNet net, const ExportOptions& options)
      : options_(options), existing_(options.overwrite ? Existing::kReplaced : Existing::kKept) {
    caffe::NetParameter* const message = net.file->net.get();
    const Prediction prediction = remove_labels(message);
    for (const LayerParameter& layer : message->layer()) {
      if (layer.name() == prediction.data) data_ = layer;
    }
    OpenNetOptions open;
    open.shapes = options.shapes;
    use_given_shapes(message, &open.shapes);
    open.device = cpu_device();
    open.weights = options.weights;
    open.matching = options.matching;
    open.allow_fresh = options.allow_fresh;
    const OpenNet opened(std::move(net), open);
    net_ = exported_net(opened.session().lowered(), opened.store());
    require_finite_weights(net_, options.weights);
    net_.notes = opened.session().notes();
    use_shapes_of_data(opened.session().lowered(), opened.message(), &net_);
    if (data_.top_size() == 0) data_ = noted_data(net_);
  }

  void run() {
    switch (export_format(options_.output)) {
      case ExportFormat::kOnnx: return write_onnx_file();
      case ExportFormat::kTensors: return write_tensor_file();
      case ExportFormat::kDeployPair: return write_pair();
    }
  }

 private:
  // The net as it is written.
  ExportedNet folded() const {
    ExportedNet net = net_;
    if (!options_.keep_bn) fold_channel_factors(&net);
    return net;
  }

  Sample sample(const GivenShapes& shapes, const std::optional<Preprocessing>& preprocessing = std::nullopt) const {
    ArrayNet reference(net_, shapes);
    Sample sample{reference.random_inputs(), {}};
    NamedArrays prepared = sample.inputs;
    if (preprocessing) use_pixels(*preprocessing, &sample.inputs, &prepared);
    sample.outputs = reference.run(prepared);
    return sample;
  }

  void write_onnx_file() const {
    const GivenShapes shapes = shapes_to_check(net_);
    const ExportedNet net = folded();
    const caffe::NetParameter message = net.message();
    const std::unique_ptr<LoweredNet> lowered = lower_with_blobs(net, message, shapes),
                                      other = lower_with_blobs(net, message, larger_batch(shapes));
    TRAINER_ASSERT(lowered != nullptr);
    if (other == nullptr) log_info("The net computes batches of one size only: the model has a fixed batch");
    std::optional<Preprocessing> preprocessing;
    if (options_.preprocessing) {
      if (shapes.count(data_.top_size() > 0 ? data_.top(0) : "") == 0)
        throw config_error(
            "--with_preprocessing: the net \"{}\" has no data layer in phase TEST, and neither it nor its weights have "
            "picture_input for one Input layer of 4 axes: add picture_input {{ transform_param {{ ... }} }} to the net",
            net.name);
      preprocessing = preprocessing_of(data_, shapes.at(data_.top(0)));
    }
    const std::vector<std::string> marks = computed_marks(net, shapes);
    OnnxModel model = to_onnx(net, *lowered, other.get(), options_.opset, preprocessing, marks);
    add_preparation(data_, net_.notes, preprocessing.has_value(), &model);
    const Sample expected = sample(shapes, preprocessing);
    ExportedFiles files;
    files.unchecked = blob_without_numbers(expected.outputs);
    files.paths = {options_.output};
    if (needs_data_file(model, options_.largest_model)) files.paths.push_back(options_.output + ".data");
    const std::string data_name = fs::path(options_.output + ".data").filename();
    files.write = [&](const std::vector<AtomicFile*>& out) {
      write_onnx(model, *out[0], out.size() > 1 ? out[1] : nullptr, data_name);
    };
    files.difference = [&](const std::vector<std::string>& paths) {
      return onnx_difference(read_onnx(paths[0], paths.back()), expected);
    };
    files.commit(existing_);
    if (preprocessing)
      log_info(
          fmt::format("The input \"{}\" takes {}: the model subtracts the mean and scales; resizing and cropping "
                      "are not part of it",
                      preprocessing->blob, preprocessing->pixels));
    for (const std::string& mark : input_marks(net))
      log_info(
          fmt::format("The model lacks the input \"{}\": recurrent layers start each run with states of zero", mark));
    for (const std::string& mark : marks)
      log_info(fmt::format("The model lacks \"{}\": recurrent layers start each run with states of zero", mark));
  }

  // Learned blobs as tensors "LAYER/BLOB".
  void write_tensor_file() const {
    NamedTensors named;
    named.notes = net_.notes;
    for (const ExportedLayer& layer : net_.layers) {
      for (size_t i = 0; i < layer.blobs.size(); ++i) {
        const WeightBlob& blob = layer.blobs[i];
        named.tensors.push_back({fmt::format("{}/{}", layer.param.name(), i), blob.shape, ElementType::kF32,
                                 [&blob](float* out) { std::copy(blob.data.begin(), blob.data.end(), out); }});
      }
    }
    if (named.tensors.empty())
      throw config_error("the net \"{}\" has no learned blobs: {} would be empty", net_.name, options_.output);
    const GivenShapes shapes = shapes_to_check(net_);
    const Sample expected = sample(shapes);
    ExportedFiles files;
    files.unchecked = blob_without_numbers(expected.outputs);
    files.paths = {options_.output};
    files.write = [&](const std::vector<AtomicFile*>& out) { write_tensors(*out[0], named); };
    files.difference = [&](const std::vector<std::string>& paths) {
      return difference_with_weights(net_.message(), paths[0], shapes, expected);
    };
    files.commit(existing_);
  }

  void write_pair() const {
    ExportedNet net = folded();
    const GivenShapes shapes = shapes_to_check(net_);
    const Sample expected = sample(shapes);
    use_caffe_types(&net, *try_to_lower(net.message(), shapes));
    const std::vector<std::string> unknown = layers_unknown_to_caffe(net);
    if (!unknown.empty())
      log_warning(
          fmt::format("Caffe has no layers of these types, forks of it may have them: {}", fmt::join(unknown, ", ")));
    const std::vector<std::string> down = layers_that_round_down(net);
    if (!down.empty())
      log_warning(
          fmt::format("OpenCV reads the pair, Caffe does not: these layers have ceil_mode: false. For Caffe, write "
                      "round_mode: FLOOR in its place in deploy.prototxt: {}",
                      fmt::join(down, ", ")));
    const bool made = fs::create_directories(options_.output);
    ExportedFiles files;
    files.unchecked = blob_without_numbers(expected.outputs);
    for (const char* name : {"deploy.prototxt", "weights.caffemodel"}) files.paths.push_back(options_.output + name);
    files.write = [&](const std::vector<AtomicFile*>& out) { write_deploy_pair(net, *out[0], *out[1]); };
    files.difference = [&](const std::vector<std::string>& paths) {
      const ConfiguredNet read = configure_or_throw(paths[0], {}, {}, UnfilledInput::kArrays);
      return difference_with_weights(*read.net.net, paths[1], shapes, expected);
    };
    try {
      files.commit(existing_);
    } catch (...) {
      std::error_code ignored;
      if (made) fs::remove(options_.output, ignored);  // unless files stay in it
      throw;
    }
  }

  const ExportOptions& options_;
  const Existing existing_;
  LayerParameter data_;
  ExportedNet net_;
};

}  // namespace

ExportFormat export_format(const std::string& path) {
  if (path.ends_with("/") || fs::is_directory(path)) return ExportFormat::kDeployPair;
  if (path.ends_with(".onnx")) return ExportFormat::kOnnx;
  if (path.ends_with(".safetensors") || path.ends_with(".npz")) return ExportFormat::kTensors;
  throw config_error(
      "--output={}: the ending decides what is written: FILE.onnx, FILE.safetensors, FILE.npz, or FOLDER/ for a pair "
      "of "
      "prototxt and weights",
      path);
}

void export_net(ConfiguredNet net, const ExportOptions& options) { Exporter(std::move(net), options).run(); }

}  // namespace trainer
