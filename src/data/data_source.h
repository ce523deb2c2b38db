// A data source is one file of data/sources: a layer type whose tops are the batches of a data set. The file names the
// fields that all sources have, checks its layer and opens its data set.
//
// To add a source: a file in data/sources that ends in REGISTER_SOURCE, and its message in proto/trainer.proto.
#pragma once

#include <memory>
#include <string>

#include "data/batch_feed.h"
#include "data/pictures/pixel_view.h"
#include "data/source_context.h"

namespace trainer {

struct DataSource {
  const char* type;     // as in `type: "Data"`
  const char* summary;  // one line for `help`
  int min_tops, max_tops;
  // Paths of fields within the layer.
  const char* source;      // names the data set; errors of opening it are reported at this field
  const char* batch_size;  // divided by --scale_batch
  const char* workers = "data_param.workers";
  const char* prefetch = "data_param.prefetch";
  // Reports errors in the layer's text; reads no file.
  void (*check)(SourceContext&);
  // Opens the data set of a layer in which `check` found no error. It reports or throws errors; the result may then be
  // nullptr.
  std::unique_ptr<BatchFeed> (*open)(SourceContext&);
  // Opens and closes the data set of a layer in which `check` found errors, so that a wrong path is reported with them.
  void (*probe)(const caffe::LayerParameter&);
  // The extents of an item of the first top that the layer's text gives, 0 for others. nullptr: the data set alone
  // determines the shapes of all tops.
  ItemShape (*item)(const caffe::LayerParameter&) = nullptr;
  // The shape of the labels, the second top, for `items`; `unknown` is an extent that the data set determines. nullptr:
  // one value for each item.
  Shape (*labels)(const caffe::LayerParameter&, caffe::Phase, const Shape& items, int64_t unknown) = nullptr;
  const char* example;         // prototxt text of one layer, for `help`
  bool draws_records = false;  // at random, so that an epoch may have a record twice or not at all
};

// nullptr for a type that is not a data source.
const DataSource* find_data_source(const std::string& layer_type);

// Checks a layer of a registered data source and opens its data set. Adds problems to `diagnostics`; returns nullptr if
// there is an error.
std::unique_ptr<BatchFeed> open_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                     const Positions& positions, Diagnostics* diagnostics);

// Also registers the layer type.
struct SourceRegistration {
  explicit SourceRegistration(const DataSource& source);
};
#define REGISTER_SOURCE(name, ...) \
  static const ::trainer::SourceRegistration registration_##name(::trainer::DataSource{__VA_ARGS__})

}  // namespace trainer
