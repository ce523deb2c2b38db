// WindowData: windows cut out of pictures, warped to transform_param.crop_size, background before foreground in each
// batch.
//   top 0  (batch_size, 3, crop_size, crop_size)
//   top 1  classes (batch_size), 0 for background
//
// Row r of a batch is background for r < batch_size - int(batch_size * fg_fraction), then foreground. A draw of (seed,
// running offset) selects the window and decides whether to mirror it.
//
//   out[c, h, w] = (pixel - mean) * scale / std inside the cut, 0 around it
//
// The mean is the centre of the mean image, cropped to the size of the item. With augment, the steps act on the cut,
// with black around it.
#include <algorithm>

#include "base/philox.h"
#include "base/text.h"
#include "data/data_source.h"
#include "data/feeds/window_cut.h"
#include "data/feeds/window_list.h"
#include "data/pictures/image_decoder.h"
#include "data/pictures/image_file_reader.h"
#include "data/pictures/picture_mean.h"
#include "data/pictures/resize.h"
#include "data/pictures/transformer.h"
#include "data/records/record_source.h"

namespace trainer {

namespace {

constexpr int kChannels = 3;

struct WindowSettings {
  std::string root;
  int64_t batch_size = 0;
  int64_t background_rows = 0;
  WindowShape shape;
  bool rgb = false;
  uint64_t key = 0;

  ItemShape cut() const { return {kChannels, shape.crop, shape.crop}; }
};

struct WindowTransform {
  Augmentation augmentation;
  CropAndMirror mirror;
  PictureMean mean;
  ChannelFactors factors;
};

class WindowFeed : public BatchFeed {
 public:
  WindowFeed(WindowSettings settings, WindowTransform transform, WindowList list, std::vector<std::string> cache)
      : settings_(std::move(settings)),
        transform_(std::move(transform)),
        list_(std::move(list)),
        cache_(std::move(cache)) {}

  size_t tops() const override { return 2; }
  int64_t batch_size() const override { return settings_.batch_size; }
  int64_t records_per_epoch() const override {
    return static_cast<int64_t>(list_.foreground.size() + list_.background.size());
  }
  std::string content() override {
    // Snapshots compare this text.
    const std::string counts =
        fmt::format("{} pictures from \"{}\" to \"{}\", {} foreground and {} background windows", list_.pictures.size(),
                    printable(list_.pictures.front()), printable(list_.pictures.back()), list_.foreground.size(),
                    list_.background.size());
    TextDigest digest;
    for (const std::string& picture : list_.pictures) digest.add(picture);
    for (const auto* windows : {&list_.foreground, &list_.background}) {
      for (const Window& w : *windows)
        digest.add(fmt::format("{} {} {} {} {} {}", w.picture, w.label, w.x1, w.y1, w.x2, w.y2));
    }
    return with_digest(counts, digest);
  }
  bool parallel() const override { return true; }
  std::optional<ItemColors> colors() const override {
    return colors_of(transform_.augmentation, transform_.mean, transform_.factors, settings_.rgb);
  }
  int64_t memory_bytes() const override {
    int64_t bytes = records_per_epoch() * static_cast<int64_t>(sizeof(Window));
    for (const std::string& file : cache_) bytes += static_cast<int64_t>(file.size());
    return bytes + transform_.mean.memory_bytes();
  }
  void shape_batch(uint64_t, std::vector<TensorDesc>& layout) override {
    const ItemShape item = transform_.augmentation.output_shape(settings_.cut());
    layout[0].shape = Shape{settings_.batch_size, item.channels, item.height, item.width};
    layout[1].shape = Shape{settings_.batch_size};
  }
  std::unique_ptr<FeedWorker> make_worker() override;
  // An image with its windows.
  uint64_t stored_records() const override { return list_.pictures.size(); }
  std::unique_ptr<StoredReader> make_stored_reader() override;

  const WindowSettings& settings() const { return settings_; }
  const Window& draw(int64_t row, uint64_t offset) const {
    const std::vector<Window>& windows = row < settings_.background_rows ? list_.background : list_.foreground;
    const uint64_t index = (uint64_t{philox(settings_.key, 0, offset)[0]} * windows.size()) >> 32;
    return windows[static_cast<size_t>(index)];
  }
  const WindowTransform& transform() const { return transform_; }
  // The mean for the part of an item that begins at (y, x).
  MeanView mean(int64_t y, int64_t x) const {
    const PictureMean& mean = transform_.mean;
    const int64_t centre = mean.has_image() ? (mean.image_shape().width - settings_.shape.crop) / 2 : 0;
    Sampling part;
    part.y.first = y + centre;
    part.x.first = x + centre;
    return mean.view(part);
  }
  const WindowList& list() const { return list_; }
  // The file of an image; `scratch` holds it if it is not cached.
  std::string_view picture(size_t index, std::string& scratch) const {
    if (!cache_.empty()) return cache_[index];
    read_image_file(settings_.root + list_.pictures[index], scratch);
    return scratch;
  }
  std::string describe(const Window& window) const {
    return fmt::format("{}:{} ({})", list_.file, window.line, list_.pictures[window.picture]);
  }

 private:
  WindowSettings settings_;
  WindowTransform transform_;
  WindowList list_;
  std::vector<std::string> cache_;  // the files' bytes; empty: files are read on demand
};

class WindowWorker : public FeedWorker {
 public:
  explicit WindowWorker(const WindowFeed& feed) : feed_(feed) {}

  void claim(const RowRange& range) override { range_ = range; }

  void fill(int64_t i, const BatchBuffer& batch, SkippedRecords&) override {
    const int64_t row = range_.first_row + i;
    const Window& window = feed_.draw(row, range_.offset(i));
    try {
      write(window, range_.offset(i), batch.layout[0].order, batch.row(0, row));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", describe(i), error.what()));
    }
    *batch.row(1, row) = static_cast<float>(window.label);
  }

  std::string describe(int64_t i) const override {
    return feed_.describe(feed_.draw(range_.first_row + i, range_.offset(i)));
  }

 private:
  struct Cut {
    WindowCut place;
    PixelView pixels;  // none if no part of the window is left
  };

  // The place is that of a cut that is flipped left to right or top to bottom.
  Cut cut(const Window& window, bool flip_x, bool flip_y) {
    const PixelView picture = decoder_.decode(feed_.picture(window.picture, bytes_), ColorMode::kColor);
    Cut cut;
    cut.place = cut_window(window, feed_.settings().shape, static_cast<int>(picture.shape.height),
                           static_cast<int>(picture.shape.width), flip_x, flip_y);
    const WindowCut& place = cut.place;
    if (place.to_width == 0 || place.to_height == 0) return cut;
    const int64_t row_bytes = picture.shape.width * kChannels;
    resize_bilinear(
        {picture.bytes + place.y * row_bytes + place.x * kChannels, kChannels, place.height, place.width, row_bytes},
        place.to_height, place.to_width, cut_);
    cut.pixels.shape = {kChannels, place.to_height, place.to_width};
    cut.pixels.bytes = cut_.data();
    cut.pixels.interleaved = true;
    return cut;
  }

  void write(const Window& window, uint64_t offset, MemoryFormat order, float* out) {
    if (feed_.transform().augmentation.empty()) {
      write_plain(window, offset, order, out);
    } else {
      write_augmented(window, offset, order, out);
    }
  }

  void write_plain(const Window& window, uint64_t offset, MemoryFormat order, float* out) {
    const WindowTransform& transform = feed_.transform();
    const ItemShape shape = feed_.settings().cut();
    const Sampling item = transform.mirror.sample(shape, 0, offset);
    const auto [place, pixels] = cut(window, item.x.flipped(), item.y.flipped());
    std::fill(out, out + shape.count(), 0.0f);
    if (pixels.bytes == nullptr) return;
    Sampling sampling(pixels.shape);
    if (item.y.flipped()) sampling.y.flip();
    if (item.x.flipped()) sampling.x.flip();
    ItemView view = item_view(out, shape, order);
    view.data += place.to_y * view.h_step + place.to_x * view.w_step;
    write_item(pixels, sampling, feed_.settings().rgb, feed_.mean(place.to_y, place.to_x), transform.factors.view(),
               view);
  }

  void write_augmented(const Window& window, uint64_t offset, MemoryFormat order, float* out) {
    const ItemShape shape = feed_.settings().cut();
    const auto [place, pixels] = cut(window, false, false);
    if (pixels.bytes != nullptr) {
      picture_.start(pixels);
      picture_.place(shape.height, shape.width, place.to_y, place.to_x, 0);
    } else {
      cut_.assign(static_cast<size_t>(shape.count()), 0);
      PixelView black;
      black.shape = shape;
      black.bytes = cut_.data();
      black.interleaved = true;
      picture_.start(black);
    }
    feed_.transform().augmentation.apply(picture_, 0, offset);
    picture_.write(feed_.settings().rgb, order, out);
  }

  const WindowFeed& feed_;
  RowRange range_;
  ImageDecoder decoder_;
  std::string bytes_;
  std::vector<uint8_t> cut_;
  Picture picture_;
};

std::unique_ptr<FeedWorker> WindowFeed::make_worker() { return std::make_unique<WindowWorker>(*this); }

class StoredWindows : public StoredReader {
 public:
  explicit StoredWindows(const WindowFeed& feed) : feed_(feed) {
    for (const std::vector<Window>* windows : {&feed.list().foreground, &feed.list().background}) {
      for (const Window& window : *windows) windows_.push_back(&window);
    }
    std::stable_sort(windows_.begin(), windows_.end(),
                     [](const Window* a, const Window* b) { return a->picture < b->picture; });
  }

  void claim(uint64_t, uint64_t) override {}
  StoredRecord read(uint64_t i) override {
    StoredRecord record;
    record.file = feed_.picture(i, bytes_);
    record.pixels = decoder_.decode(record.file, ColorMode::kColor);
    record.item = feed_.transform().augmentation.output_shape(feed_.settings().cut());
    labels_.clear();
    auto window = std::lower_bound(windows_.begin(), windows_.end(), i,
                                   [](const Window* a, uint64_t picture) { return a->picture < picture; });
    for (; window != windows_.end() && (*window)->picture == i; ++window) {
      labels_.push_back(static_cast<float>((*window)->label));
      try {
        cut_window(**window, feed_.settings().shape, static_cast<int>(record.pixels.shape.height),
                   static_cast<int>(record.pixels.shape.width), false, false);
      } catch (const Error& error) {
        throw Error(error.code(), fmt::format("line {}: {}", (*window)->line, error.what()));
      }
    }
    record.labels.push_back({1, labels_});
    return record;
  }
  std::string describe(uint64_t i) const override {
    return fmt::format("image {} of {} ({})", i, feed_.list().file, feed_.list().pictures[i]);
  }

 private:
  const WindowFeed& feed_;
  std::vector<const Window*> windows_;  // by image
  ImageDecoder decoder_;
  std::string bytes_;
  std::vector<float> labels_;
};

std::unique_ptr<StoredReader> WindowFeed::make_stored_reader() { return std::make_unique<StoredWindows>(*this); }

void check_cut(SourceContext& context) {
  const caffe::WindowDataParameter& param = context.layer().window_data_param();
  const uint32_t crop = context.layer().transform_param().crop_size();
  constexpr uint32_t kLargest = kLargestSide;
  if (crop < 1 || crop > kLargest)
    context.error("transform_param.crop_size", fmt::format("crop_size, the side of an item, is {}", crop),
                  fmt::format("give the side of the windows after warping, 1 to {}", kLargest));
  else if (param.context_pad() >= (crop + 1) / 2)
    context.error("window_data_param.context_pad",
                  fmt::format("context_pad {} on both sides leaves nothing of crop_size {}", param.context_pad(), crop),
                  "choose a smaller value");
  if (param.crop_mode() != "warp" && param.crop_mode() != "square")
    context.error("window_data_param.crop_mode", fmt::format("crop_mode is \"{}\"", param.crop_mode()),
                  "use \"warp\" or \"square\"");
  if (!(param.fg_fraction() >= 0 && param.fg_fraction() <= 1))
    context.error("window_data_param.fg_fraction", fmt::format("fg_fraction is {}", param.fg_fraction()),
                  "it must be 0 to 1");
}

void check(SourceContext& context) {
  const caffe::TransformationParameter& transform = context.layer().transform_param();
  context.require("window_data_param.source", "give a window file");
  context.require("window_data_param.batch_size", "give the number of windows in a batch");
  check_transform(context);
  check_cut(context);
  if (transform.has_mix()) context.error("transform_param.mix", "WindowData does not mix its windows", "remove mix");
  if (transform.mean_value_size() > 1 && transform.mean_value_size() != kChannels)
    context.error("transform_param.mean_value", fmt::format("{} mean values", transform.mean_value_size()),
                  "Specify either 1 mean_value or as many as channels: 3");
  warn_of_moved_fields(context, "window_data_param", {"mean_file", "crop_size", "mirror"});
  if (context.layer().window_data_param().has_scale() && transform.augment_size() > 0)
    context.error("window_data_param.scale", "scale has no place beside augment",
                  "use augment { normalize { } }, which maps bytes to 0..1");
  if (transform.std_value_size() > 1 && transform.std_value_size() != kChannels)
    context.error("transform_param.std_value", fmt::format("{} std values", transform.std_value_size()),
                  "give 1 std_value or as many as channels: 3");
  if (transform.has_scale() && transform.augment_size() == 0)
    context.warning("transform_param.scale", "transform_param.scale has no effect here, as in Caffe",
                    "set window_data_param.scale");
}

WindowSettings settings_of(const SourceContext& context) {
  const caffe::WindowDataParameter& param = context.layer().window_data_param();
  WindowSettings settings;
  settings.root = param.root_folder();
  settings.batch_size = param.batch_size();
  const auto foreground = static_cast<int64_t>(static_cast<float>(param.batch_size()) * param.fg_fraction());
  settings.background_rows = settings.batch_size - foreground;
  settings.shape.crop = static_cast<int>(context.layer().transform_param().crop_size());
  settings.shape.context_pad = static_cast<int>(param.context_pad());
  settings.shape.square = param.crop_mode() == "square";
  settings.rgb = context.layer().transform_param().channel_order() == caffe::TransformationParameter::RGB;
  settings.key = context.random_key("windows");
  return settings;
}

// The second word of the draw that chooses a window decides whether to mirror it.
CropAndMirror mirror_of(const SourceContext& context) {
  CropAndMirror mirror;
  mirror.mirror = context.layer().transform_param().mirror();
  mirror.key = context.random_key("windows");
  mirror.mirror_word = 1;
  return mirror;
}

void check_mean(SourceContext& context, const PictureMean& mean, int64_t crop) {
  if (!mean.has_image()) return;
  const ItemShape shape = mean.image_shape();
  if (shape.channels != kChannels || shape.width < crop || shape.height < crop + (shape.width - crop) / 2)
    context.data_error(
        "transform_param.mean_file",
        fmt::format("the mean image {} is {}: 3 channels and at least crop_size {} on each side are needed",
                    context.layer().transform_param().mean_file(), shape.text(), crop));
}

void check_windows(const WindowSettings& settings, const WindowList& list) {
  const int64_t foreground_rows = settings.batch_size - settings.background_rows;
  if ((settings.background_rows == 0 || !list.background.empty()) && (foreground_rows == 0 || !list.foreground.empty()))
    return;
  throw data_error(
      "a batch takes {} background and {} foreground windows, but {} has {} and {}: change fg_threshold, bg_threshold "
      "or fg_fraction",
      settings.background_rows, foreground_rows, list.file, list.background.size(), list.foreground.size());
}

WindowList windows_of(const caffe::WindowDataParameter& param) {
  return read_window_list(param.source(), param.fg_threshold(), param.bg_threshold());
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const caffe::WindowDataParameter& param = context.layer().window_data_param();
  WindowSettings settings = settings_of(context);
  WindowTransform transform{Augmentation(context), mirror_of(context), PictureMean(context),
                            ChannelFactors(param.scale(), context.layer().transform_param())};
  check_mean(context, transform.mean, settings.shape.crop);
  context.attempt("transform_param.augment", [&] { transform.augmentation.output_shape(settings.cut()); });
  WindowList list = windows_of(param);
  check_windows(settings, list);
  std::vector<std::string> cache;
  if (param.cache_images()) {
    cache.resize(list.pictures.size());
    for (size_t i = 0; i < cache.size(); ++i) read_image_file(settings.root + list.pictures[i], cache[i]);
  }
  return std::make_unique<WindowFeed>(std::move(settings), std::move(transform), std::move(list), std::move(cache));
}

void probe(const caffe::LayerParameter& layer) { windows_of(layer.window_data_param()); }

ItemShape item(const caffe::LayerParameter& layer) {
  const int64_t crop = layer.transform_param().crop_size();
  caffe::TransformationParameter steps = layer.transform_param();
  steps.clear_crop_size();
  return item_shape(steps, {kChannels, crop, crop});
}

REGISTER_SOURCE(window_data, .type = "WindowData", .summary = "batches of windows cut out of images", .min_tops = 2,
                .max_tops = 2, .source = "window_data_param.source", .batch_size = "window_data_param.batch_size",
                .check = check, .open = open, .probe = probe, .item = item, .example = R"(
layer { name: "data" type: "WindowData" top: "data" top: "label"
  transform_param { crop_size: 227 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }
  window_data_param { source: "windows.txt" batch_size: 128 fg_fraction: 0.25 context_pad: 16 crop_mode: "warp" } }
)",
                .draws_records = true);

}  // namespace
}  // namespace trainer
