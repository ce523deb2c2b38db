// Where predictions go.
#include "cli/prediction_target.h"

#include <cstdio>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "data/pictures/contact_sheet.h"
#include "data/pictures/image_encoder.h"
#include "data/pictures/item_picture.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostMaskClasses = 256;  // of a PNG with 8 bits
constexpr int64_t kMostShown = 1000;       // in a sheet

bool has_classes_of_pixels(const PredictionForm& form, const Shape& shape) {
  return form.probabilities && shape.rank() == 4 && shape.count(2) > 1;
}

// The class with the largest value at each pixel.
std::vector<float> classes_of_pixels(const PredictedRecord& record) {
  const int64_t classes = record.shape[1], plane = record.shape.count(2);
  std::vector<float> best(static_cast<size_t>(plane));
  for (int64_t i = 0; i < plane; ++i) {
    int64_t largest = 0;
    for (int64_t c = 1; c < classes; ++c) {
      if (record.values[static_cast<size_t>(c * plane + i)] > record.values[static_cast<size_t>(largest * plane + i)])
        largest = c;
    }
    best[static_cast<size_t>(i)] = static_cast<float>(largest);
  }
  return best;
}

class Lines : public PredictionTarget {
 public:
  Lines(const PredictionForm& form, const PredictionOutput& output) : form_(form) {
    if (!output.path.empty()) file_.emplace(output.path, 0, output.existing);
    write(prediction_header(form_));
  }

  void add(const PredictedRecord& record) override { write(prediction_lines(form_, record.name, record.values)); }
  void finish() override {
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

  const PredictionForm form_;
  std::optional<AtomicFile> file_;
};

// A grey PNG of class numbers for each picture.
class Masks : public PredictionTarget {
 public:
  // Throws if two pictures have one mask, or a mask exists already.
  explicit Masks(const PredictionOutput& output) : output_(output) {
    std::map<std::string, std::string> pictures;  // by mask
    for (int64_t record = 0; record < output.records; ++record) {
      const std::string name = output.name_of(record), path = path_of(name);
      const auto [other, fresh] = pictures.emplace(path, name);
      if (!fresh)
        throw config_error("{} and {} have the same mask, {}: predict them one by one", other->second, name, path);
      if (output.existing == Existing::kKept)
        refuse_existing(path, "choose another folder, or replace its masks with --overwrite");
    }
  }

  void add(const PredictedRecord& record) override {
    const std::vector<float> classes = classes_of_pixels(record);
    const std::vector<uint8_t> mask(classes.begin(), classes.end());
    PixelView view;
    view.shape = {1, record.shape[2], record.shape[3]};
    view.bytes = mask.data();
    view.interleaved = true;
    const std::string png = encode_image(view, "png");
    const std::string path = path_of(record.name);
    fs::create_directories(fs::path(path).parent_path());
    write_file(path, png, output_.existing);
  }
  void finish() override {}

 private:
  std::string path_of(const std::string& picture) const {
    const fs::path relative = fs::path(picture).relative_path().lexically_normal().replace_extension(".png");
    if (relative.begin() != relative.end() && *relative.begin() == "..")
      throw data_error("the mask of {} would be outside the folder {}: give paths without \"..\"", picture,
                       output_.path);
    return output_.path / relative;
  }

  const PredictionOutput output_;
};

// The pictures that the net got, each with its class, or with the classes of its pixels in colours.
class Sheet : public PredictionTarget {
 public:
  Sheet(const PredictionForm& form, const PredictionOutput& output) : form_(form), output_(output) {}

  void add(const PredictedRecord& record) override {
    const int64_t height = record.item_shape[2], width = record.item_shape[3];
    if (!sheet_)
      sheet_.emplace(static_cast<int>(output_.records), 1, static_cast<int>(height), static_cast<int>(width));
    ItemPicture picture(record.item_shape, record.item, *output_.colors);
    const bool pixels = has_classes_of_pixels(form_, record.shape);
    if (pixels && record.shape[2] == height && record.shape[3] == width) picture.overlay(classes_of_pixels(record));
    sheet_->place(group_, 0, picture.window());
    sheet_->caption(group_++,
                    pixels ? fs::path(record.name).filename().string() : prediction_caption(form_, record.values));
  }

  void finish() override { write_file(output_.path, sheet_->png(), output_.existing); }

 private:
  const PredictionForm form_;
  const PredictionOutput output_;
  std::optional<ContactSheet> sheet_;
  int group_ = 0;
};

}  // namespace

bool PredictionOutput::needs_items() const { return lower(fs::path(path).extension().string()) == ".png"; }

std::unique_ptr<PredictionTarget> prediction_target(const PredictionForm& form, const PredictionOutput& output,
                                                    const Shape& shape) {
  if (output.needs_items()) {
    if (!output.colors) throw config_error("--output={}: a sheet shows pictures, but the net reads none", output.path);
    if (output.records > kMostShown)
      throw config_error("--output={}: a sheet shows at most {} pictures, and {} are given", output.path, kMostShown,
                         output.records);
    return std::make_unique<Sheet>(form, output);
  }
  if (!has_classes_of_pixels(form, shape)) return std::make_unique<Lines>(form, output);
  if (output.path.empty())
    throw config_error(
        "the net gives a class for each pixel: name a folder for the masks with --output=FOLDER, or a sheet of the "
        "pictures with --output=FILE.png");
  for (const char* ending : {".csv", ".json", ".jsonl", ".txt"}) {
    if (output.path.ends_with(ending))
      throw config_error(
          "--output={}: the net gives a class for each pixel, so it must be a folder for masks, or FILE.png",
          output.path);
  }
  if (shape[1] > kMostMaskClasses)
    throw config_error("a mask holds at most {} classes, but the net has {}", kMostMaskClasses, shape[1]);
  return std::make_unique<Masks>(output);
}

}  // namespace trainer
