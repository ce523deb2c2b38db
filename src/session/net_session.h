// A net in one phase, ready to run: batch after batch, from where it stands.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "session/carried_states.h"
#include "session/data_layers.h"
#include "session/net_programs.h"

namespace trainer {

// Where a net stands: what it takes to go on from there.
struct NetPosition {
  uint64_t passes = 0;                    // on all ranks
  std::map<std::string, Cursor> cursors;  // of each data layer, by its name
  std::map<std::string, CarriedState> carried;
};

class NetSession {
 public:
  // `net` is filtered for its state and must outlive the session, as must `positions`. Opens the data sets, but those
  // of layers whose tops are all in `given`, and lowers the net for the shapes of the first batch. Throws with all
  // problems found.
  NetSession(const caffe::NetParameter& net, const Positions& positions, caffe::Phase phase, uint64_t seed,
             DeviceSession& device_session, GivenShapes given = {});

  const LoweredNet& lowered() const { return programs_.lowered(); }
  const DataLayers& data() const { return data_; }
  // What is suspicious about the net, as text; "" where nothing is.
  std::string warnings() const { return warnings_.render(); }
  // Images a pass: the largest batch size among the data sources; 0 where there is none.
  int64_t batch_size() const;

  // Before the first program is compiled: keeps these blobs, by Caffe's names, to be read after each pass, of which an
  // unknown one is a config_error; and lets layers that write files write none.
  void keep_blobs(const std::vector<std::string>& names) { programs_.keep_blobs(names); }
  void write_no_files() { programs_.write_no_files(); }
  // From here on each pass of run_next gives its lines of debug_info, before it changes anything; empty: none.
  void set_debug_log(std::function<void(const std::string&)> log) { debug_log_ = std::move(log); }

  // Compiles the program for the batch that comes next, unless it is known. All states of parameters must be in the
  // store; gradient states too for the train programs.
  Program& program(ProgramKind kind) { return *programs_.next(kind).program; }

  // Takes the next batch of every stream, then runs a program on it.
  void run_next(ProgramKind kind);
  // The same in two halves: the first only queues the program on a device that works beside the host, the second waits
  // for the loss. Before it a further pass may be queued, where neither makes gradients. With `outputs`, read_outputs
  // finds those of this pass whatever ran meanwhile, and as a rule waits for this pass only.
  void queue_next(ProgramKind kind, bool outputs = false);
  void finish();
  // Whether it pays to queue a pass before the one before it is finished.
  bool runs_ahead() const { return !net_.device_session.device->is_host() && !debug_log_; }
  // As run_next, adding each step's seconds.
  void run_next_timed(ProgramKind kind, std::vector<double>* seconds);
  // Runs the last batch again in search of the first NaN or infinity: the layer and pass that it comes out of.
  std::optional<LayerShare> find_bad_layer();

  // Of the pass finished last: the weighted loss (0 where the net has none).
  float loss() const { return loss_; }
  // Its outputs, in the order of lowered().outputs; valid until a pass is queued.
  const std::vector<std::vector<float>>& read_outputs();
  // A blob of keep_blobs, by its index there, row-major; before another pass is queued.
  Shape kept_shape(size_t blob) const;
  void read_kept(size_t blob, std::vector<float>* values) const;

  NetPosition position() const { return {passes_, data_.cursors(), carried_.values()}; }
  // Data layers and carried states that the position does not name stay as they are.
  void seek(const NetPosition& position);

 private:
  struct Pass {
    NetProgram* program = nullptr;
    bool outputs_sent = false, outputs_read = false;
    std::vector<std::vector<float>> outputs;
  };

  NetProgram& take_next(ProgramKind kind);
  void queue(ProgramKind kind, bool outputs, std::vector<double>* seconds);
  Pass& finished() { return last_[(newest_ + unfinished_) % 2]; }
  const Pass& finished() const { return last_[(newest_ + unfinished_) % 2]; }
  std::span<const float> async_results(const Pass& pass) const;
  void read_outputs(Pass* pass) const;
  // The program for the batch at hand, whose data decide extents.
  NetProgram& program_for_data(ProgramKind kind);
  void log_debug_info(ProgramKind kind);
  // How many devices make passes of this net, and the number of the pass at hand here.
  uint64_t ranks() const;
  uint64_t pass_number() const;

  const NetInPhase net_;
  Diagnostics warnings_;
  CarriedStates carried_;
  DataLayers data_;
  NetPrograms programs_;
  std::array<Pass, 2> last_;
  size_t newest_ = 0, unfinished_ = 0;  // of these passes
  uint64_t passes_ = 0;                 // on all ranks
  float loss_ = 0;
  std::function<void(const std::string&)> debug_log_;
};

}  // namespace trainer
