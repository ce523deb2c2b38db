// Converts the images of a folder or list to LMDB or HDF5, and continues an interrupted conversion.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "data/convert/convert.h"
#include "data/convert/converted_images.h"
#include "data/convert/image_target.h"
#include "data/convert/unfinished_target.h"
#include "data/feeds/image_folder.h"
#include "formats/atomic_file.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kBytesPerSave = int64_t{64} << 20;
constexpr size_t kNamedImages = 10;
constexpr int kMostShards = 99999;

std::string extension_of(const std::string& target) { return lower(fs::path(target).extension().string()); }

bool is_hdf5(const ImagesToTarget& request) { return extension_of(request.target) == ".h5"; }

void check_request(const ImagesToTarget& request) {
  const bool hdf5 = is_hdf5(request);
  if (const std::string extension = extension_of(request.target); extension == ".hdf5" || extension == ".hdf")
    throw config_error("{}: the name of an HDF5 file must end in .h5", request.target);
  if (request.shards < 1 || request.shards > kMostShards)
    throw config_error("--shards={}: give a number of files from 1 to {}", request.shards, kMostShards);
  if (request.shards > 1 && !hdf5)
    throw config_error(
        "--shards={}: a Data layer reads one database, of any size. Name a target that ends in .h5 for several files",
        request.shards);
  if (hdf5 && (request.encoded || !request.encode_type.empty()))
    throw config_error("{}: HDF5 files hold pixels: remove --encoded and --encode_type, or name a target without .h5",
                       request.target);
  if (!hdf5 && !request.list.empty())
    throw config_error("--list names HDF5 files, but {} becomes an LMDB database: remove it, or end the target in .h5",
                       request.target);
  if (!hdf5 && request.label_kind != caffe::ImageDataParameter::CLASS)
    throw config_error("{}: a record of a database has one class as its label. Name a target that ends in .h5",
                       request.target);
  if (request.encoded == false && !request.encode_type.empty())
    throw config_error("--encode_type={} with --noencoded: remove one of the two", request.encode_type);
}

ImageForm form_of(const ImagesToTarget& request) {
  ImageForm form;
  form.gray = request.gray;
  form.resize_height = request.resize_height;
  form.resize_width = request.resize_width;
  form.encode_type = request.encode_type;
  form.masks = request.label_kind == caffe::ImageDataParameter::MASK;
  const bool changed = request.gray || request.resize_height > 0;
  if (is_hdf5(request)) {
    form.storage = ImageStorage::kPlanes;
  } else if (request.encoded.value_or(!changed || !request.encode_type.empty())) {
    form.storage = ImageStorage::kExactDatum;
  }
  check_form(form);
  return form;
}

ImageList images_of(const ImagesToTarget& request, const LogLine& note) {
  std::vector<std::string> names;
  if (!request.labels.empty()) names = read_class_names(request.labels);
  if (request.folder) {
    ImageFolderOptions options{std::move(names), request.labels, request.validation_fraction, request.validation};
    return read_image_folder(request.source, options, note);
  }
  ImageList list = read_image_list(request.source, request.root, request.label_kind);
  check_root(list);
  if (!names.empty()) check_class_names(list, names, request.labels);
  list.set_class_names(std::move(names));
  return list;
}

// Identifies all that determines the records.
std::string digest_of(const ImageList& list, const ImagesToTarget& request, const ImageForm& form) {
  TextDigest digest = list.digest();
  digest.add(list.root());
  for (const std::string& name : list.class_names()) digest.add(name);
  digest.add(fmt::format("2 {} {} {} {} {} {} {} {}", static_cast<int>(form.storage), form.gray, form.resize_height,
                         form.resize_width, form.encode_type, form.masks, request.shuffle, request.shards));
  return digest.value();
}

// The path without .h5.
std::string shard_prefix(const std::string& target) { return target.substr(0, target.size() - 3); }

std::string shard_path(const std::string& target, uint64_t shard, uint64_t count) {
  return count == 1 ? target : fmt::format("{}-{:05d}-of-{:05d}.h5", shard_prefix(target), shard, count);
}

// Files of conversions to the same target with another number of shards.
std::vector<std::string> shards_of_others(const std::string& target, const std::vector<MadeFile>& files) {
  std::vector<std::string> found;
  if (files.size() > 1) found.push_back(target);
  std::error_code problem;
  for (fs::directory_iterator entry(fs::path(target).parent_path(), problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string path = entry->path().string();
    uint64_t shard = 0, count = 0;
    if (path.starts_with(shard_prefix(target)) &&
        std::sscanf(path.c_str() + shard_prefix(target).size(), "-%5" SCNu64 "-of-%5" SCNu64, &shard, &count) == 2 &&
        count > 1 && shard < count && count != files.size() && path == shard_path(target, shard, count))
      found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The first images that cannot be read, and their number.
class BadImages {
 public:
  void add(const std::string& place, const std::string& problem) {
    ++count_;
    if (count_ <= kNamedImages) lines_ += fmt::format("\n  {}: {}", place, problem);
  }
  uint64_t count() const { return count_; }
  std::string text() const {
    const std::string rest =
        count_ > kNamedImages
            ? fmt::format("\n  and {} more", format_count(static_cast<int64_t>(count_ - kNamedImages)))
            : "";
    return lines_ + rest;
  }

 private:
  uint64_t count_ = 0;
  std::string lines_;
};

class Conversion {
 public:
  Conversion(const ImagesToTarget& request, const LogLine& note, const LogLine& warn, const ConvertProgress& progress)
      : request_(request),
        note_(note),
        warn_(warn),
        progress_(progress),
        form_(form_of(request)),
        list_(images_of(request, note)),
        order_(image_order(list_.size(), request.shuffle)),
        shards_{order_.size(), static_cast<uint64_t>(request.shards)} {
    if (shards_.count > shards_.images)
      throw config_error("--shards={}: {} has {} images: choose at most as many shards", request.shards, request.source,
                         shards_.images);
    fs::path target = fs::absolute(request.target).lexically_normal();
    if (!target.has_filename()) target = target.parent_path();
    target_ = target.string();
    name_files();
    if (is_hdf5(request)) outdated_ = shards_of_others(target_, files_);
    UnfinishedTarget::Options options{request.resume, request.overwrite, shards_.images,
                                      digest_of(list_, request, form_), outdated_};
    place_.emplace(target_, files_, std::move(options));
    state_ = place_->state();
    if (!list_file_.empty() && !request.overwrite && !state_.complete)
      refuse_existing(list_file_, "choose another name with --list, or replace it with --overwrite");
  }

  ImagesConverted run() {
    if (state_.done > 0 && note_) note_(fmt::format("{}: the conversion continues", place_->content()));
    if (!state_.complete) {
      try {
        convert();
      } catch (const Error& error) {
        throw Error(error.code(), error.what() + kept_text());
      }
    }
    publish();
    return {static_cast<int64_t>(state_.done - state_.skipped), static_cast<int64_t>(state_.skipped)};
  }

 private:
  // Sets the files that the conversion makes.
  void name_files() {
    if (!is_hdf5(request_)) {
      files_ = {{"database", target_}};
      return;
    }
    list_file_ = request_.list.empty() ? target_ + ".txt" : request_.list;
    if (target_.find_first_of(" \t\r\n") != std::string::npos)
      throw config_error("'{}' has a space in it: names in the list of HDF5 files are separated by spaces", target_);
    for (uint64_t shard = 0; shard < shards_.count; ++shard) {
      const std::string path = shard_path(target_, shard, shards_.count);
      files_.push_back({fs::path(path).filename().string(), path});
    }
  }

  std::string kept_text() const {
    return place_->content().empty() ? "" : fmt::format(". {}: --resume continues the conversion", place_->content());
  }

  // Saves the state of what was put.
  void save() {
    target_files_->flush();
    place_->save(state_);
    unsaved_bytes_ = unsaved_images_ = 0;
  }

  void open_target() {
    target_files_ = is_hdf5(request_) ? make_hdf5_target(list_, shards_, *place_)
                                      : make_lmdb_target(list_, place_->path(0), target_, state_);
  }

  void convert() {
    open_target();
    const auto images = convert_in_order(list_, order_, state_.done, form_, request_.workers);
    try {
      for (uint64_t position = state_.done; const ConvertedImage* image = images->next(); ++position) {
        if (progress_) progress_(static_cast<int64_t>(position), static_cast<int64_t>(shards_.images));
        take(*image);
      }
    } catch (const Error&) {
      if (bad_.count() == 0) save();
      throw;
    }
    report_bad();
    finish_shard();
    state_.complete = true;
    place_->save(state_);
  }

  // After an image that cannot be read and is not skipped, the rest is only read.
  void take(const ConvertedImage& image) {
    const bool bad = !image.problem.empty();
    if (bad && !request_.skip_bad_records) {
      if (bad_.count() == 0) save();
      bad_.add(list_.describe(image.index), image.problem);
    }
    if (bad_.count() > 0) return;
    if (state_.done == shards_.begin(state_.shard + 1)) begin_shard();
    if (bad) {
      log_skipped(image);
      ++state_.skipped;
    } else {
      check_shape(image);
      target_files_->put(image, state_);
    }
    ++state_.done;
    unsaved_bytes_ += static_cast<int64_t>(image.bytes.size());
    if (++unsaved_images_ >= request_.images_per_save || unsaved_bytes_ >= kBytesPerSave) save();
  }

  void log_skipped(const ConvertedImage& image) const {
    if (warn_ && state_.skipped <= kNamedImages)
      warn_(state_.skipped < kNamedImages ? fmt::format("{}: skipped: {}", list_.describe(image.index), image.problem)
                                          : std::string("Skipping more images without a line for each"));
  }

  void check_shape(const ConvertedImage& image) {
    if (state_.shape == ItemShape()) state_.shape = image.shape;
    if ((request_.check_size || is_hdf5(request_)) && image.shape != state_.shape)
      throw data_error("{}: it is {}, but the first image is {}: resize them (--resize_height, --resize_width)",
                       list_.describe(image.index), image.shape.text(), state_.shape.text());
  }

  void finish_shard() {
    save();
    target_files_->finish_shard(state_);
  }

  void begin_shard() {
    finish_shard();
    ++state_.shard;
    state_.rows = 0;
  }

  void report_bad() const {
    if (bad_.count() > 0)
      throw data_error("{} of the {} images cannot be read:{}\nCorrect them, or skip them with --skip_bad_records",
                       format_count(static_cast<int64_t>(bad_.count())),
                       format_count(static_cast<int64_t>(shards_.images)), bad_.text());
    if (state_.skipped == shards_.images)
      throw data_error("none of the {} images of {} could be read", format_count(static_cast<int64_t>(shards_.images)),
                       request_.source);
  }

  void publish() {
    place_->publish();
    if (!outdated_.empty() && note_)
      note_(fmt::format("Removed {}, of a conversion with another number of shards", fmt::join(outdated_, ", ")));
    if (!list_file_.empty()) {
      AtomicFile file(list_file_);
      for (const MadeFile& made : files_) file.write((made.path + "\n").data(), made.path.size() + 1);
      file.commit();
    }
    place_->remove();
  }

  const ImagesToTarget& request_;
  const LogLine& note_;
  const LogLine& warn_;
  const ConvertProgress& progress_;
  const ImageForm form_;
  const ImageList list_;
  const std::vector<uint32_t> order_;
  const Shards shards_;
  std::string target_, list_file_;
  std::vector<MadeFile> files_;
  std::vector<std::string> outdated_;  // as UnfinishedTarget::Options
  std::optional<UnfinishedTarget> place_;
  std::unique_ptr<ImageTarget> target_files_;
  ConversionState state_;
  BadImages bad_;
  uint64_t unsaved_images_ = 0;
  int64_t unsaved_bytes_ = 0;
};

}  // namespace

ImagesConverted convert_images_to_target(const ImagesToTarget& request, const LogLine& note, const LogLine& warn,
                                         const ConvertProgress& progress) {
  check_request(request);
  return Conversion(request, note, warn, progress).run();
}

}  // namespace trainer
