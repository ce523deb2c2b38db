// The data layers of a net in one phase: their streams, and the current batch of all of them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/positions.h"
#include "data/batch_stream.h"
#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/class_names.h"
#include "session/device_session.h"

namespace trainer {

// Shapes of tops of data layers by the tops' names, for a net that is inspected without its data sets.
using GivenShapes = std::map<std::string, Shape>;

// How a net reads its data.
struct DataReading {
  bool whole_epochs = false;  // each batch has records of one epoch; the records keep their own order
  std::shared_ptr<const ImageList> images = {};  // of ImageData layers, in place of their source; or nullptr
};

// A net, filtered for its state, and its device. Everything it refers to must outlive the objects made from it.
struct NetInPhase {
  const caffe::NetParameter& net;
  const Positions& positions;
  caffe::Phase phase;
  uint64_t seed;
  DeviceSession& device_session;
  ParameterMultipliers multipliers = {};
  DataReading reading = {};
};

// The net in messages: net "lenet", phase TEST.
std::string subject_of(const NetInPhase& net);

class DataLayers {
 public:
  // Opens the data sets. A layer whose tops are all in `given` has these shapes; its data set is not opened, and it
  // gives no batches. Adds problems to `problems`; a layer with an error has no stream.
  DataLayers(const NetInPhase& net, GivenShapes given, Diagnostics* problems);

  // Shapes of the tops of all streams, for the next batch and for the current one.
  std::vector<Shape> next_shapes() const;
  const std::vector<Shape>& shapes() const { return shapes_; }
  bool next_has(const std::vector<Shape>& shapes) const;
  // The shapes of the last batch of an epoch, with whole_epochs.
  std::vector<Shape> last_shapes() const;
  // The shapes of the tops of `layer`, given the `shapes` of all streams; empty for a layer without a stream and
  // without given shapes.
  std::vector<Shape> shapes_of(const caffe::LayerParameter& layer, const std::vector<Shape>& shapes) const;

  // As BatchFeed::count_labels() of a top of `layer`, or no counts if its data set is not open.
  std::optional<LabelCounts> count_labels(const caffe::LayerParameter& layer, int top);

  // True if a stream supplies this source of a graph.
  bool gives(const SourceInfo& source) const { return find(source) != nullptr; }
  // Sets the memory formats of the graph's sources to those of the running streams.
  void settle_orders(Graph& graph) const;
  // True if the running streams make batches in the memory formats that the program reads.
  bool fit(const Program& program) const;
  // Starts the workers, unless they run, in the memory formats that the program reads; they check the labels of `net`.
  void start(const Program& program, const LoweredNet& net);

  // Takes the next batch of every stream.
  void take();
  // Binds the current batch to the program.
  void hand_to(Program& program) const;
  // The position of a NaN or infinity in that batch: "item 3 of top "data" of layer "data" (HDF5Data)"; "" if there is
  // none.
  std::string find_bad_value() const;

  int64_t batch_size() const;  // the largest one; 0 without streams
  int64_t records_per_epoch() const;
  int64_t batches_per_epoch() const;
  // The records of the current batch; 0 without streams.
  int64_t items() const { return shapes_.empty() ? 0 : shapes_.front()[0]; }
  // Moves streams that are inside an epoch to the start of the next one. `share`: see BatchStream::seek.
  void start_epoch(const BatchShare& share = {});
  // Takes only the batches of the share, from the next one on; the caller calls pass_over() in place of take() for the
  // others.
  void share(const BatchShare& share);
  void pass_over();
  double waited_seconds() const;
  // Bytes of batches in the memory that the device reads: on the host those prefetched, else the two buffers of each.
  int64_t batch_bytes() const;
  // Of the first data set that has them.
  ClassNames class_names() const;
  // Of the first layer.
  std::optional<ItemColors> colors() const {
    return streams_.empty() ? std::nullopt : streams_.front().stream->colors();
  }
  // Of the first layer that reads pictures. Call before start().
  std::optional<caffe::PictureInput> picture_input() const;
  // By layer name.
  std::map<std::string, Cursor> cursors() const;
  // Other layers keep their position.
  void seek(const std::map<std::string, Cursor>& cursors, const BatchShare& share = {});

 private:
  struct Stream {
    int layer;  // index in the net
    std::unique_ptr<BatchStream> stream;
    std::unique_ptr<Uploads> uploads;                       // if the device does not read the host's memory
    std::vector<Uploads::Buffer> batch;                     // a buffer for each top
    std::map<int, std::optional<LabelCounts>> counts = {};  // by top, of those counted
  };

  bool is_given(const caffe::LayerParameter& layer) const;
  // The shapes of all tops of the layer; empty if one is not given.
  std::vector<Shape> given_shapes(const caffe::LayerParameter& layer) const;
  void check_given(Diagnostics* diagnostics) const;
  void check_epochs(Diagnostics* diagnostics) const;
  void check_written_files(Diagnostics* diagnostics) const;
  void open(int layer, Diagnostics* problems);
  const Stream* find(const SourceInfo& source) const;

  const NetInPhase net_;
  const GivenShapes given_;
  std::vector<Stream> streams_;
  std::vector<Shape> shapes_;
};

// The source that a value is a view of; nullptr if there is none.
const SourceInfo* source_behind(const Graph& graph, int value);

}  // namespace trainer
