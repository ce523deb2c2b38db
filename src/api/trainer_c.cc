// The C interface: handles own objects of the C++ interface, and no exception leaves a function.
#include "trainer/trainer_c.h"

#include <algorithm>
#include <stdexcept>

#include "api/c_options.h"
#include "base/caught_error.h"

using trainer::config_error;
using trainer::Dims;

struct trainer_options {
  trainer::COptions options;
};

struct trainer_net {
  explicit trainer_net(const trainer::NetOptions& options)
      : net(options), inputs(net.inputs()), outputs(net.outputs()) {}
  trainer::Net net;
  const std::vector<std::string> inputs, outputs;
};

struct trainer_solver {
  explicit trainer_solver(const trainer::SolverOptions& options) : solver(options) {}
  trainer::Solver solver;
};

namespace {

thread_local std::string last_error;

// The exception of a callback that is a C++ function.
struct CallbackFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Calls a function of the caller.
template <typename Function, typename... Arguments>
auto call_back(Function function, Arguments... arguments) {
  try {
    return function(arguments...);
  } catch (const std::exception& error) {
    throw CallbackFailure(error.what());
  } catch (...) {
    throw CallbackFailure("a callback threw an exception without a text");
  }
}

template <typename Body>
trainer_status guarded(const Body& body) noexcept {
  try {
    body();
    return TRAINER_OK;
  } catch (const CallbackFailure& failure) {
    last_error = failure.what();
    return TRAINER_CALLBACK;
  } catch (...) {
    const trainer::Error error = trainer::caught_error(true);
    last_error = error.what();
    return static_cast<trainer_status>(error.code());
  }
}

template <typename T>
T& required(T* argument, const char* name) {
  if (argument == nullptr) throw config_error("the argument {} is NULL", name);
  return *argument;
}

std::string text(const char* argument, const char* name) { return &required(argument, name); }

Dims dims_of(const int64_t* dims, int axes) {
  if (axes < 0) throw config_error("the argument axes is {}: give the number of extents", axes);
  if (axes > 0) required(dims, "dims");
  return Dims(dims, dims + axes);
}

template <typename T>
std::span<T> array(T* values, size_t count) {
  if (count > 0) required(values, "values");
  return {values, count};
}

void copy_dims(const Dims& from, int64_t* dims, int capacity, int* axes) {
  if (capacity > 0)
    std::copy_n(from.data(), std::min(from.size(), static_cast<size_t>(capacity)), &required(dims, "dims"));
  required(axes, "axes") = static_cast<int>(from.size());
}

const char* name_at(const std::vector<std::string>& names, int index) {
  if (index < 0 || static_cast<size_t>(index) >= names.size())
    throw config_error("the argument index is {}: there are {} names", index, names.size());
  return names[static_cast<size_t>(index)].c_str();
}

trainer::TrainRequest request_of(trainer_request request) {
  switch (request) {
    case TRAINER_SNAPSHOT: return trainer::TrainRequest::kSnapshot;
    case TRAINER_STOP: return trainer::TrainRequest::kStop;
    default: return trainer::TrainRequest::kContinue;
  }
}

trainer::TrainCallbacks callbacks_of(const trainer_callbacks& given) {
  if (given.size < sizeof(trainer_callbacks))
    throw config_error("the size of trainer_callbacks is {}: set it to sizeof(trainer_callbacks)", given.size);
  trainer::TrainCallbacks callbacks;
  if (given.iteration != nullptr)
    callbacks.iteration = [given](const trainer::StepProgress& progress) {
      return request_of(
          call_back(given.iteration, given.user, progress.iteration, progress.loss, progress.learning_rate));
    };
  if (given.test != nullptr)
    callbacks.test = [given](const trainer::TestResult& result) {
      for (const trainer::OutputValue& output : result.outputs)
        call_back(given.test, given.user, result.iteration, result.net, output.name.c_str(), output.value);
    };
  if (given.snapshot != nullptr)
    callbacks.snapshot = [given](const trainer::SnapshotFiles& files) {
      call_back(given.snapshot, given.user, files.iteration, files.weights.c_str(), files.state.c_str());
    };
  return callbacks;
}

}  // namespace

const char* trainer_last_error(void) { return last_error.c_str(); }

trainer_status trainer_options_create(trainer_options** options) {
  return guarded([&] { required(options, "options") = new trainer_options(); });
}

void trainer_options_destroy(trainer_options* options) { delete options; }

trainer_status trainer_options_set(trainer_options* options, const char* name, const char* value) {
  return guarded([&] { required(options, "options").options.set(text(name, "name"), text(value, "value")); });
}

trainer_status trainer_options_set_input_shape(trainer_options* options, const char* input, const int64_t* dims,
                                               int axes) {
  return guarded(
      [&] { required(options, "options").options.set_input_shape(text(input, "input"), dims_of(dims, axes)); });
}

trainer_status trainer_options_set_log(trainer_options* options, trainer_log_function log, void* user) {
  return guarded([&] {
    trainer::LogFunction function;
    if (log != nullptr)
      function = [log, user](trainer::LogLevel level, std::string_view line) {
        call_back(log, user, level == trainer::LogLevel::kWarning, std::string(line).c_str());
      };
    required(options, "options").options.set_log(std::move(function));
  });
}

trainer_status trainer_net_open(const trainer_options* options, trainer_net** net) {
  return guarded([&] {
    trainer_net*& out = required(net, "net");
    out = new trainer_net(required(options, "options").options.net());
  });
}

void trainer_net_close(trainer_net* net) { delete net; }

trainer_status trainer_net_input_count(const trainer_net* net, int* count) {
  return guarded([&] { required(count, "count") = static_cast<int>(required(net, "net").inputs.size()); });
}

trainer_status trainer_net_input_name(const trainer_net* net, int index, const char** name) {
  return guarded([&] { required(name, "name") = name_at(required(net, "net").inputs, index); });
}

trainer_status trainer_net_output_count(const trainer_net* net, int* count) {
  return guarded([&] { required(count, "count") = static_cast<int>(required(net, "net").outputs.size()); });
}

trainer_status trainer_net_output_name(const trainer_net* net, int index, const char** name) {
  return guarded([&] { required(name, "name") = name_at(required(net, "net").outputs, index); });
}

trainer_status trainer_net_shape(const trainer_net* net, const char* blob, int64_t* dims, int capacity, int* axes) {
  return guarded([&] { copy_dims(required(net, "net").net.shape(text(blob, "blob")), dims, capacity, axes); });
}

trainer_status trainer_net_set_input(trainer_net* net, const char* input, const float* values, size_t count,
                                     const int64_t* dims, int axes) {
  return guarded([&] {
    trainer::Net& filled = required(net, "net").net;
    if (dims == nullptr) {
      filled.set_input(text(input, "input"), array(values, count));
    } else {
      filled.set_input(text(input, "input"), array(values, count), dims_of(dims, axes));
    }
  });
}

trainer_status trainer_net_forward(trainer_net* net) {
  return guarded([&] { required(net, "net").net.forward(); });
}

trainer_status trainer_net_loss(const trainer_net* net, float* loss) {
  return guarded([&] { required(loss, "loss") = required(net, "net").net.loss(); });
}

trainer_status trainer_net_read(const trainer_net* net, const char* blob, float* values, size_t count) {
  return guarded([&] { required(net, "net").net.read(text(blob, "blob"), array(values, count)); });
}

trainer_status trainer_net_learned_shape(const trainer_net* net, const char* layer, int blob, int64_t* dims,
                                         int capacity, int* axes) {
  return guarded(
      [&] { copy_dims(required(net, "net").net.learned_shape(text(layer, "layer"), blob), dims, capacity, axes); });
}

trainer_status trainer_net_read_learned(const trainer_net* net, const char* layer, int blob, float* values,
                                        size_t count) {
  return guarded([&] {
    const std::vector<float> read = required(net, "net").net.read_learned(text(layer, "layer"), blob);
    if (read.size() != count)
      throw config_error("learned blob {} of layer \"{}\" has {} elements, and the array has {}", blob, layer,
                         read.size(), count);
    std::copy(read.begin(), read.end(), array(values, count).begin());
  });
}

trainer_status trainer_net_write_learned(trainer_net* net, const char* layer, int blob, const float* values,
                                         size_t count) {
  return guarded([&] { required(net, "net").net.write_learned(text(layer, "layer"), blob, array(values, count)); });
}

trainer_status trainer_net_save_weights(const trainer_net* net, const char* path) {
  return guarded([&] { required(net, "net").net.save_weights(text(path, "path")); });
}

trainer_status trainer_solver_open(const trainer_options* options, trainer_solver** solver) {
  return guarded([&] {
    trainer_solver*& out = required(solver, "solver");
    out = new trainer_solver(required(options, "options").options.solver());
  });
}

void trainer_solver_close(trainer_solver* solver) { delete solver; }

trainer_status trainer_solver_train(trainer_solver* solver, const trainer_callbacks* callbacks, int* completed) {
  return guarded([&] {
    trainer::Solver& trained = required(solver, "solver").solver;
    const bool done = trained.train(callbacks == nullptr ? trainer::TrainCallbacks() : callbacks_of(*callbacks));
    if (completed != nullptr) *completed = done;
  });
}

trainer_status trainer_solver_save_weights(const trainer_solver* solver, const char* path) {
  return guarded([&] { required(solver, "solver").solver.save_weights(text(path, "path")); });
}
