// A net in one phase that runs batch after batch.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/weight_notes.h"
#include "session/carried_states.h"
#include "session/data_layers.h"
#include "session/net_programs.h"

namespace trainer {

// Whether Input layers hold zeros or the arrays of set_input.
enum class InputUse { kZeros, kArrays };

// All that a net needs to continue from its current batch.
struct NetPosition {
  uint64_t passes = 0;                    // on all ranks
  std::map<std::string, Cursor> cursors;  // of each data layer, by its name
  std::map<std::string, CarriedState> carried;
};

class NetSession {
 public:
  // `net` is filtered for its state. `net` and `positions` must outlive the session. Opens the data sets, except those
  // of layers whose tops are all in `given`, and lowers the net for the shapes of the first batch. Throws with all
  // problems found.
  NetSession(const caffe::NetParameter& net, const Positions& positions, caffe::Phase phase, uint64_t seed,
             DeviceSession& device_session, GivenShapes given = {}, InputUse use = InputUse::kZeros,
             ParameterMultipliers multipliers = {}, DataReading reading = {});

  const LoweredNet& lowered() const { return programs_.lowered(); }
  const DataLayers& data() const { return data_; }
  // The warnings about the net as text; "" if there are none.
  std::string warnings() const { return warnings_.render(); }
  const Diagnostics& warning_list() const { return warnings_; }
  // Images per pass: the largest batch size of the data sources; 0 if there are none.
  int64_t batch_size() const;

  // The names of the classes: those of the data, of the net's text or of its weights, the first of them that exist.
  const ClassNames& class_names() const { return notes_.class_names; }
  // What weight files of this net say: the names of the classes, and in phase TEST how pictures are prepared, from the
  // same sources.
  const WeightNotes& notes() const { return notes_; }
  // Adds what is not known from the data and the net.
  void add_notes(const WeightNotes& notes) { notes_.complete(notes); }

  // The array that fills this top of an Input layer until another one is set; it must stay valid as long. See
  // InputArrays::set.
  void set_input(const std::string& top, std::span<const float> values, const std::optional<Shape>& shape) {
    inputs_.set(top, values, shape);
  }
  const InputArrays& inputs() const { return inputs_; }

  // Whether each pass over the data ends with a batch of the records that are left.
  bool reads_whole_epochs() const { return net_.reading.whole_epochs; }
  // With whole epochs: the next batch is the first one of an epoch.
  void start_epoch() { data_.start_epoch(share()); }

  Group* group() const { return net_.device_session.group; }
  uint64_t passes() const { return passes_; }  // see NetPosition

  // Before the first program: prepares the net for evaluate().
  void measure();
  // In phase TEST, the processes of the device session's group share the batches of a net: batch p of the position's
  // numbering (see NetPosition::passes) belongs to process p mod their number. Not if its passes change states, which
  // the next pass may read, or write files.
  void share_batches();
  bool shares_batches() const { return sharers_ > 1; }
  // The process that the next batch belongs to; 0 if they do not share.
  int next_owner() const { return static_cast<int>(passes_ % sharers_); }
  bool owns_next() const { return passes_ % sharers_ == own_share_; }
  // In place of a pass over a batch of another process.
  void pass_over();

  // See NetPrograms.
  void keep_blobs(const std::vector<std::string>& names) { programs_.keep_blobs(names); }
  void write_no_files() { programs_.write_no_files(); }
  void freeze(const std::vector<std::string>& patterns) { programs_.freeze(patterns); }
  double seconds_in_sums() const { return programs_.seconds_in_sums(); }
  // Each further pass first logs its lines of debug_info; an empty function logs none.
  void set_debug_log(std::function<void(const std::string&)> log) { debug_log_ = std::move(log); }

  // The program for the next batch, compiled if necessary. The store must have the states of all parameters, and for
  // train programs their gradients.
  std::shared_ptr<const Program> program(ProgramKind kind) {
    const std::shared_ptr<NetProgram> next = programs_.next(kind);
    return {next, next->program.get()};
  }

  // Takes the next batch of every stream, then runs a program on it.
  void run_next(ProgramKind kind);
  // run_next in two steps: queue_next queues the program, finish waits for the loss. If neither pass makes gradients, a
  // second pass may be queued before the first is finished. With `outputs`, read_outputs returns the outputs of this
  // pass even if another was queued since, and as a rule waits for this pass only. `next` runs after the pass: see
  // Program::run.
  void queue_next(ProgramKind kind, bool outputs = false, Program* next = nullptr);
  void finish();
  // Whether queueing a pass before the previous one is finished saves time.
  bool runs_ahead() const { return !net_.device_session.device->is_host() && !debug_log_; }
  // As run_next; adds the seconds of each step.
  void run_next_timed(ProgramKind kind, std::vector<double>* seconds);
  // Runs the last batch again and returns the layer and pass that produce the first NaN or infinity.
  std::optional<LayerShare> find_bad_layer();

  // The weighted loss of the pass finished last; 0 if the net has none.
  float loss() const { return loss_; }
  // The outputs of that pass, in the order of lowered().outputs; valid until a pass is queued.
  const std::vector<std::vector<float>>& read_outputs();
  // What that pass measured (see NetProgram), after read_outputs, and the records of its batch.
  const std::vector<std::vector<float>>& measured() const { return finished().measured; }
  const std::vector<std::vector<float>>& counted() const { return finished().counted; }
  int64_t items() const { return finished().items; }
  // A blob of keep_blobs, by its index there, row-major; valid until another pass is queued.
  Shape kept_shape(size_t blob) const;
  void read_kept(size_t blob, float* values) const;

  NetPosition position() const { return {passes_, data_.cursors(), carried_.values()}; }
  // Data layers and carried states that the position does not name keep their position and value.
  void seek(const NetPosition& position);

 private:
  struct Pass {
    std::shared_ptr<const NetProgram> program;
    bool outputs_sent = false, outputs_read = false;
    std::vector<std::vector<float>> outputs, measured, counted;
    int64_t items = 0;
  };

  std::shared_ptr<NetProgram> take_next(ProgramKind kind);
  void queue(ProgramKind kind, bool outputs, Program* next, std::vector<double>* seconds);
  Pass& finished() { return last_[(newest_ + unfinished_) % 2]; }
  const Pass& finished() const { return last_[(newest_ + unfinished_) % 2]; }
  std::span<const float> async_results(const Pass& pass) const;
  const float* read_results(const NetProgram& program, const std::vector<int>& results, const float* sent,
                            std::vector<std::vector<float>>* out) const;
  void read_outputs(Pass* pass) const;
  // The program for the current batch, with the extents that depend on its data.
  std::shared_ptr<NetProgram> program_for_data(ProgramKind kind);
  void hand_batch_to(NetProgram& program) const;
  void log_debug_info(ProgramKind kind);
  // The number of devices that run this net, and the number of the current pass on this one.
  uint64_t ranks() const;
  uint64_t pass_number() const;
  // Why the processes of a group do not share its batches; "" if they do.
  std::string refuse_to_share() const;
  // Of the batches from the next one on.
  BatchShare share() const { return {(own_share_ + sharers_ - passes_ % sharers_) % sharers_, sharers_}; }

  const NetInPhase net_;
  Diagnostics warnings_;
  CarriedStates carried_;
  InputArrays inputs_;
  DataLayers data_;
  WeightNotes notes_;
  NetPrograms programs_;
  std::array<Pass, 2> last_;
  size_t newest_ = 0, unfinished_ = 0;  // of these passes
  uint64_t passes_ = 0;                 // on all ranks
  uint64_t own_share_ = 0, sharers_ = 1;
  float loss_ = 0;
  std::function<void(const std::string&)> debug_log_;
};

}  // namespace trainer
