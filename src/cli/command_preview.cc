// trainer preview: a picture of the items that a data layer gives the net.
#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "data/data_source.h"
#include "data/pictures/contact_sheet.h"
#include "data/pictures/item_picture.h"
#include "formats/atomic_file.h"
#include "report/log.h"

namespace trainer {
namespace {

// The net of one phase, and the owners of its messages.
struct PreviewedNet {
  ConfiguredNet of_model;
  TrainingFiles of_solver;
  FilteredNet net;
  uint64_t seed = 0;
};

PreviewedNet read_net(const Arguments& arguments, caffe::Phase phase) {
  PreviewedNet read;
  if (arguments.text("solver").empty()) {
    read.of_model = net_to_look_at(arguments, phase);
    read.net = read.of_model.net;
    return read;
  }
  read.of_solver = training_to_look_at(arguments);
  if (phase == caffe::TEST && read.of_solver.tests.empty())
    throw config_error("{} has no test net: give test_epochs or test_iter, or preview the phase TRAIN",
                       arguments.text("solver"));
  read.net = phase == caffe::TRAIN ? read.of_solver.train : read.of_solver.tests.front();
  read.seed = static_cast<uint64_t>(read.of_solver.solver->random_seed());
  return read;
}

// The data layer of this name; without a name the only one.
const caffe::LayerParameter& data_layer(const caffe::NetParameter& net, const std::string& name) {
  std::vector<const caffe::LayerParameter*> found;
  std::vector<std::string> names;
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (find_data_source(layer.type()) == nullptr) continue;
    names.push_back(layer.name());
    if (name.empty() || layer.name() == name) found.push_back(&layer);
  }
  if (names.empty()) throw config_error("the net has no data layer in this phase");
  if (found.empty())
    throw config_error("--layer: the net has no data layer \"{}\"{}; its data layers are {}", name,
                       suggest(name, names, "; did you mean \"{}\"?"), fmt::join(names, ", "));
  if (found.size() > 1)
    throw config_error("the net has the data layers {}: choose one with --layer", fmt::join(names, ", "));
  return *found.front();
}

// The items of a feed, one at a time.
class Items {
 public:
  explicit Items(BatchFeed& feed) : feed_(feed), names_(feed.class_names()), worker_(feed.make_worker()) {
    batch_.layout.resize(feed.tops());
  }

  // Fills the tops with the record at this offset.
  void read(uint64_t offset) {
    feed_.shape_batch(offset, batch_.layout);
    memory_.resize(batch_.layout.size());
    batch_.data.clear();
    for (size_t top = 0; top < memory_.size(); ++top) {
      memory_[top].resize(static_cast<size_t>(batch_.layout[top].shape.count(1)));
      batch_.data.push_back(memory_[top].data());
    }
    RowRange range;
    range.rows = 1;
    range.first_offset = offset;
    worker_->claim(range);
    SkippedRecords skipped;
    worker_->fill(0, batch_, skipped);
  }
  const Shape& shape() const { return batch_.layout[0].shape; }
  const std::vector<float>& item() const { return memory_[0]; }
  // The values of the label, with the name of the class; "" for a mask.
  std::string label() const {
    if (memory_.size() < 2 || mask() != nullptr) return "";
    const std::vector<float>& values = memory_[1];
    const auto number = static_cast<size_t>(std::max(values[0], 0.0f));
    const bool named = values.size() == 1 && static_cast<float>(number) == values[0] && number < names_.size();
    return fmt::format("{}{}", fmt::join(values, " "), named ? " " + names_[number] : "");
  }
  // The classes of the pixels; nullptr without a mask.
  const std::vector<float>* mask() const {
    return memory_.size() > 1 && batch_.layout[1].shape.rank() == 4 ? &memory_[1] : nullptr;
  }

 private:
  BatchFeed& feed_;
  std::vector<std::string> names_;
  std::unique_ptr<FeedWorker> worker_;
  BatchBuffer batch_;
  std::vector<std::vector<float>> memory_;
};

std::string sheet_of(BatchFeed& feed, const std::string& layer, int count, int draws) {
  const std::optional<ItemColors> colors = feed.colors();
  if (!colors) throw config_error("{} gives no pictures", layer);
  const auto records = static_cast<uint64_t>(feed.records_per_epoch());
  const int groups = static_cast<int>(std::min<uint64_t>(static_cast<uint64_t>(count), records));
  std::optional<ContactSheet> sheet;
  Items items(feed);
  for (int group = 0; group < groups; ++group) {
    const uint64_t record = records * static_cast<uint64_t>(group) / static_cast<uint64_t>(groups);
    for (int draw = 0; draw < draws; ++draw) {
      items.read(static_cast<uint64_t>(draw) * records + record);
      const Shape& shape = items.shape();
      if (shape[1] != 1 && shape[1] != 3)
        throw config_error("{} gives items of {} channels: a picture has 1 or 3", layer, shape[1]);
      if (!sheet) sheet.emplace(groups, draws, static_cast<int>(shape[2]), static_cast<int>(shape[3]));
      ItemPicture picture(shape, items.item(), *colors);
      if (items.mask() != nullptr) picture.overlay(*items.mask());
      sheet->place(group, draw, picture.window());
    }
    if (!items.label().empty()) sheet->caption(group, items.label());
  }
  return sheet->png();
}

int run_preview(const Arguments& arguments) {
  const bool solver = !arguments.text("solver").empty();
  if (solver == !arguments.text("model").empty())
    throw UsageError("Give a solver or a net: --solver=FILE or --model=FILE");
  const std::string& output = arguments.text("output");
  if (output.empty()) throw UsageError("Need a file to write: --output=sheet.png");
  const auto count = static_cast<int>(arguments.integer("count")), draws = static_cast<int>(arguments.integer("draws"));
  constexpr int kMost = 1000;
  if (count < 1 || count > kMost) throw config_error("--count is {}; it must be 1 to {}", count, kMost);
  if (draws < 1 || draws > kMost) throw config_error("--draws is {}; it must be 1 to {}", draws, kMost);
  const std::string ending = lower(std::filesystem::path(output).extension().string());
  if (!ending.empty() && ending != ".png")
    throw config_error("--output={}: the sheet is a PNG file: give a name that ends in .png", output);
  const bool overwrite = arguments.get_bool("overwrite");
  if (!overwrite) refuse_existing(output, "choose another name, or replace it with --overwrite");
  const caffe::Phase phase = arguments.text("phase") == "TRAIN" ? caffe::TRAIN : caffe::TEST;
  const PreviewedNet read = read_net(arguments, phase);
  const caffe::LayerParameter& layer = data_layer(*read.net.net, arguments.text("layer"));

  StreamOptions options;
  options.phase = phase;
  options.seed = read.seed;
  options.net_name = read.net.net->name();
  options.in_order = true;  // so that a record has the same position in each epoch
  options.log = [](const std::string& line) { log_warning(line); };
  Diagnostics diagnostics;
  const std::unique_ptr<BatchFeed> feed = open_feed(layer, options, *read.net.positions, &diagnostics);
  diagnostics.throw_if_errors();
  const std::string png = sheet_of(*feed, subject_of(layer), count, draws);
  write_file(output, png, overwrite ? Existing::kReplaced : Existing::kKept);
  const int64_t shown = std::min<int64_t>(count, feed->records_per_epoch());
  log_info(fmt::format("Wrote {} record{} of {}, {} draw{} each, to {}", shown, shown == 1 ? "" : "s",
                       subject_of(layer), draws, draws == 1 ? "" : "s", output));
  return 0;
}

REGISTER_COMMAND(
    preview, .name = "preview", .summary = "shows the pictures that a data layer gives the net",
    .usage = "preview --solver=FILE|--model=FILE --output=sheet.png [flags]",
    .description =
        "Writes a PNG with records of a data layer as the net sees them: after crops, flips and all steps of augment. "
        "The records are evenly spaced over the data set; each has several draws, those of the first epochs, below "
        "each "
        "other under its label; masks are laid over them in colors. Means and factors are undone, so that colors look "
        "natural; a mean image counts as its mean of each channel. Images are not mixed (mix), and sampling has no "
        "effect.",
    .flags =
        {
            {"solver", FlagType::kFile, "", "FILE", "The prototxt file of a solver, for its net."},
            {"model", FlagType::kFile, "", "FILE", "The prototxt file of a net."},
            {"output", FlagType::kFile, "", "FILE", "The PNG file to write."},
            {"overwrite", FlagType::kBool, "false", "", "Replace the file if it exists."},
            {"layer", FlagType::kText, "", "NAME", "The data layer, if the net has several."},
            {"phase", FlagType::kChoice, "TRAIN", "TRAIN|TEST", "The phase of the net."},
            {"count", FlagType::kInteger, "16", "N", "Records to show."},
            {"draws", FlagType::kInteger, "4", "N", "Draws of each record."},
            set_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_preview, .flags_only = true);

}  // namespace
}  // namespace trainer
