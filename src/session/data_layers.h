// The data layers of a net in one phase: their streams, and the batch of all of them that a pass works on.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/positions.h"
#include "data/batch_stream.h"
#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/device_session.h"

namespace trainer {

// Shapes of tops of data layers by the tops' names, for a net that is looked at without its data sets.
using GivenShapes = std::map<std::string, Shape>;

// A net, filtered for its state, and what it runs on. All that is referred to outlives what is made from it.
struct NetInPhase {
  const caffe::NetParameter& net;
  const Positions& positions;
  caffe::Phase phase;
  uint64_t seed;
  DeviceSession& device_session;
};

class DataLayers {
 public:
  // Opens the data sets. A layer whose tops are all in `given` has these shapes, and its data set is not opened: it
  // gives no batches. Adds problems to `problems`; a layer with an error has no stream.
  DataLayers(const NetInPhase& net, GivenShapes given, Diagnostics* problems);

  // Shapes of the tops of all streams, for the batch that comes next and for the one taken last.
  std::vector<Shape> next_shapes() const;
  const std::vector<Shape>& shapes() const { return shapes_; }
  bool next_has(const std::vector<Shape>& shapes) const;
  // Of the tops of `layer` where those of all streams are `shapes`; none for a layer that has neither a stream nor
  // given shapes.
  std::vector<Shape> shapes_of(const caffe::LayerParameter& layer, const std::vector<Shape>& shapes) const;

  // Whether a stream gives this source of a graph.
  bool gives(const SourceInfo& source) const { return find(source) != nullptr; }
  // Batches of streams that run already lie as they do: gives the graph's sources their orders.
  void settle_orders(Graph& graph) const;
  // Whether the streams that run make batches in the orders that the program reads.
  bool fit(const Program& program) const;
  // Workers begin, unless they run: in the orders that the program reads, checking the labels of `net`.
  void start(const Program& program, const LoweredNet& net);

  // Takes the next batch of every stream.
  void take();
  // Lets the program read the batch that was taken.
  void hand_to(Program& program) const;
  // Where that batch holds a NaN or infinity: "item 3 of top "data" of layer "data" (HDF5Data)"; "" where it holds
  // none.
  std::string find_bad_value() const;

  int64_t batch_size() const;  // the largest; 0 where there is no stream
  int64_t records_per_epoch() const;
  double waited_seconds() const;
  // What batches take where the device finds them: on the host those made ahead, else the two places of each.
  int64_t batch_bytes() const;
  // By the layers' names.
  std::map<std::string, Cursor> cursors() const;
  // Layers that are not named stay as they are.
  void seek(const std::map<std::string, Cursor>& cursors);

 private:
  struct Stream {
    int layer;  // index in the net
    std::unique_ptr<BatchStream> stream;
    std::unique_ptr<Uploads> uploads;    // where the device does not read the host's memory
    std::vector<Uploads::Buffer> batch;  // a buffer for each top
  };

  bool is_given(const caffe::LayerParameter& layer) const;
  // Of all the layer's tops; none where one is not given.
  std::vector<Shape> given_shapes(const caffe::LayerParameter& layer) const;
  void check_given(Diagnostics* diagnostics) const;
  void check_written_files(Diagnostics* diagnostics) const;
  void open(int layer, Diagnostics* problems);
  const Stream* find(const SourceInfo& source) const;

  const NetInPhase net_;
  const GivenShapes given_;
  std::vector<Stream> streams_;
  std::vector<Shape> shapes_;
};

// The source that a value is a view of; nullptr where it is none.
const SourceInfo* source_behind(const Graph& graph, int value);

}  // namespace trainer
