// trainer extract_features: computes blobs of a trained net from data and writes them to files.
#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "cli/signals.h"
#include "data/convert/feature_file.h"
#include "report/log.h"
#include "session/evaluate.h"

namespace trainer {
namespace {

constexpr int64_t kMostBatches = 1'000'000'000;

int64_t whole_number(const std::string& text, const char* what, int64_t least) {
  const bool number = !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string::npos;
  const int64_t value = number ? std::stoll(text) : -1;
  if (value < least || value > kMostBatches)
    throw config_error("{} is \"{}\"; it must be a whole number from {} to {}", what, text, least, kMostBatches);
  return value;
}

struct FeatureRequest {
  std::string weights, model;
  std::vector<std::string> blobs, paths;
  int64_t batches = 0;  // 0: the whole data set once
  std::string kind;
  std::optional<int> gpu;  // none: the CPU
};

// The words CPU or GPU, DEVICE_ID.
std::optional<int> gpu_of_words(const std::vector<std::string>& words) {
  const std::string mode = words.empty() ? "CPU" : words[0];
  if (mode != "CPU" && mode != "GPU") throw UsageError(fmt::format("\"{}\" should be CPU or GPU", mode));
  if (mode == "CPU") return std::nullopt;
  return words.size() > 1 ? static_cast<int>(whole_number(words[1], "DEVICE_ID", 0)) : 0;
}

bool is_kind(const std::string& word) { return std::ranges::count(feature_kinds(), word) > 0; }

// Whether the word at `index` is NUM_BATCHES, which may be absent, and not the kind.
bool is_batch_count(const std::vector<std::string>& words, size_t index) {
  if (index >= words.size()) return false;
  return words[index].find_first_not_of("0123456789") == std::string::npos ||
         (index + 1 < words.size() && is_kind(words[index + 1]));
}

// The words WEIGHTS and PROTOTXT come first unless --weights and --model replace them.
FeatureRequest request_of(const Arguments& arguments) {
  constexpr size_t kFiles = 2, kBlobs = 2, kDevice = 2;
  std::vector<std::string> words = arguments.positional();
  const bool flags = arguments.given("model");
  if (flags != arguments.given("weights"))
    throw UsageError(fmt::format("--{} is given without --{}: give both, or WEIGHTS and PROTOTXT as words",
                                 flags ? "model" : "weights", flags ? "weights" : "model"));
  if (flags) words.insert(words.begin(), {arguments.text("weights"), arguments.text("model")});
  const size_t given = arguments.positional().size();
  const bool counted = is_batch_count(words, kFiles + kBlobs);
  const size_t kind = kFiles + kBlobs + (counted ? 1 : 0), before_device = kind + 1;
  if (flags && words.size() > before_device && words[before_device] != "CPU" && words[before_device] != "GPU")
    throw UsageError(
        fmt::format("\"{}\" should be CPU or GPU: --model and --weights replace the words WEIGHTS and "
                    "PROTOTXT, give one or the other",
                    words[before_device]));
  if (words.size() < before_device || words.size() > before_device + kDevice)
    throw UsageError(fmt::format("extract_features takes {} words{}, {} are given",
                                 flags ? "three to six" : "five to eight", flags ? " after --model and --weights" : "",
                                 given));
  FeatureRequest request{words[0], words[1], comma_list(words[2]), comma_list(words[3]), 0, words[kind], std::nullopt};
  request.gpu = gpu_of_words({words.begin() + static_cast<std::ptrdiff_t>(before_device), words.end()});
  if (request.blobs.empty() || request.blobs.size() != request.paths.size())
    throw config_error("{} blobs and {} outputs: give one output for each blob, separated by commas",
                       request.blobs.size(), request.paths.size());
  if (std::set<std::string>(request.paths.begin(), request.paths.end()).size() != request.paths.size())
    throw config_error("each blob needs an output of its own: {}", words[3]);
  if (counted) request.batches = whole_number(words[kFiles + kBlobs], "NUM_BATCHES", 1);
  check_feature_kind(request.kind);
  return request;
}

// Of data that the batches read again from their beginning.
void warn_of_repeats(int64_t batches, const DataLayers& data) {
  const int64_t items = data.records_per_epoch(), read = batches * data.batch_size();
  if (items > 0 && read > items)
    log_warning(fmt::format(
        "The data set has {} items, but {} batches of {} are {}: the last {} repeat its first ones. Without "
        "NUM_BATCHES each item gives one row",
        items, batches, data.batch_size(), read, read - items));
}

int run_extract_features(const Arguments& arguments) {
  const FeatureRequest request = request_of(arguments);
  const std::vector<std::string>& blobs = request.blobs;
  OpenNetOptions options = open_options_of(arguments, request.weights);
  options.keep = blobs;
  options.reading.whole_epochs = request.batches == 0;
  ConfiguredNet configured = net_to_run(arguments, {request.model, request.weights}, UnfilledInput::kError);
  options.device = request.gpu ? gpu_device(*request.gpu) : cpu_device();
  log_info(options.device.spec.kind == DeviceSpec::Kind::kCpu ? "Using CPU" : options.device.use);
  OpenNet open(std::move(configured), options);
  NetSession& net = open.session();
  const std::string mixing = options.reading.whole_epochs ? mixing_warning(net.lowered()) : "";
  if (!mixing.empty()) log_warning(mixing);

  const int64_t batches = options.reading.whole_epochs ? net.data().batches_per_epoch() : request.batches;
  std::vector<std::unique_ptr<FeatureFile>> files;
  for (size_t i = 0; i < blobs.size(); ++i)
    files.push_back(make_feature_file({request.kind, blobs[i], request.paths[i], batches}));
  log_info("Extracting Features");
  const SignalHandlers signals;
  std::vector<float> values;
  for (int64_t batch = 0; batch < batches; ++batch) {
    signals.throw_if_stopped();
    net.run_next(ProgramKind::kForward);
    for (size_t i = 0; i < blobs.size(); ++i) {
      values.resize(static_cast<size_t>(net.kept_shape(i).count()));
      net.read_kept(i, values.data());
      files[i]->append(net.kept_shape(i), values.data());
    }
  }
  for (size_t i = 0; i < blobs.size(); ++i) {
    files[i]->finish();
    log_info(fmt::format("Extracted features of {} query images for feature blob {}", files[i]->rows(), blobs[i]));
  }
  if (!options.reading.whole_epochs) warn_of_repeats(batches, net.data());
  log_info("Successfully extracted the features!");
  return 0;
}

REGISTER_COMMAND(
    extract_features, .name = "extract_features", .summary = "writes blobs of a net, computed from data, to files",
    .usage =
        "extract_features WEIGHTS PROTOTXT BLOB[,BLOB] OUT[,OUT] [NUM_BATCHES] lmdb|leveldb|hdf5|npy [CPU|GPU] "
        "[DEVICE_ID]\n"
        "extract_features --weights=FILE --model=FILE BLOB[,BLOB] OUT[,OUT] [NUM_BATCHES] lmdb|leveldb|hdf5|npy "
        "[CPU|GPU] [DEVICE_ID]",
    .description =
        "Runs the net forward in phase TEST over the whole data set once, or over NUM_BATCHES batches, and writes each "
        "BLOB to its OUT:\n"
        "  lmdb, leveldb  a database of Datum records with float_data, keys 0000000000, 0000000001, ...\n"
        "  hdf5           a file with a dataset of the blob's name, for HDF5Data\n"
        "  npy            a NumPy array\n"
        "A row of the blob is a record. Without NUM_BATCHES, each record of the data set gives its row once, and the "
        "last "
        "batch may be smaller. A blob that layers change in place is written with the values of the last of "
        "them. WEIGHTS is none for a net without learned blobs. Existing files are not overwritten; a call that fails "
        "leaves no files.",
    .flags = {{"model", FlagType::kFile, "", "FILE", "The prototxt file of the net, in place of the word PROTOTXT."},
              {"weights", FlagType::kFile, "", "FILE|NAME", "The weights, in place of the word WEIGHTS."},
              weights_map_flag(),
              weights_match_flag(),
              precision_flag(),
              deterministic_flag(),
              set_flag(),
              fill_flag(),
              allow_fresh_flag(),
              level_flag(),
              stage_flag()},
    .run = run_extract_features, .computes = true);

}  // namespace
}  // namespace trainer
