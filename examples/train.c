/* Trains a solver and prints its progress:
 *
 *   train SOLVER [ITERATIONS]
 *
 * Stops after ITERATIONS, with a snapshot, if max_iter is larger.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <trainer/trainer_c.h>

static trainer_request show_iteration(void* user, int64_t iteration, double loss, double learning_rate) {
  const int64_t last = *(const int64_t*)user;
  printf("iteration %" PRId64 ": loss %.6g, learning rate %.6g\n", iteration, loss, learning_rate);
  return iteration == last ? TRAINER_STOP : TRAINER_CONTINUE;
}

static void show_test(void* user, int64_t iteration, int net, const char* output, double value) {
  (void)user;
  printf("iteration %" PRId64 ": test %d: %s = %.6g\n", iteration, net, output, value);
}

static void show_snapshot(void* user, int64_t iteration, const char* weights, const char* state) {
  (void)user;
  printf("iteration %" PRId64 ": wrote %s and %s\n", iteration, weights, state);
}

static void show_log(void* user, int warning, const char* line) {
  (void)user;
  if (warning) fprintf(stderr, "warning: %s\n", line);
}

static int train(const trainer_options* options, int64_t last) {
  trainer_solver* solver = NULL;
  trainer_callbacks callbacks = {0};
  int completed = 0;
  trainer_status status = trainer_solver_open(options, &solver);
  callbacks.size = sizeof callbacks;
  callbacks.user = &last;
  callbacks.iteration = show_iteration;
  callbacks.test = show_test;
  callbacks.snapshot = show_snapshot;
  if (status == TRAINER_OK) status = trainer_solver_train(solver, &callbacks, &completed);
  if (status != TRAINER_OK) {
    fprintf(stderr, "%s\n", trainer_last_error());
  } else {
    printf("%s\n", completed ? "done" : "stopped");
  }
  trainer_solver_close(solver);
  return status;
}

int main(int argc, char** argv) {
  trainer_options* options = NULL;
  trainer_status status;
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: %s SOLVER [ITERATIONS]\n", argv[0]);
    return 2;
  }
  status = trainer_options_create(&options);
  if (status == TRAINER_OK) status = trainer_options_set(options, "solver", argv[1]);
  if (status == TRAINER_OK) status = trainer_options_set_log(options, show_log, NULL);
  if (status != TRAINER_OK) {
    fprintf(stderr, "%s\n", trainer_last_error());
  } else {
    status = (trainer_status)train(options, argc == 3 ? strtoll(argv[2], NULL, 10) : 0);
  }
  trainer_options_destroy(options);
  return status;
}
