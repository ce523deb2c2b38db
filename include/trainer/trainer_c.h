/* The C interface of libtrainer.so, on top of the C++ interface trainer.h, which says more about each function.
 *
 * A function that can fail returns a status, and leaves its results as they were. TRAINER_INTERNAL to TRAINER_DEVICE
 * are the codes that the program `trainer` would exit with. trainer_last_error() has the text. Strings are UTF-8 and
 * end with a zero byte.
 *
 * Threads: one thread at a time uses a handle; different handles may be used in different threads at the same time.
 */
#ifndef TRAINER_TRAINER_C_H
#define TRAINER_TRAINER_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counts up when a function is added; a program built for a version runs with the same or a later one. */
#define TRAINER_API_VERSION 1
int trainer_api_version(void);
/* Version of the library, such as "0.1.0". */
const char* trainer_version(void);

typedef enum trainer_status {
  TRAINER_OK = 0,
  TRAINER_INTERNAL = 1,      /* a bug in trainer */
  TRAINER_CONFIGURATION = 2, /* an argument, an option, a net or a solver */
  TRAINER_DATA = 3,          /* a data set, weight file or snapshot; a file that cannot be read or written */
  TRAINER_DIVERGED = 4,      /* the loss is NaN or infinite */
  TRAINER_DEVICE = 5,        /* a device that is not there, or too little memory */
  TRAINER_CALLBACK = 100     /* a C++ callback threw an exception; the text is its what() */
} trainer_status;

/* The text of the last failure in this thread; "" before the first one. Valid until the next failure in this thread. */
const char* trainer_last_error(void);

typedef struct trainer_options trainer_options;
typedef struct trainer_net trainer_net;
typedef struct trainer_solver trainer_solver;

/* Options for nets and solvers. Opening one copies them. */
trainer_status trainer_options_create(trainer_options** options);
void trainer_options_destroy(trainer_options* options);
/* Sets an option by the name of its field in trainer.h. Of a list ("set", "fill", "stages", "keep"; "weights" of a
 * solver) each call adds an entry; a bool is "true" or "false"; "phase" is "train" or "test". */
trainer_status trainer_options_set(trainer_options* options, const char* name, const char* value);
/* The shape of a top of an Input layer, in place of that in the net. */
trainer_status trainer_options_set_input_shape(trainer_options* options, const char* input, const int64_t* dims,
                                               int axes);
/* Receives the lines of the log; `warning` is 0 or 1. */
typedef void (*trainer_log_function)(void* user, int warning, const char* line);
trainer_status trainer_options_set_log(trainer_options* options, trainer_log_function log, void* user);

trainer_status trainer_net_open(const trainer_options* options, trainer_net** net);
void trainer_net_close(trainer_net* net);

/* Tops of Input layers, and blobs that no layer reads. Names live as long as the net. */
trainer_status trainer_net_input_count(const trainer_net* net, int* count);
trainer_status trainer_net_input_name(const trainer_net* net, int index, const char** name);
trainer_status trainer_net_output_count(const trainer_net* net, int* count);
trainer_status trainer_net_output_name(const trainer_net* net, int index, const char** name);

/* Extents of an input, an output or a kept blob. Writes at most `capacity` of them; `axes` is their number. */
trainer_status trainer_net_shape(const trainer_net* net, const char* blob, int64_t* dims, int capacity, int* axes);

/* The array of `count` elements is not copied: it must stay valid until another one is set or the net is closed. With
 * `dims` not NULL the input takes these extents. */
trainer_status trainer_net_set_input(trainer_net* net, const char* input, const float* values, size_t count,
                                     const int64_t* dims, int axes);
trainer_status trainer_net_forward(trainer_net* net);
trainer_status trainer_net_loss(const trainer_net* net, float* loss);
/* `count` is the exact number of elements. */
trainer_status trainer_net_read(const trainer_net* net, const char* blob, float* values, size_t count);

trainer_status trainer_net_learned_shape(const trainer_net* net, const char* layer, int blob, int64_t* dims,
                                         int capacity, int* axes);
trainer_status trainer_net_read_learned(const trainer_net* net, const char* layer, int blob, float* values,
                                        size_t count);
trainer_status trainer_net_write_learned(trainer_net* net, const char* layer, int blob, const float* values,
                                         size_t count);
trainer_status trainer_net_save_weights(const trainer_net* net, const char* path);

typedef enum trainer_request { TRAINER_CONTINUE = 0, TRAINER_SNAPSHOT = 1, TRAINER_STOP = 2 } trainer_request;

/* Called in the thread that calls trainer_solver_train; each may be NULL. */
typedef struct trainer_callbacks {
  size_t size; /* sizeof(trainer_callbacks) */
  void* user;
  /* After each iteration: the iterations done, the smoothed loss and the learning rate. */
  trainer_request (*iteration)(void* user, int64_t iteration, double loss, double learning_rate);
  /* After a test: the mean of each element of an output, and each value of a metric, whose name is the metric's or
   * "metric.value". */
  void (*test)(void* user, int64_t iteration, int net, const char* output, double value);
  void (*snapshot)(void* user, int64_t iteration, const char* weights, const char* state);
} trainer_callbacks;

trainer_status trainer_solver_open(const trainer_options* options, trainer_solver** solver);
void trainer_solver_close(trainer_solver* solver);
/* `callbacks` may be NULL. `completed`, if not NULL, becomes 1 at max_iter and 0 after a stop. To be called once. */
trainer_status trainer_solver_train(trainer_solver* solver, const trainer_callbacks* callbacks, int* completed);
trainer_status trainer_solver_save_weights(const trainer_solver* solver, const char* path);

#ifdef __cplusplus
}
#endif

#endif
