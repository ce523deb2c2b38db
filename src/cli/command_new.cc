// trainer new: writes a net and a solver for a data set.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/shell_text.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/project_files.h"
#include "cli/project_weights.h"
#include "formats/atomic_file.h"
#include "hub/weight_names.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSmallPictures = 40, kLargeDataSet = 20000;

std::vector<std::string> net_names() {
  std::vector<std::string> names;
  for (const NetKind& kind : net_kinds()) names.emplace_back(kind.name);
  return names;
}

NetTask net_task(const ProjectData& data) {
  if (data.rows) return data.row.size() == 2 ? NetTask::kSequences : NetTask::kRows;
  return data.task == ProjectTask::kSegment ? NetTask::kPixels : NetTask::kPictures;
}

std::string default_net(const Project& project) {
  switch (net_task(project.content)) {
    case NetTask::kSequences: return "lstm";
    case NetTask::kRows: return "mlp";
    case NetTask::kPixels: return "unet";
    case NetTask::kPictures: break;
  }
  if (!project.weights.empty()) return "resnet50";
  if (project.content.side <= kSmallPictures) return "lenet";
  return project.content.records() < kLargeDataSet ? "resnet18" : "resnet50";
}

void check_net_name(const std::string& name) {
  if (!name.empty() && find_net_kind(name) == nullptr)
    throw config_error("--net={}: there is no such net{}; the nets are {}", name,
                       suggest(name, net_names(), "; did you mean {}?"), fmt::join(net_names(), ", "));
}

const NetKind& kind_of(const Project& project, const std::string& given) {
  const NetKind* kind = find_net_kind(given.empty() ? default_net(project) : given);
  if (kind->task != net_task(project.content)) {
    std::vector<std::string> fitting;
    for (const NetKind& other : net_kinds()) {
      if (other.task == net_task(project.content)) fitting.emplace_back(other.name);
    }
    const char* const inputs[] = {"pictures", "pictures with masks", "rows", "sequences of rows"};
    throw config_error("--net={}: the net takes {}, but {} has {}; nets for these are {}", kind->name,
                       inputs[static_cast<int>(kind->task)], project.data,
                       inputs[static_cast<int>(net_task(project.content))], fmt::join(fitting, ", "));
  }
  return *kind;
}

// The given size, that of the published weights, or the usual one of the net if the pictures are not much smaller.
int size_of(const Project& project, const Arguments& arguments, const std::optional<hub::Weights>& published) {
  const NetKind& kind = *project.kind;
  if (project.content.rows) {
    if (arguments.given("size")) throw config_error("--size: {} has rows, not pictures", project.data);
    return 0;
  }
  constexpr int kLargest = 4096;
  const bool states_size = published && published->preprocessing().has_crop_size();
  if (arguments.given("size") || states_size) {
    const int64_t size = arguments.given("size") ? arguments.integer("size") : published->preprocessing().crop_size();
    const std::string origin = arguments.given("size") ? fmt::format("--size={}", size)
                                                       : fmt::format("crop_size {} of {}", size, published->name());
    if (size < kind.least || size > kLargest || size % kind.multiple != 0)
      throw config_error("{}: {} takes {} to {} pixels{}", origin, kind.name, kind.least, kLargest,
                         kind.multiple > 1 ? fmt::format(", in multiples of {}", kind.multiple) : "");
    if (!project.weights.empty() && !kind.any_size && size != kind.size)
      throw config_error("{}: published weights of {} fit {} pixels only; leave out {}", origin, kind.name, kind.size,
                         arguments.given("size") ? "--size or --weights" : "--weights");
    return static_cast<int>(size);
  }
  if (!project.weights.empty() || project.content.side * 4 >= int64_t{kind.size} * 3) return kind.size;
  constexpr int kStep = 32;
  return std::max({kind.least, kind.multiple, static_cast<int>(project.content.side) / kStep * kStep});
}

// A value for each channel; one value is that of all.
std::vector<float> channel_values(const google::protobuf::RepeatedField<double>& values, float absent) {
  if (values.size() == 3) return {values.begin(), values.end()};
  return std::vector<float>(3, values.empty() ? absent : static_cast<float>(values[0]));
}

PicturePreparation preparation_of(const hub::Preprocessing& published) {
  PicturePreparation prepared;
  prepared.mean = channel_values(published.mean(), 0);
  prepared.deviation = channel_values(published.std(), 1);
  prepared.rgb = published.channel_order() == hub::Preprocessing::RGB;
  if (published.has_crop_size()) prepared.resized = prepared.cropped = static_cast<int>(published.crop_size());
  if (published.has_short_side())
    prepared.resized = std::max(prepared.cropped, static_cast<int>(published.short_side()));
  prepared.bicubic = published.filter() == hub::Preprocessing::BICUBIC;
  return prepared;
}

// Takes a value of --weights: a file, or published weights.
void use_weights(const std::string& value, const std::optional<hub::Weights>& published, Project* project) {
  require_weights(value);
  project->weights = published ? value : fs::absolute(value).lexically_normal().string();
  if (published) project->licence = published->licence();
}

// The net that is given, or that of the published weights; "" if neither is.
std::string net_for(const std::string& given, const std::optional<hub::Weights>& published) {
  check_net_name(given);
  if (!published || published->net().empty()) return given;
  const std::string& own = published->net();
  if (given.empty() && find_net_kind(own) == nullptr)
    throw config_error(
        "--weights={}: the net \"{}\" of the manifest is not a net of `trainer new`: choose one with --net",
        published->name(), printable(own));
  if (!given.empty() && find_net_kind(own) != nullptr && given != own)
    throw config_error("--net={}: the weights {} are for the net {}: leave out --net, or choose other weights", given,
                       published->name(), own);
  return given.empty() ? own : given;
}

// The files of a project in the folder of the data would become data.
void require_outside(const Project& project) {
  const fs::path data = fs::weakly_canonical(project.data), folder = fs::weakly_canonical(project.folder);
  if (!fs::is_directory(data)) return;
  if (std::mismatch(data.begin(), data.end(), folder.begin(), folder.end()).first == data.end())
    throw config_error("{} is in the folder of the data, {}: choose a folder outside of it", project.folder,
                       data.string());
}

struct OutputFile {
  std::string name;
  std::string text;
};

// The folder with all folders above it that it needs. Unless it is kept, those that were made are removed.
class ProjectFolder {
 public:
  explicit ProjectFolder(const fs::path& folder) {
    for (fs::path missing = folder; !fs::exists(missing); missing = missing.parent_path()) made_ = missing;
    std::error_code problem;
    fs::create_directories(folder, problem);
    if (problem) throw data_error("the folder {} cannot be made: {}", folder.string(), problem.message());
  }
  ProjectFolder(const ProjectFolder&) = delete;
  ProjectFolder& operator=(const ProjectFolder&) = delete;
  ~ProjectFolder() {
    std::error_code ignored;
    if (!made_.empty()) fs::remove_all(made_, ignored);
  }
  void keep() { made_.clear(); }

 private:
  fs::path made_;  // the topmost
};

void write_project(const Project& project, const std::vector<OutputFile>& texts) {
  ProjectFolder folder(project.folder);
  for (const ProjectFile& file : project.content.files) file.write(project.folder + "/" + file.name);
  for (const OutputFile& file : texts) write_file(project.folder + "/" + file.name, file.text, Existing::kKept);
  folder.keep();
}

int run_new(const Arguments& arguments) {
  if (arguments.positional().size() != 1 || arguments.positional()[0].empty())
    throw UsageError("Need one folder to make");
  if (arguments.text("data").empty()) throw UsageError("Need the data: --data=PATH");
  Project project;
  project.folder = fs::absolute(arguments.positional()[0]).lexically_normal().string();
  while (project.folder.size() > 1 && project.folder.ends_with('/')) project.folder.pop_back();
  project.data = arguments.text("data");
  project.epochs = arguments.integer("epochs");
  constexpr int64_t kMostEpochs = 1000000;
  if (arguments.given("epochs") && (project.epochs < 1 || project.epochs > kMostEpochs))
    throw config_error("--epochs={}: it must be 1 to {}", project.epochs, kMostEpochs);
  for (const char* name : {"net.prototxt", "solver.prototxt", "labels.txt", "README.md", "train.txt", "test.txt",
                           "train.h5", "test.h5", "train.h5.txt", "test.h5.txt"})
    refuse_existing(project.folder + "/" + name, "choose another folder, or remove it first");
  require_outside(project);
  const std::string& weights = arguments.text("weights");
  const std::optional<hub::Weights> published = weights.empty() ? std::nullopt : find_published(weights);
  if (!weights.empty()) use_weights(weights, published, &project);
  const std::string net = net_for(arguments.text("net"), published);
  project.content = look_at_data(project.data, arguments.text("task"), project.folder);
  project.kind = &kind_of(project, net);
  project.preparation = project.kind->preparation;
  if (published && published->has_preprocessing()) project.preparation = preparation_of(published->preprocessing());
  project.size = size_of(project, arguments, published);
  if (!project.weights.empty() && project.kind->color_weights) project.content.color = true;
  if (!project.weights.empty() && !published) check_weights_fit(project);
  std::vector<OutputFile> texts = {{"net.prototxt", project_net(project)},
                                   {"solver.prototxt", project_solver(project)}};
  if (!project.content.classes.empty()) texts.push_back({"labels.txt", project_labels(project)});
  texts.push_back({"README.md", project_readme(project)});
  write_project(project, texts);
  const std::string given = arguments.positional()[0], solver = shell_quoted(given + "/solver.prototxt");
  fmt::print(
      "{}\n{} has the next commands; the first ones:\n  trainer validate --solver={}\n"
      "  trainer train --solver={}\n",
      project_summary(project), shell_quoted(given + "/README.md"), solver, solver);
  return 0;
}

REGISTER_COMMAND(
    new_project, .name = "new", .summary = "writes a net and a solver for a data set",
    .usage = "new DIR --data=PATH [flags]",
    .description =
        "Looks at the data and writes DIR/net.prototxt, DIR/solver.prototxt, DIR/labels.txt with the names of the "
        "classes, and DIR/README.md with the next commands. These files are usable from any folder. No file is "
        "replaced.\n\n"
        "The data are one of:\n\n"
        "  a folder with a folder of pictures for each class, or with folders train and test (or val) of this kind\n"
        "  a folder with images/ and masks/: a PNG in masks has the classes of the pixels of the image of its name\n"
        "  a text file with a line for each picture: its path and a class, numbers, or the path of a mask\n"
        "  a table (.csv, .tsv) with a label in each row: in the column label, class or target, else in the last one\n"
        "  an HDF5 file with the datasets data (N x D, or N x T x D for sequences) and label (N)\n\n"
        "A folder may have the parts train and test (or val) as files instead: train.txt and test.txt, or .csv or .h5. "
        "Otherwise a fifth of the data is for tests.\n\n"
        "The nets are resnet18, resnet34, resnet50, resnet101, resnext50, vgg16, mobilenet_v1, mobilenet_v2, "
        "mobilenet_v3, efficientnet_b0, squeezenet, googlenet, densenet121, vit_small and lenet for pictures, unet for "
        "masks, mlp for rows, and lstm for sequences. Their layers have the names of the modules of torchvision's or "
        "timm's net.",
    .flags =
        {
            {"data", FlagType::kFile, "", "PATH", "The data set: a folder or a file, as above."},
            {"task", FlagType::kChoice, "", "classify|regress|segment",
             "The meaning of the labels. Default: what the data show."},
            {"net", FlagType::kText, "", "NAME",
             "The net. Default: by the size of the pictures and of the data set, resnet50 with --weights."},
            {"weights", FlagType::kFile, "", "FILE|NAME",
             "Weights to start from: a file, or published weights (trainer weights names), which also choose the net. "
             "The last layer gets a name of its own, so that it starts from its filler."},
            {"size", FlagType::kInteger, "", "PIXELS",
             "The height and width of the pictures for the net. Default: that of the net, or less for small pictures."},
            {"epochs", FlagType::kInteger, "", "N",
             "The length of the training. Default: by the size of the data set."},
        },
    .run = run_new);

}  // namespace
}  // namespace trainer
