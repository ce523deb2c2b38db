// The batches of one data layer, in order, prefetched by worker threads. This is the public interface of this room.
//
// Order and content depend only on the layer, the data, the seed and the cursor, never on the number of workers or on
// timing. Records are numbered by a running offset that continues across epochs. With `world` > 1 in phase TRAIN, the
// record with offset r belongs to rank r mod world.
//
// One thread uses a stream. next_batch_descs(), start(), seek() and next() throw data_error for wrong data; the message
// begins with the layer. Batches before a wrong record are still returned; then next() throws, and every later call
// throws the same error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host_memory.h"
#include "data/batch_feed.h"
#include "data/pictures/pixel_view.h"
#include "tensor/shape.h"
#include "trainer.pb.h"

namespace trainer {

// The position of a stream, which a snapshot stores. It is the same on every rank.
struct Cursor {
  uint64_t records = 0;  // running offset of the first record not yet returned
  uint64_t epoch = 0;    // records / records_per_epoch; for people and reports, seek() ignores it
  std::string content;   // BatchFeed::content() of the data set, for a resumed run to compare; seek() ignores it
};

class ImageList;

struct StreamOptions {
  caffe::Phase phase = caffe::TRAIN;
  uint64_t seed = 0;
  std::string net_name;
  // The records keep their own order, each once an epoch, and are not mixed, whatever the layer says.
  bool in_order = false;
  // The images of an ImageData layer, in place of its source.
  std::shared_ptr<const ImageList> images;
  // No batch has records of two epochs: the last batch of an epoch may be smaller. Needs in_order and one rank.
  bool whole_epochs = false;
  // Number of worker threads if the layer does not set it (`workers` of its message). 0: derived from the cores that
  // this process may use, at least 1. HDF5 always has one worker.
  int workers = 0;
  int rank = 0;
  int world = 1;
  int processes = 1;                          // in which the ranks are
  std::vector<MemoryFormat> orders;           // wanted memory format of each top; row-major if missing
  HostMemory* memory = &HostMemory::plain();  // of the batches; outlives the stream
  // Lines for the log (a long scan, a skipped record); always called from the thread that uses the stream.
  std::function<void(const std::string&)> log;
  // A line about the data set that is not a warning.
  std::function<void(const std::string&)> note;
};

class Diagnostics;
class Pipeline;
class Positions;

class BatchStream {
 public:
  // Checks a layer of a registered data source, opens its data set and checks all that can be checked without reading
  // all of it. Adds problems to `diagnostics`; returns nullptr if there is an error.
  static std::unique_ptr<BatchStream> open(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           const Positions& positions, Diagnostics* diagnostics);
  // Checks a layer whose shapes are given, without its data set.
  static void check(const caffe::LayerParameter& layer, const Positions& positions, Diagnostics* diagnostics);
  ~BatchStream();
  BatchStream(const BatchStream&) = delete;
  BatchStream& operator=(const BatchStream&) = delete;

  // Shape (batch size first), f32 and memory format of each top of the next batch. Constant across batches, except for
  // pictures of varying size without crop. Waits until a worker begins that batch. The reference is valid until the
  // next call of next_batch_descs(), next() or seek().
  const std::vector<TensorDesc>& next_batch_descs();

  // Call before start(). A rank below 3 is always row-major.
  void set_orders(const std::vector<MemoryFormat>& orders);
  // Call before start(). Several calls for one top add ranges: a label must be in each. Throws data_error if the data
  // has more classes than a range.
  void add_label_range(int top, const LabelRange& range);

  // As BatchFeed::count_labels(). Call before start().
  std::optional<LabelCounts> count_labels(int top);

  // Starts the workers. Allocates buffers for (prefetch + 1) batches.
  void start();
  bool started() const;
  // Blocks until the next batch is complete. Throws if it cannot be made; the cursor then stays before it.
  void await_next();
  // Buffers of the next batch, one per top, 64-byte aligned, row-major or channels-last as in next_batch_descs(). They
  // are valid until the next call of await_next(), next() or seek(). Blocks as await_next() does.
  const std::vector<void*>& next();

  // Total time that await_next(), next() and next_batch_descs() have blocked.
  double waited_seconds() const;
  Cursor cursor() const;
  // The next batch is another's, by the share of seek(): steps over it in place of next(). next_batch_descs() and
  // await_next() are of the next batch of the share.
  void pass_over();
  // Continues from `cursor`, with running workers if there are any. The following batches are bit for bit those of an
  // uninterrupted stream. With a `share` of the batches, in phase TEST, the stream makes only these: the caller calls
  // next() or pass_over() for each batch.
  void seek(const Cursor& cursor, const BatchShare& share = {});

  int64_t batch_size() const;
  int64_t records_per_epoch() const;
  int64_t skipped_records() const;  // bad records skipped in the batches returned so far
  int workers() const;
  int64_t buffer_bytes() const;                  // bytes that start() allocates for batches of the current layout
  std::vector<std::string> files() const;        // as BatchFeed::files()
  std::vector<std::string> class_names() const;  // as BatchFeed::class_names()
  std::optional<ItemColors> colors() const;      // as BatchFeed::colors()
  ItemShape stored_shape();                      // as stored_shape() of the feed, of pictures. Call before start().

 private:
  BatchStream(std::unique_ptr<Pipeline> pipeline, std::string layer, std::string content);
  // Runs `action`; adds the layer's name to an Error that it throws.
  template <typename Action>
  decltype(auto) named(const Action& action) const;

  std::unique_ptr<Pipeline> pipeline_;
  std::string layer_;  // layer "data" (Data)
  std::string content_;
};

}  // namespace trainer
