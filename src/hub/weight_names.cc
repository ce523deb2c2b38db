// Finds the files of names.
#include "hub/weight_names.h"

#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "base/cache_folder.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/input_file.h"
#include "formats/manifest.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

// The ending of the address, such as ".pth"; "" if there is none of this form.
std::string ending_of(const std::string& url) {
  constexpr size_t kLongest = 12;
  const std::string path = url.substr(0, url.find_first_of("?#"));
  const std::string ending = fs::path(path).extension().string();
  return ending.size() > 1 && ending.size() <= kLongest && is_published_name(ending.substr(1)) ? ending : "";
}

caffe::PictureInput picture_input_of(const hub::Preprocessing& published) {
  caffe::PictureInput input;
  caffe::TransformationParameter& transform = *input.mutable_transform_param();
  if (published.channel_order() == hub::Preprocessing::RGB)
    transform.set_channel_order(caffe::TransformationParameter::RGB);
  if (published.has_short_side()) {
    caffe::ResizeStep& resize = *transform.add_augment()->mutable_resize();
    resize.set_short_side(published.short_side());
    if (published.filter() == hub::Preprocessing::BICUBIC) resize.set_filter(caffe::AugmentStep::BICUBIC);
  }
  if (published.has_crop_size()) transform.add_augment()->mutable_center_crop()->set_size(published.crop_size());
  caffe::NormalizeStep& normalize = *transform.add_augment()->mutable_normalize();
  for (const double value : published.mean()) normalize.add_mean(static_cast<float>(value));
  for (const double value : published.std()) normalize.add_std(static_cast<float>(value));
  return input;
}

// "did you mean the published weights A?", for a value that is not a file; "" if no name is similar.
std::string similar_names(const std::string& value) {
  if (!is_published_name(value) || is_file(value)) return "";
  if (const std::vector<std::string> of_net = published_names_of(value); !of_net.empty())
    return fmt::format("published weights of this net: {}", fmt::join(of_net, ", "));
  std::vector<std::string> names;
  for (const hub::Weights& weights : published_weights()) names.push_back(weights.name());
  return suggest(value, names, "did you mean the published weights {}?");
}

void rename_tensors(const hub::Weights& weights, WeightFile* file) {
  if (file->tensors == nullptr || weights.rename().empty()) return;
  auto renamed = std::make_shared<TensorFile>(*file->tensors);
  for (StoredTensor& tensor : renamed->tensors) {
    for (const hub::Rename& rename : weights.rename()) {
      const size_t at = tensor.name.find(rename.from());
      if (at != std::string::npos) tensor.name.replace(at, rename.from().size(), rename.to());
    }
  }
  file->tensors = std::move(renamed);
}

}  // namespace

std::vector<std::string> published_names_of(const std::string& net) {
  std::vector<std::string> names;
  for (const hub::Weights& weights : published_weights()) {
    if (weights.net() == net || weights.name().starts_with(net + ".")) names.push_back(weights.name());
  }
  return names;
}

std::optional<hub::Weights> find_published(const std::string& value) {
  if (!is_published_name(value) || is_file(value)) return std::nullopt;
  for (const hub::Weights& weights : published_weights()) {
    if (weights.name() == value) return weights;
  }
  return std::nullopt;
}

void require_weights(const std::string& value) {
  if (find_published(value)) return;
  try {
    const InputFile opened(value, "weight file");
  } catch (const Error& error) {
    const std::string hint = similar_names(value);
    if (hint.empty()) throw;
    throw data_error("{}; {}", error.what(), hint);
  }
}

std::string cached_path(const hub::Weights& weights) {
  const std::string cache = user_cache_folder();
  if (cache.empty())
    throw config_error("there is no folder for downloaded weights: set TRAINER_CACHE, XDG_CACHE_HOME or HOME");
  return cache + "/weights/" + weights.name() + ending_of(weights.url());
}

bool is_cached(const hub::Weights& weights) { return is_file(cached_path(weights)); }

std::string missing_weights(const std::string& value) {
  const std::optional<hub::Weights> weights = find_published(value);
  if (!weights || is_cached(*weights)) return "";
  return fmt::format("the weights {} are not in the cache and were not checked; a training downloads them from {}",
                     value, weights->url());
}

void fetch_named(const std::string& value, const FetchOptions& options) {
  const std::optional<hub::Weights> weights = find_published(value);
  if (!weights || is_cached(*weights)) return;
  static const CurlLibrary curl;
  fetch(*weights, cached_path(*weights), curl, options);
}

WeightFile read_weights_of(const std::string& value) {
  require_weights(value);
  const std::optional<hub::Weights> weights = find_published(value);
  const std::string path = weights ? cached_path(*weights) : value;
  const std::string problem = weights ? checksum_problem(path, *weights) : "";
  if (!problem.empty())
    throw data_error("{}, the file of {}: {}. Remove the file: the next command downloads it again", path, value,
                     problem);
  check_listed(path);
  WeightFile file = read_weights(path);
  if (weights) rename_tensors(*weights, &file);
  if (weights && weights->has_preprocessing() && file.notes.picture_input == nullptr)
    file.notes.picture_input = std::make_shared<caffe::PictureInput>(picture_input_of(weights->preprocessing()));
  return file;
}

}  // namespace trainer
