// Runs the threads of a block as fibers. At a barrier a fiber yields to the others until all threads of the block have
// reached it, at a shuffle until all lanes of its warp have. Every other block runs its threads in reverse order, so
// that a missing barrier shows in one of the two orders.
#include "cuda_emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

EmulatedThread emulated;

namespace {

// The maximum of blocks per launch. Kernels with more work must use grid-stride loops. Each of up to four maps side by
// side needs a block.
constexpr unsigned kMaxBlocks = 4;
constexpr size_t kStack = 64 << 10;
constexpr size_t kLanes = 32, kMaxThreads = 1024;

struct Fiber {
  std::unique_ptr<char[]> stack;
  jmp_buf resumption;
  bool done = false;
  double shuffled[2] = {};  // the values of the last two shuffles
  size_t shuffles = 0;
};

// Where all threads of a block or of a warp meet.
struct Meeting {
  size_t waiting = 0, passed = 0;
};

std::vector<std::unique_ptr<Fiber>> fibers;
size_t threads = 0, current = 0;
size_t ended = 0;  // threads of the block
Meeting of_block, of_warp[kMaxThreads / kLanes];
jmp_buf scheduler;
const EmulatedKernel* running = nullptr;
const void* running_argument = nullptr;

// Jumps are faster than swapcontext(), which makes a system call for the signal mask.
__attribute__((noinline)) void yield_fiber() {
  if (_setjmp(fibers[current]->resumption) == 0) _longjmp(scheduler, 1);
}

// The endless loop of a fiber: its thread of one kernel after another.
void run_threads() {
  for (;;) {
    running->call(running->function, running_argument);
    fibers[current]->done = true;
    ++ended;
    yield_fiber();
  }
}

size_t waiting_threads() {
  size_t count = of_block.waiting;
  for (const Meeting& meeting : of_warp) count += meeting.waiting;
  return count;
}

// Waits for the other threads that meet here. Ends the process if no thread can continue.
void meet(Meeting* meeting, size_t count, const char* what) {
  const size_t here = meeting->passed;
  if (++meeting->waiting == count) {
    meeting->waiting = 0;
    ++meeting->passed;
  }
  while (meeting->passed == here) {
    if (ended + waiting_threads() == threads) {
      std::fprintf(stderr, "%s: not all threads reach %s\n", running->name, what);
      std::abort();
    }
    yield_fiber();
  }
}

// Runs the current fiber until it yields.
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

void emulated_barrier() { meet(&of_block, threads, "a barrier of the block"); }

double emulated_shuffle(double value, unsigned lane) {
  Fiber &self = *fibers[current], &other = *fibers[current ^ lane];
  const size_t number = self.shuffles++, first = current / kLanes * kLanes;
  self.shuffled[number % 2] = value;
  meet(&of_warp[first / kLanes], std::min(kLanes, threads - first), "a shuffle of the warp");
  return other.shuffled[number % 2];
}

void emulate(const EmulatedKernel& kernel, const void* argument, unsigned blocks, unsigned x, unsigned y) {
  running = &kernel;
  running_argument = argument;
  threads = size_t{x} * y;
  blocks = std::min(blocks, kMaxBlocks);
  emulated.block_size = {x, y, 1};
  emulated.grid_size = {blocks, 1, 1};
  while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
  for (unsigned block = 0; block < blocks; ++block) {
    emulated.block = {block, 0, 0};
    ended = 0;
    for (size_t i = 0; i < threads; ++i) {
      fibers[i]->done = false;
      fibers[i]->shuffles = 0;
    }
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
