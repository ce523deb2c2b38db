// A net in one phase, ready to run: its data streams, its programs by shape, its count of passes.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compile/compile.h"
#include "config/positions.h"
#include "data/batch_stream.h"
#include "layers/lower_net.h"
#include "runtime/program.h"
#include "train/debug_info.h"
#include "train/runtime.h"

namespace trainer {

// The programs a net is compiled to. Train programs write parameter gradients to the states
// "gradients/<parameter>"; kAccumulate adds to what is there. kExtent finds the next extent that a batch's
// data decide, and the debug kinds find what debug_info says of the others: these change nothing.
enum class ProgramKind { kForward, kTrain, kAccumulate, kExtent, kDebugForward, kDebugTrain, kDebugAccumulate };

// What a recurrent layer hands from one pass to the next.
struct CarriedState {
  Shape shape;
  std::vector<float> values;
};

// Where a net stands: what it takes to go on from there.
struct NetPosition {
  uint64_t passes = 0;                    // on all ranks
  std::map<std::string, Cursor> cursors;  // of each data layer, by its name
  std::map<std::string, CarriedState> carried;
};

// Shapes of tops of data layers by the tops' names, for a net that is looked at without its data sets.
using GivenShapes = std::map<std::string, Shape>;

class NetSession {
 public:
  // `net` is filtered for its state and must outlive the session, as must `positions`. Opens the data sets and lowers
  // the net for the shapes of the first batch. A data layer whose tops are all in `given` has these shapes, and its
  // data set is not opened: such a session has no batches to run on. Throws with all problems found.
  NetSession(const caffe::NetParameter& net, const Positions& positions, caffe::Phase phase, uint64_t seed,
             Runtime& runtime, GivenShapes given = {});
  ~NetSession();

  const LoweredNet& lowered() const { return *lowered_; }
  // What is suspicious about the net, as text; "" where nothing is.
  std::string warnings() const { return warnings_.render(); }
  // The parameters that gradients are made for.
  static std::vector<const ParameterInfo*> trained_parameters(const LoweredNet& net);

  // Keeps these blobs, by Caffe's names, to be read after each pass; before the first program is compiled. An unknown
  // name is a config_error.
  void keep_blobs(const std::vector<std::string>& names);

  // Layers that write files write none; before the first program is compiled.
  void write_no_files() { writes_files_ = false; }

  // From here on each pass of run_next gives its lines of debug_info, before it changes anything; empty: none.
  void set_debug_log(std::function<void(const std::string&)> log) { debug_log_ = std::move(log); }

  // Compiles the program for the batch that comes next, unless it is known. All states of parameters must be in the
  // store; gradient states too for the train programs.
  Program& program(ProgramKind kind);

  // Takes the next batch of every stream, then runs a program on it.
  void run_next(ProgramKind kind);
  // The same in two halves: the first only queues the program on a device that works beside the host, the second waits for
  // the loss.
  void queue_next(ProgramKind kind);
  void finish();
  // As run_next, adding each step's seconds.
  void run_next_timed(ProgramKind kind, std::vector<double>* seconds);
  // Where the last batch holds a NaN or infinity: "item 3 of top "data" of layer "data" (HDF5Data)"; "" where it holds
  // none.
  std::string find_bad_data() const;
  // Runs the last batch again in search of the first NaN or infinity: the layer and pass that it comes out
  // of.
  std::optional<LayerShare> find_bad_layer(ProgramKind kind);

  // After a pass: the weighted loss (0 where the net has none).
  float loss() const { return loss_; }
  // The outputs of the last pass, in the order of lowered().outputs; valid until the next call.
  const std::vector<std::vector<float>>& read_outputs();

  // After a pass: a blob of keep_blobs, by its index there, row-major.
  Shape kept_shape(size_t blob) const;
  void read_kept(size_t blob, std::vector<float>* values) const;

  // Images a pass: the largest batch size among the data sources; 0 where there is none.
  int64_t batch_size() const;
  int64_t records_per_epoch() const;
  double waited_seconds() const;
  int64_t skipped_records() const;
  // What batches take where the device finds them: on the host those made ahead, else the two places of each.
  int64_t batch_bytes() const;

  NetPosition position() const;
  // Data layers and carried states that the position does not name stay as they are.
  void seek(const NetPosition& position);

 private:
  struct Stream {
    int layer;  // index in the net
    std::unique_ptr<BatchStream> stream;
    std::unique_ptr<Uploads> uploads;       // where the device does not read the host's memory
    std::vector<Uploads::Buffer> batch{};   // the last one, a buffer for each top
  };
  struct Compiled {
    ProgramKind kind;
    std::vector<Shape> shapes;     // of the streams' tops
    std::vector<int64_t> extents;  // decided by data; empty where the net has none, or for their largest
    std::unique_ptr<Program> program;
    std::vector<int> kept;                                 // results of the blobs to be kept
    bool has_loss = false;                                 // the first that the program watches
    std::vector<std::string> label_flags;                  // consumers of the labels that the further ones count the bad of
    std::vector<std::unique_ptr<DeviceBlock>> inputs;      // zeros for Input layers
    std::map<std::string, Shape> carried;                  // shapes of its carried states, by name
    std::optional<DebugInfo> debug_info;                   // of the debug kinds
  };

  void check_given_shapes(Diagnostics* diagnostics) const;
  bool gives_shapes_of(const caffe::LayerParameter& layer) const;
  // Shapes of all the layer's tops; none where one is not given.
  std::vector<Shape> given_shapes(const caffe::LayerParameter& layer) const;
  void open_streams();
  std::vector<Shape> next_shapes();
  std::unique_ptr<LoweredNet> lower(const std::vector<Shape>& shapes, const std::vector<int64_t>& extents,
                                    ProgramKind kind, Diagnostics* warnings);
  Compiled& compiled(ProgramKind kind);
  Compiled& compiled(ProgramKind kind, const std::vector<Shape>& shapes, const std::vector<int64_t>& extents);
  // The program for the batch at hand, whose data decide extents.
  Compiled& compiled_for_data(ProgramKind kind, const std::vector<Shape>& shapes);
  // The program for what `out` says.
  void build(Fusion fusion, Compiled* out);
  // "net "lenet", phase TRAIN: ", before an error of a device.
  std::string described() const;
  void warn_of_no_gradient(const LoweredNet& net, const ParameterInfo& parameter);
  void check_parameter_shapes(const LoweredNet& net, const std::vector<Shape>& shapes) const;
  void settle_source_orders(Graph& graph) const;
  std::vector<Order> source_orders(const Program& program, const Stream& stream) const;
  bool fits_streams(const Program& program) const;
  void connect_streams(const Program& program);
  void take_batch();
  void set_batch(Program& program);
  void log_debug_info(ProgramKind kind, const std::vector<Shape>& shapes);
  Compiled& take_next(ProgramKind kind);
  // How many devices make passes of this net, and the number of the pass at hand here.
  uint64_t ranks() const;
  uint64_t pass_number() const;
  std::string stored_name(const std::string& carried, const Shape& shape) const;
  void write_carried(const std::string& name, const Shape& shape, std::vector<float> values);
  void hand_over_carried(const Compiled& next);
  bool fits_next_batch(const Compiled& compiled);

  const caffe::NetParameter& net_;
  const Positions& positions_;
  caffe::Phase phase_;
  uint64_t seed_;
  Runtime& runtime_;
  const GivenShapes given_;
  std::vector<Stream> streams_;
  Diagnostics warnings_;
  std::unique_ptr<LoweredNet> lowered_;
  std::list<Compiled> programs_;  // most recently used first
  Compiled* current_ = nullptr;
  int ordinal_;                           // among the process's sessions
  std::map<std::string, Shape> carried_;  // the form in which each carried state was last written
  uint64_t passes_ = 0;                   // on all ranks
  float loss_ = 0;
  std::vector<std::vector<float>> outputs_;
  std::vector<std::string> kept_;
  bool writes_files_ = true;
  std::function<void(const std::string&)> debug_log_;
};

}  // namespace trainer
