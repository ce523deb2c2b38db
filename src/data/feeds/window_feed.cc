// Row r of a batch is background for r < batch_size - int(batch_size * fg_fraction), then foreground; which
// window it is and whether it is mirrored is a draw of (seed, running offset).
//
//   out[c, h, w] = (pixel - mean) * scale inside the cut, 0 around it
//
// The mean image is read at its centre, as large as the item.
#include "data/feeds/window_feed.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/feeds/image_list.h"
#include "data/feeds/window_cut.h"
#include "data/pictures/image_decoder.h"
#include "data/pictures/mean_field.h"
#include "data/pictures/resize.h"

namespace trainer {

namespace {

constexpr int kChannels = 3;

struct WindowSettings {
  std::string layer;  // "layer 'data' (WindowData)"
  std::string root;
  int64_t batch_size = 0;
  int64_t background_rows = 0;
  WindowShape shape;
  float scale = 1;
  bool mirror = false;
  std::vector<float> mean_values;
  MeanImage mean;
  uint64_t key = 0;
};

struct Draw {
  const Window* window = nullptr;
  bool mirrored = false;
};

class WindowFeed : public BatchFeed {
 public:
  WindowFeed(WindowSettings settings, WindowList list, std::vector<std::string> cache)
      : settings_(std::move(settings)), list_(std::move(list)), cache_(std::move(cache)) {}

  size_t tops() const override { return 2; }
  int64_t batch_size() const override { return settings_.batch_size; }
  int64_t records_per_epoch() const override {
    return static_cast<int64_t>(list_.foreground.size() + list_.background.size());
  }
  std::string content() override {
    return fmt::format("{} pictures from \"{}\" to \"{}\", {} foreground and {} background windows",
                       list_.pictures.size(), printable(list_.pictures.front()), printable(list_.pictures.back()),
                       list_.foreground.size(), list_.background.size());
  }
  bool parallel() const override { return true; }
  int64_t memory_bytes() const override {
    int64_t bytes = records_per_epoch() * static_cast<int64_t>(sizeof(Window));
    for (const std::string& file : cache_) bytes += static_cast<int64_t>(file.size());
    return bytes + static_cast<int64_t>(settings_.mean.data.size() * sizeof(float));
  }
  void shape_batch(uint64_t, std::vector<TensorDesc>& layout) override {
    layout[0].shape = Shape{settings_.batch_size, kChannels, settings_.shape.crop, settings_.shape.crop};
    layout[1].shape = Shape{settings_.batch_size};
  }
  std::unique_ptr<FeedWorker> make_worker() override;

  const WindowSettings& settings() const { return settings_; }
  Draw draw(int64_t row, uint64_t offset) const {
    const std::vector<Window>& windows = row < settings_.background_rows ? list_.background : list_.foreground;
    const PhiloxBlock block = philox(settings_.key, 0, offset);
    const uint64_t index = (uint64_t{block[0]} * windows.size()) >> 32;
    return {&windows[static_cast<size_t>(index)], settings_.mirror && (block[1] >> 31) != 0};
  }
  // `scratch` holds the file where it is not kept in memory.
  std::string_view picture(const Window& window, std::string& scratch) const {
    if (!cache_.empty()) return cache_[window.picture];
    read_image_file(settings_.root + list_.pictures[window.picture], scratch);
    return scratch;
  }
  std::string describe(const Window& window) const {
    return fmt::format("{}:{} ({})", list_.file, window.line, list_.pictures[window.picture]);
  }

 private:
  WindowSettings settings_;
  WindowList list_;
  std::vector<std::string> cache_;  // the files' bytes; empty: read when wanted
};

class WindowWorker : public FeedWorker {
 public:
  explicit WindowWorker(const WindowFeed& feed) : feed_(feed) {}

  void claim(const RowRange& range) override { range_ = range; }

  void fill(int64_t i, const BatchBuffer& batch, SkippedRecords&) override {
    const int64_t row = range_.first_row + i;
    const Draw draw = feed_.draw(row, range_.offset(i));
    try {
      write(draw, batch.layout[0].order, batch.row(0, row));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}: {}", feed_.settings().layer, describe(i), error.what()));
    }
    *batch.row(1, row) = static_cast<float>(draw.window->label);
  }

  std::string describe(int64_t i) const override {
    return feed_.describe(*feed_.draw(range_.first_row + i, range_.offset(i)).window);
  }

 private:
  void write(const Draw& draw, MemoryFormat order, float* out) {
    const WindowSettings& settings = feed_.settings();
    const int64_t crop = settings.shape.crop;
    const PixelView picture = decoder_.decode(feed_.picture(*draw.window, bytes_), ColorMode::kColor);
    const WindowCut cut = cut_window(*draw.window, settings.shape, static_cast<int>(picture.shape.height),
                                     static_cast<int>(picture.shape.width), draw.mirrored);
    std::fill(out, out + kChannels * crop * crop, 0.0f);
    if (cut.to_width == 0 || cut.to_height == 0) return;
    const int64_t row_bytes = picture.shape.width * kChannels;
    resize_bilinear(
        {picture.bytes + cut.y * row_bytes + cut.x * kChannels, kChannels, cut.height, cut.width, row_bytes},
        cut.to_height, cut.to_width, cut_);
    const bool channels_last = order == MemoryFormat::kChannelsLast;
    const int64_t out_c = channels_last ? 1 : crop * crop, out_w = channels_last ? kChannels : 1;
    for (int h = 0; h < cut.to_height; ++h) {
      for (int w = 0; w < cut.to_width; ++w) {
        const int from = draw.mirrored ? cut.to_width - 1 - w : w;
        const uint8_t* pixel = cut_.data() + (h * cut.to_width + from) * kChannels;
        const int64_t y = h + cut.to_y, x = w + cut.to_x;
        float* to = out + (y * crop + x) * out_w;
        for (int c = 0; c < kChannels; ++c)
          to[c * out_c] = (static_cast<float>(pixel[c]) - mean(c, y, x)) * settings.scale;
      }
    }
  }

  float mean(int c, int64_t y, int64_t x) const {
    const WindowSettings& settings = feed_.settings();
    if (!settings.mean.data.empty()) {
      const int64_t height = settings.mean.shape[1], width = settings.mean.shape[2];
      const int64_t offset = (width - settings.shape.crop) / 2;
      return settings.mean.data[static_cast<size_t>((c * height + y + offset) * width + x + offset)];
    }
    if (settings.mean_values.empty()) return 0;
    return settings.mean_values[settings.mean_values.size() == 1 ? 0 : static_cast<size_t>(c)];
  }

  const WindowFeed& feed_;
  RowRange range_;
  ImageDecoder decoder_;
  std::string bytes_;
  std::vector<uint8_t> cut_;
};

std::unique_ptr<FeedWorker> WindowFeed::make_worker() { return std::make_unique<WindowWorker>(*this); }

void read_mean(const caffe::TransformationParameter& transform, WindowSettings& settings) {
  settings.mean_values.assign(transform.mean_value().begin(), transform.mean_value().end());
  if (transform.has_mean_file() && !settings.mean_values.empty()) {
    throw config_error(
        "{}: Cannot specify mean_file and mean_value at the same time: keep one of the two in "
        "transform_param",
        settings.layer);
  }
  if (settings.mean_values.size() > 1 && settings.mean_values.size() != kChannels) {
    throw config_error("{}: Specify either 1 mean_value or as many as channels: 3, not {}", settings.layer,
                       settings.mean_values.size());
  }
  if (!transform.has_mean_file()) return;
  settings.mean = read_mean_field(transform);
  const Shape& shape = settings.mean.shape;
  const int64_t crop = settings.shape.crop, offset = (shape[2] - crop) / 2;
  if (shape[0] != kChannels || shape[2] < crop || shape[1] < crop + offset) {
    throw data_error("{}: the mean image {} is {}: 3 channels and at least crop_size {} on each side are needed",
                     settings.layer, transform.mean_file(), shape.text(), crop);
  }
}

WindowSettings settings_of(const caffe::LayerParameter& layer, const StreamOptions& options) {
  const caffe::WindowDataParameter& param = layer.window_data_param();
  const caffe::TransformationParameter& transform = layer.transform_param();
  WindowSettings settings;
  settings.layer = fmt::format("layer '{}' (WindowData)", layer.name());
  settings.root = param.root_folder();
  settings.batch_size = param.batch_size();
  settings.scale = param.scale();
  settings.mirror = transform.mirror();
  settings.key = philox_key(options.seed, options.net_name, layer.name(), "windows");
  if (layer.top_size() != 2)
    throw config_error("{} has {} tops: it gives 2, the data and the label", settings.layer, layer.top_size());
  if (param.source().empty())
    throw config_error("{}: window_data_param.source is missing: a window file", settings.layer);
  if (param.batch_size() < 1 || param.batch_size() > std::numeric_limits<int32_t>::max())
    throw config_error("{}: window_data_param.batch_size must be at least 1, not {}", settings.layer,
                       param.batch_size());
  constexpr uint32_t kLargestCrop = 32767;
  if (transform.crop_size() < 1 || transform.crop_size() > kLargestCrop) {
    throw config_error("{}: transform_param.crop_size, the side of an item, must be 1 to {}, not {}", settings.layer,
                       kLargestCrop, transform.crop_size());
  }
  settings.shape.crop = static_cast<int>(transform.crop_size());
  if (param.context_pad() >= (transform.crop_size() + 1) / 2) {
    throw config_error("{}: window_data_param.context_pad {} on both sides leaves nothing of crop_size {}",
                       settings.layer, param.context_pad(), transform.crop_size());
  }
  settings.shape.context_pad = static_cast<int>(param.context_pad());
  if (param.crop_mode() != "warp" && param.crop_mode() != "square") {
    throw config_error("{}: window_data_param.crop_mode is \"{}\": \"warp\" or \"square\" are known", settings.layer,
                       param.crop_mode());
  }
  settings.shape.square = param.crop_mode() == "square";
  if (!(param.fg_fraction() >= 0 && param.fg_fraction() <= 1)) {
    throw config_error("{}: window_data_param.fg_fraction must be 0 to 1, not {}", settings.layer, param.fg_fraction());
  }
  const auto foreground = static_cast<int64_t>(static_cast<float>(param.batch_size()) * param.fg_fraction());
  settings.background_rows = settings.batch_size - foreground;
  read_mean(transform, settings);
  return settings;
}

void warn_of_ignored(const caffe::LayerParameter& layer, const std::string& name, std::vector<std::string>& warnings) {
  const caffe::WindowDataParameter& param = layer.window_data_param();
  const std::pair<bool, const char*> moved[] = {
      {param.has_mean_file(), "mean_file"}, {param.has_crop_size(), "crop_size"}, {param.has_mirror(), "mirror"}};
  for (const auto& [set, field] : moved) {
    if (set) {
      warnings.push_back(fmt::format("{}: window_data_param.{} has no effect, as in Caffe: set transform_param.{}",
                                     name, field, field));
    }
  }
  if (layer.transform_param().has_scale()) {
    warnings.push_back(name + ": transform_param.scale has no effect here, as in Caffe: set window_data_param.scale");
  }
}

}  // namespace

std::unique_ptr<BatchFeed> open_window_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                            std::vector<std::string>& warnings) {
  const caffe::WindowDataParameter& param = layer.window_data_param();
  WindowSettings settings = settings_of(layer, options);
  warn_of_ignored(layer, settings.layer, warnings);
  WindowList list = read_window_list(param.source(), param.fg_threshold(), param.bg_threshold());
  const int64_t foreground_rows = settings.batch_size - settings.background_rows;
  if ((settings.background_rows > 0 && list.background.empty()) || (foreground_rows > 0 && list.foreground.empty())) {
    throw data_error(
        "{}: a batch takes {} background and {} foreground windows, but {} has {} and {}: change "
        "fg_threshold, bg_threshold "
        "or fg_fraction",
        settings.layer, settings.background_rows, foreground_rows, param.source(), list.background.size(),
        list.foreground.size());
  }
  std::vector<std::string> cache;
  if (param.cache_images()) {
    cache.resize(list.pictures.size());
    for (size_t i = 0; i < cache.size(); ++i) read_image_file(settings.root + list.pictures[i], cache[i]);
  }
  return std::make_unique<WindowFeed>(std::move(settings), std::move(list), std::move(cache));
}

}  // namespace trainer
