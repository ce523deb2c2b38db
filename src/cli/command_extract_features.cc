// trainer extract_features: what a trained net makes of data, blob by blob.
#include <set>

#include "base/error.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "cli/signals.h"
#include "data/convert/feature_file.h"
#include "report/log.h"

namespace trainer {
namespace {

constexpr size_t kWords = 6;
constexpr int64_t kMostBatches = 1'000'000'000;

int64_t whole_number(const std::string& text, const char* what, int64_t least) {
  const bool number = !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string::npos;
  const int64_t value = number ? std::stoll(text) : -1;
  if (value < least || value > kMostBatches)
    throw config_error("{} is \"{}\"; it must be a whole number from {} to {}", what, text, least, kMostBatches);
  return value;
}

// The CPU or a GPU, from the words behind the six.
ChosenDevice device_of_words(const std::vector<std::string>& words) {
  const std::string mode = words.size() > kWords ? words[kWords] : "CPU";
  if (mode != "CPU" && mode != "GPU") throw UsageError(fmt::format("\"{}\" should be CPU or GPU", mode));
  if (mode == "CPU") return cpu_device();
  return gpu_device(words.size() > kWords + 1 ? static_cast<int>(whole_number(words[kWords + 1], "DEVICE_ID", 0)) : 0);
}

int run_extract_features(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.size() < kWords || words.size() > kWords + 2)
    throw UsageError(fmt::format("extract_features takes six to eight words, {} are given", words.size()));
  const std::string &weights = words[0], &model = words[1], &kind = words[5];
  const std::vector<std::string> blobs = comma_list(words[2]), paths = comma_list(words[3]);
  if (blobs.empty() || blobs.size() != paths.size())
    throw config_error("{} blobs and {} outputs: give one output for each blob, commas between", blobs.size(),
                       paths.size());
  if (std::set<std::string>(paths.begin(), paths.end()).size() != paths.size())
    throw config_error("each blob needs an output of its own: {}", words[3]);
  const int64_t batches = whole_number(words[4], "NUM_BATCHES", 1);
  check_feature_kind(kind);
  const ChosenDevice device = device_of_words(words);

  const ConfiguredNet configured = net_to_run(arguments, model);
  log_info(device.name == "cpu" ? "Using CPU" : device.use);
  DeviceSession device_session(device.name, device_options_of(arguments));
  NetSession net(*configured.net.net, *configured.net.positions, caffe::TEST, 0, device_session);
  if (!net.warnings().empty()) log_warning(net.warnings());
  net.keep_blobs(blobs);
  add_parameters(net.lowered(), 0, false, device_session.store);
  load_trained_weights(arguments, weights, net.lowered(), device_session.store);

  std::vector<std::unique_ptr<FeatureFile>> files;
  for (size_t i = 0; i < blobs.size(); ++i) files.push_back(make_feature_file({kind, blobs[i], paths[i], batches}));
  log_info("Extracting Features");
  const SignalHandlers signals;
  std::vector<float> values;
  for (int64_t batch = 0; batch < batches; ++batch) {
    signals.throw_if_stopped();
    net.run_next(ProgramKind::kForward);
    for (size_t i = 0; i < blobs.size(); ++i) {
      net.read_kept(i, &values);
      files[i]->append(net.kept_shape(i), values.data());
    }
  }
  for (size_t i = 0; i < blobs.size(); ++i) {
    files[i]->finish();
    log_info(fmt::format("Extracted features of {} query images for feature blob {}", files[i]->rows(), blobs[i]));
  }
  const int64_t items = net.data().records_per_epoch(), read = batches * net.data().batch_size();
  if (items > 0 && read > items)
    log_warning(fmt::format(
        "The data set has {} items, but {} batches of {} are {}: the last {} repeat its first ones. A batch_size "
        "that divides {} avoids that",
        items, batches, net.data().batch_size(), read, read - items, items));
  log_info("Successfully extracted the features!");
  return 0;
}

REGISTER_COMMAND(
    extract_features, .name = "extract_features", .summary = "writes blobs of a net, computed from data, to files",
    .usage =
        "extract_features WEIGHTS PROTOTXT BLOB[,BLOB] OUT[,OUT] NUM_BATCHES lmdb|leveldb|hdf5|npy [CPU|GPU] "
        "[DEVICE_ID]",
    .description =
        "Runs the net forward in phase TEST over NUM_BATCHES batches and writes each BLOB to its OUT:\n"
        "  lmdb, leveldb  a database of Datum records with float_data, keys 0000000000, 0000000001, ...\n"
        "  hdf5           a file with a dataset of the blob's name, for HDF5Data\n"
        "  npy            a NumPy array\n"
        "A row of the blob is a record. A blob that layers change in place is written as the last of them "
        "leaves it. "
        "WEIGHTS is none for a net without learned blobs. "
        "Nothing that exists is overwritten; a call that fails leaves nothing behind.",
    .flags = {precision_flag(), deterministic_flag(), set_flag(), fill_flag(), allow_fresh_flag(), level_flag(),
              stage_flag()},
    .run = run_extract_features, .computes = true);

}  // namespace
}  // namespace trainer
