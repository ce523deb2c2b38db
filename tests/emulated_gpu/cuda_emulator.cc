// Runs the threads of a block as fibers: at a barrier or a shuffle one hands over to the next, so that all of them come
// to it before any goes on. Every other block runs its threads from the last to the first: where a barrier is missing,
// one of the two sequences shows it.
#include "cuda_emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

EmulatedPlace emulated;

namespace {

// Blocks that a launch runs at most: kernels whose work is more must walk it in strides of the grid.
constexpr unsigned kMostBlocks = 3;
constexpr size_t kStack = 64 << 10;

struct Fiber {
  std::unique_ptr<char[]> stack;
  jmp_buf resumption;
  bool done = false;
  double shuffled = 0;
};

std::vector<std::unique_ptr<Fiber>> fibers;
size_t threads = 0, current = 0;
jmp_buf scheduler;
const EmulatedKernel* running = nullptr;
const void* its_argument = nullptr;

// Jumps leave signals alone, which swapcontext asks the kernel about each time.
__attribute__((noinline)) void hand_over() {
  if (_setjmp(fibers[current]->resumption) == 0) _longjmp(scheduler, 1);
}

// What a fiber does for ever: its thread of one kernel after another.
void run_threads() {
  for (;;) {
    running->call(running->function, its_argument);
    fibers[current]->done = true;
    hand_over();
  }
}

// Runs the current fiber until it hands over.
__attribute__((noinline)) void resume() {
  if (_setjmp(scheduler) != 0) return;
  if (fibers[current]->stack != nullptr) _longjmp(fibers[current]->resumption, 1);
  fibers[current]->stack = std::unique_ptr<char[]>(new char[kStack]);
  ucontext_t start;
  getcontext(&start);
  start.uc_stack.ss_sp = fibers[current]->stack.get();
  start.uc_stack.ss_size = kStack;
  start.uc_link = nullptr;
  makecontext(&start, run_threads, 0);
  setcontext(&start);
}

}  // namespace

void emulated_barrier() {
  for (size_t i = 0; i < threads; ++i) {
    if (!fibers[i]->done) continue;
    std::fprintf(stderr, "%s: a barrier that not all threads of the block come to\n", running->name);
    std::abort();
  }
  hand_over();
}

double emulated_shuffle(double value, unsigned lane) {
  const size_t self = current;
  fibers[self]->shuffled = value;
  hand_over();
  const double result = fibers[self ^ lane]->shuffled;
  hand_over();
  return result;
}

void emulate(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x, unsigned y) {
  running = &kernel;
  its_argument = argument;
  threads = size_t{x} * y;
  blocks = std::min(blocks, kMostBlocks);
  emulated.block_size = {x, y, 1};
  emulated.grid_size = {blocks, 1, 1};
  while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
  for (unsigned block = 0; block < blocks; ++block) {
    emulated.block = {block, 0, 0};
    for (size_t i = 0; i < threads; ++i) fibers[i]->done = false;
    for (bool left = true; left;) {
      left = false;
      for (size_t i = 0; i < threads; ++i) {
        current = block % 2 == 0 ? i : threads - 1 - i;
        if (fibers[current]->done) continue;
        emulated.thread = {static_cast<unsigned>(current) % x, static_cast<unsigned>(current) / x, 0};
        resume();
        left = left || !fibers[current]->done;
      }
    }
  }
}
