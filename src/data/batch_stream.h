// The batches of one data layer, in order, made ahead by worker threads: the public face of this room.
//
// Order and content depend on the layer, the data, the seed and the cursor only, never on the number of
// workers or on timing. Records are numbered by a running offset that counts on across epochs; with `world` >
// 1 in phase TRAIN a record with offset r belongs to rank r mod world.
//
// A stream is used by one thread. next_batch_descs(), start(), seek() and next() throw data_error for wrong data; the
// message begins with the layer. Batches before a wrong record are still handed out; next() then throws, and throws the
// same again when called again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host_memory.h"
#include "tensor/shape.h"
#include "trainer.pb.h"

namespace trainer {

// Where a stream stands: what a snapshot keeps. The same on every rank.
struct Cursor {
  uint64_t records = 0;  // running offset of the first record not yet handed out
  uint64_t epoch = 0;    // records / records_per_epoch; kept for people and reports, seek() ignores it
  std::string content;   // BatchFeed::content() of the data set, for a resumed run to compare; seek() ignores it
};

// What a consumer demands of a label: a whole number in [0, classes), or exactly `ignore`.
struct LabelLimit {
  int64_t classes = 0;
  std::optional<int> ignore;
  std::string consumer;  // for the message: layer "loss" (SoftmaxWithLoss)
};

struct StreamOptions {
  caffe::Phase phase = caffe::TRAIN;
  uint64_t seed = 0;
  std::string net_name;
  // Worker threads where the layer does not name a number (`workers` of its message); 0: by the cores this
  // process may use, at least 1. HDF5 is always read by one.
  int workers = 0;
  int rank = 0;
  int world = 1;
  std::vector<MemoryFormat> orders;           // wanted physical order of each top; row-major where missing
  HostMemory* memory = &HostMemory::plain();  // of the batches; outlives the stream
  // Lines for the log (a long scan, a skipped record); always called from the thread that uses the stream.
  std::function<void(const std::string&)> log;
};

class Diagnostics;
class Pipeline;
class Positions;

class BatchStream {
 public:
  // Checks a layer of a registered data source, opens its data set and checks all that can be checked without reading
  // it whole. Adds problems to `diagnostics`; nullptr if there is an error.
  static std::unique_ptr<BatchStream> open(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           const Positions& positions, Diagnostics* diagnostics);
  // Checks such a layer, whose shapes are given, without its data set.
  static void check(const caffe::LayerParameter& layer, const Positions& positions, Diagnostics* diagnostics);
  ~BatchStream();
  BatchStream(const BatchStream&) = delete;
  BatchStream& operator=(const BatchStream&) = delete;

  // Shape (batch size first), f32 and order of each top of the batch that next() will give. Constant from
  // batch to batch except for pictures of varying size without crop. Waits for that batch to be begun. The
  // reference is good until the next call of next_batch_descs(), next() or seek().
  const std::vector<TensorDesc>& next_batch_descs();

  // Before start(). A rank below 3 stays row-major whatever is asked.
  void set_orders(const std::vector<MemoryFormat>& orders);
  // Before start(). May be called several times for one top: each limit is demanded.
  void set_label_limit(int top, const LabelLimit& limit);

  // Workers begin. Buffers are allocated here, for (prefetch + 1) batches.
  void start();
  bool started() const;
  // Blocks until the next batch is complete. Throws where it cannot be made; the cursor stays before it.
  void await_next();
  // Buffers of the next batch, one per top, 64-byte aligned, row-major or channels-last as next_batch_descs() says;
  // theirs until the following call of await_next(), next() or seek(). Blocks as await_next() does.
  const std::vector<void*>& next();

  // Total time that await_next(), next() and next_batch_descs() have blocked.
  double waited_seconds() const;
  Cursor cursor() const;
  // Goes on from `cursor`, workers included where they run: the batches that follow are bit for bit those of
  // a stream that was never stopped.
  void seek(const Cursor& cursor);

  int64_t batch_size() const;
  int64_t records_per_epoch() const;
  int64_t skipped_records() const;  // bad records left out of the batches handed out so far
  int workers() const;
  int64_t buffer_bytes() const;            // what start() takes for batches of the present layout
  std::vector<std::string> files() const;  // of BatchFeed

 private:
  BatchStream(std::unique_ptr<Pipeline> pipeline, std::string layer, std::string content);
  // Runs `action`; an Error that it throws then names the layer.
  template <typename Action>
  decltype(auto) named(const Action& action) const;

  std::unique_ptr<Pipeline> pipeline_;
  std::string layer_;  // layer "data" (Data)
  std::string content_;
};

}  // namespace trainer
