// Reads folders of classes, one class after the other.
#include "data/feeds/image_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "data/pictures/formats/image_format.h"
#include "formats/input_file.h"

namespace trainer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kForm = "a folder of images has a folder for each class, with its images: FOLDER/cats/1.jpg";

bool is_for_validation(const std::string& path, double fraction) {
  const std::array<uint32_t, 8> digest = sha256(path);
  return static_cast<double>(uint64_t{digest[0]} << 32 | digest[1]) * 0x1p-64 < fraction;
}

struct FolderContent {
  std::vector<std::string> folders, images;  // names
};

class FolderReader {
 public:
  FolderReader(const std::string& folder, const ImageFolderOptions& options)
      : folder_(folder), options_(options), list_(folder, folder.ends_with('/') ? folder : folder + "/") {}

  ImageList read(const LogLine& note) {
    const FolderContent content = contents_of("");
    check(content);
    skipped_ += content.images.size();
    if (!content.images.empty()) stray_ = *std::min_element(content.images.begin(), content.images.end());
    std::vector<std::string> classes = content.folders;
    std::sort(classes.begin(), classes.end());
    if (!options_.class_names.empty()) {
      match_names(classes);
      classes = options_.class_names;
    }
    for (size_t i = 0; i < classes.size(); ++i) add_class(classes[i], static_cast<double>(i));
    if (options_.validation_fraction > 0) check_split();
    if (note) note(summary(classes.size()));
    list_.set_class_names(std::move(classes));
    return std::move(list_);
  }

  std::vector<std::string> images() {
    std::vector<std::string> paths;
    collect("", paths);
    for (std::string& path : paths) path.insert(0, list_.root());
    std::sort(paths.begin(), paths.end());
    return paths;
  }

 private:
  // `below` is "" or the path of a folder below the source, with a "/" at its end.
  FolderContent contents_of(const std::string& below) {
    FolderContent content;
    std::error_code problem;
    fs::directory_iterator entry(list_.root() + below, problem);
    for (; !problem && entry != fs::directory_iterator(); entry.increment(problem)) {
      std::string name = entry->path().filename().string();
      std::error_code absent;
      if (name.starts_with('.') || name == "__MACOSX") {
        ++skipped_;
      } else if (entry->is_directory(absent)) {
        content.folders.push_back(std::move(name));
      } else if (is_image_name(name)) {
        content.images.push_back(std::move(name));
      } else {
        ++skipped_;
      }
    }
    if (problem)
      throw data_error("the folder {}{} cannot be read: {}", list_.root(), printable(below), problem.message());
    return content;
  }

  void check(const FolderContent& content) const {
    if (content.folders.empty() && !content.images.empty())
      throw data_error("{} has images, but no folders: {}. If their labels are in a list, name the list", folder_,
                       kForm);
    if (content.folders.empty()) throw data_error("{} has no folders: {}", folder_, kForm);
    for (const std::string& name : content.folders) {
      if (has_control_characters(name) || !is_utf8(name))
        throw data_error("{}: the name of the class \"{}\" {}: rename the folder", folder_, printable(name),
                         is_utf8(name) ? "has control characters" : "is not UTF-8");
    }
  }

  // Throws unless the file names exactly these folders.
  void match_names(const std::vector<std::string>& folders) const {
    const std::vector<std::string>& names = options_.class_names;
    const std::string& file = options_.class_names_file;
    for (const std::string& name : names) {
      if (!std::binary_search(folders.begin(), folders.end(), name))
        throw data_error("{} names the class \"{}\", but {} has no such folder{}", file, printable(name), folder_,
                         suggest(name, folders, "; did you mean \"{}\"?"));
    }
    if (names.size() == folders.size()) return;
    const auto unnamed = std::find_if(folders.begin(), folders.end(), [&](const std::string& folder) {
      return std::find(names.begin(), names.end(), folder) == names.end();
    });
    throw data_error("{} names {} of the {} folders of {}: \"{}\" is missing. Add it, or move the folder", file,
                     names.size(), folders.size(), folder_, *unnamed);
  }

  void add_class(const std::string& name, double label) {
    std::vector<std::string> paths;
    check_loop(name + "/");
    collect(name + "/", paths);
    if (paths.empty())
      throw data_error("the class \"{}\" has no images in {}{}: add images, or remove the folder", name, list_.root(),
                       name);
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      const bool validation = options_.validation_fraction > 0 && is_for_validation(path, options_.validation_fraction);
      ++(validation ? validation_ : training_);
      if (validation == options_.validation || options_.validation_fraction == 0) list_.add(path, {&label, 1});
    }
  }

  void collect(const std::string& below, std::vector<std::string>& paths) {
    const FolderContent content = contents_of(below);
    for (const std::string& image : content.images) paths.push_back(below + image);
    for (const std::string& folder : content.folders) {
      const std::string deeper = below + folder + "/";
      check_loop(deeper);
      collect(deeper, paths);
    }
  }

  // Throws if a folder is one of those above it.
  void check_loop(const std::string& below) const {
    const std::string folder = list_.root() + below;
    for (size_t end = 0; end + 1 < below.size();) {
      const std::string above = list_.root() + below.substr(0, end);
      std::error_code unknown;
      if (fs::equivalent(above, folder, unknown))
        throw data_error("{} is a link to {}, in which it is: remove the link", printable(folder), printable(above));
      end = below.find('/', end) + 1;
    }
  }

  void check_split() const {
    if (training_ > 0 && validation_ > 0) return;
    throw data_error(
        "validation_fraction: {:g} leaves no image of {} in {} for {}: choose a {} fraction, or add images",
        options_.validation_fraction, training_ + validation_, folder_, training_ == 0 ? "training" : "validation",
        training_ == 0 ? "smaller" : "larger");
  }

  std::string summary(size_t classes) const {
    const auto count = [](uint64_t number) { return format_count(static_cast<int64_t>(number)); };
    std::string text =
        fmt::format("{}: {} classes, {} images", folder_, count(classes), count(training_ + validation_));
    if (options_.validation_fraction > 0)
      text += fmt::format(" ({} for training, {} for validation)", count(training_), count(validation_));
    if (skipped_ > 0) text += fmt::format("; other files, skipped: {}", count(skipped_));
    if (!stray_.empty())
      text += fmt::format(", with the image {}, which is in no folder of a class", printable(stray_));
    return text;
  }

  const std::string& folder_;
  const ImageFolderOptions& options_;
  ImageList list_;
  uint64_t training_ = 0, validation_ = 0, skipped_ = 0;
  std::string stray_;  // an image beside the folders of classes, the first by name; "" if there is none
};

}  // namespace

std::vector<std::string> images_below(const std::string& folder) {
  const ImageFolderOptions all{};
  return FolderReader(folder, all).images();
}

ImageList read_image_folder(const std::string& folder, const ImageFolderOptions& options, const LogLine& note) {
  return FolderReader(folder, options).read(note);
}

std::vector<std::string> read_class_names(const std::string& file) {
  const InputFile input(file, "file of class names");
  if (input.size() > 0 && !input.looks_like_text())
    throw data_error("{} is not a text file: it has the name of a class in each line", file);
  std::ifstream in(file, std::ios::binary);
  skip_byte_order_mark(in);
  std::vector<std::string> names;
  std::map<std::string, size_t> lines;
  size_t empty = 0;  // the first empty line
  std::string text;
  for (size_t line = 1; std::getline(in, text); ++line) {
    const std::string name = trim(text);
    if (name.empty()) {
      if (empty == 0) empty = line;
      continue;
    }
    if (empty > 0)
      throw data_error("{}:{}: the line is empty: it must have the name of class {}", file, empty, names.size());
    if (const auto [same, first] = lines.emplace(name, line); !first)
      throw data_error("{}:{}: the class \"{}\" is in line {}, too: keep one", file, line, printable(name),
                       same->second);
    if (!is_utf8(name))
      throw data_error("{}:{}: the name \"{}\" is not UTF-8: save the file as UTF-8", file, line, printable(name));
    names.push_back(name);
  }
  if (names.empty()) throw data_error("{} is empty: it has the name of a class in each line", file);
  return names;
}

}  // namespace trainer
