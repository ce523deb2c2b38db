// An iteration of training allocates no memory: all allocations happen before the first one.
//
// This program replaces malloc and its relatives and counts calls on demand. It counts our own code, including worker
// threads of data layers: an allocation is ours if the first caller outside the C and C++ runtimes is in this
// executable. oneDNN, OpenBLAS, LMDB and OpenMP allocate and free small blocks inside their own calls; these do not
// grow and are not counted.
#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ios>
#include <string>
#include <vector>

#include "session/parameters.h"
#include "session/text_session.h"
#include "train/small_training.h"
#include "train/update_rule.h"

// AddressSanitizer and similar tools bring their own malloc.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#define TRAINER_COUNTS_ALLOCATIONS 1

namespace trainer {
namespace {

constexpr int kDepth = 24;
constexpr int kMostKept = 16;

std::atomic<bool> counting{false};
std::atomic<int> counted{0};
thread_local bool inside = false;
void* kept[kMostKept][kDepth];
void* own_base = nullptr;
void* runtime_bases[2] = {};

void* base_of(const void* address) {
  Dl_info info;
  return dladdr(address, &info) != 0 ? info.dli_fbase : nullptr;
}

bool is_ours(void* const* frames, int depth) {
  for (int i = 0; i < depth; ++i) {
    void* const base = base_of(frames[i]);
    if (base != runtime_bases[0] && base != runtime_bases[1]) return base == own_base;
  }
  return false;
}

__attribute__((noinline)) void note_allocation() {
  if (!counting.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  void* frames[kDepth];
  // The two innermost frames are this function and the replaced one.
  const int depth = backtrace(frames, kDepth) - 2;
  if (is_ours(frames + 2, depth)) {
    const int index = counted.fetch_add(1);
    if (index < kMostKept) {
      for (int i = 0; i < kDepth; ++i) kept[index][i] = i < depth ? frames[i + 2] : nullptr;
    }
  }
  inside = false;
}

}  // namespace
}  // namespace trainer

extern "C" {
// glibc's own names of the functions that are replaced below.
// NOLINTBEGIN(bugprone-reserved-identifier)
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
// NOLINTEND(bugprone-reserved-identifier)

#define TRAINER_REPLACED __attribute__((visibility("default")))
TRAINER_REPLACED void* malloc(size_t bytes) {
  trainer::note_allocation();
  return __libc_malloc(bytes);
}
TRAINER_REPLACED void* calloc(size_t count, size_t bytes) {
  trainer::note_allocation();
  return __libc_calloc(count, bytes);
}
TRAINER_REPLACED void* realloc(void* memory, size_t bytes) {
  trainer::note_allocation();
  return __libc_realloc(memory, bytes);
}
TRAINER_REPLACED void* aligned_alloc(size_t alignment, size_t bytes) {
  trainer::note_allocation();
  return __libc_memalign(alignment, bytes);
}
TRAINER_REPLACED void* memalign(size_t alignment, size_t bytes) {
  trainer::note_allocation();
  return __libc_memalign(alignment, bytes);
}
TRAINER_REPLACED int posix_memalign(void** out, size_t alignment, size_t bytes) {
  trainer::note_allocation();
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}
}
#endif

namespace trainer {
namespace {

#ifdef TRAINER_COUNTS_ALLOCATIONS

// Counts the allocations of `action`.
template <typename Action>
int allocations_of(const Action& action) {
  own_base = base_of(reinterpret_cast<const void*>(&note_allocation));
  runtime_bases[0] = base_of(dlsym(RTLD_NEXT, "malloc"));
  runtime_bases[1] = base_of(dlsym(RTLD_NEXT, "_Znwm"));
  void* warm[4];
  backtrace(warm, 4);  // the first call loads a library
  counted = 0;
  counting = true;
  action();
  counting = false;
  return counted;
}

// The callers counted last, for `addr2line -fCe PROGRAM ADDRESS...`.
std::string callers() {
  std::string line;
  for (int i = 0; i < std::min<int>(counted, kMostKept); ++i) {
    line += "\n  from";
    for (int k = 0; k < kDepth && kept[i][k] != nullptr; ++k) {
      if (base_of(kept[i][k]) != own_base) continue;
      char text[32];
      std::snprintf(text, sizeof text, " 0x%zx",
                    static_cast<size_t>(static_cast<char*>(kept[i][k]) - static_cast<char*>(own_base)) - 1);
      line += text;
    }
  }
  return line;
}

void expect_no_allocations(const std::string& text) {
  TextSession opened(text, caffe::TRAIN, {}, DeviceSpec());
  NetSession& session = opened.session;
  DeviceSession& device_session = opened.device_session;
  add_parameters(session.lowered(), 1, true, device_session.store);
  caffe::SolverParameter solver;
  solver.set_momentum(0.9f);
  solver.set_weight_decay(0.001f);
  UpdateRule update(solver, trained_parameters(session.lowered()), device_session);
  int iteration = 0;
  const auto iterate = [&] {
    for (int i = 0; i < 10; ++i) {
      session.run_next(ProgramKind::kTrain);
      update.prepare({0.01f}, iteration++);
      update.run_after_loss();
      session.queue_next(ProgramKind::kForward, true);
      session.finish();
      session.read_outputs();
    }
  };
  // Uses every buffer and every thread of the data layer once.
  iterate();
  iterate();
  EXPECT_EQ(allocations_of(iterate), 0) << callers();
  EXPECT_TRUE(std::isfinite(session.loss()));
}

TEST(Allocation, TheHookSeesOurOwn) {
  std::string text;
  void* block = nullptr;
  const int count = allocations_of([&] {
    text.assign(1000, 'x');  // through libstdc++
    block = std::aligned_alloc(64, 64);
  });
  std::free(block);
  EXPECT_EQ(count, 2);
}

TEST(Allocation, NoneInAnIterationOfANetFedByLmdb) {
  TempFolder folder;
  test::write_lmdb(folder / "lmdb", test::raw_records(50, 1, 28, 28));
  expect_no_allocations(R"(
layer {
  name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 24 mirror: true scale: 0.01 }
  data_param { backend: LMDB batch_size: 16 shuffle: true source: ")" +
                        (folder / "lmdb") + R"(" }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 weight_filler { type: "xavier" } }
}
layer {
  name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 16 kernel_size: 3 group: 2 weight_filler { type: "xavier" } }
}
layer {
  name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 }
}
layer {
  name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
  inner_product_param { num_output: 50 weight_filler { type: "xavier" } }
}
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer {
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
)");
}

TEST(Allocation, NoneInAnIterationOfMixedBatches) {
  TempFolder folder;
  test::write_lmdb(folder / "lmdb", test::raw_records(50, 1, 28, 28));
  expect_no_allocations(R"(
layer {
  name: "data" type: "Data" top: "data" top: "label"
  transform_param { crop_size: 24 scale: 0.01 mix { mixup: 1 cutmix: 1 classes: 10 } }
  data_param { backend: LMDB batch_size: 16 shuffle: true sampling { balance_classes: true } source: ")" +
                        (folder / "lmdb") + R"(" }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)");
}

TEST(Allocation, NoneInAnIterationOfANormalisedNet) {
  expect_no_allocations(R"(
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: 8 dim: 3 dim: 16 dim: 16 } shape { dim: 8 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 2 }
  }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" } }
}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "norm" type: "LRN" bottom: "bn" top: "norm" }
layer { name: "both" type: "Concat" bottom: "norm" bottom: "conv" top: "both" }
layer {
  name: "pool" type: "Pooling" bottom: "both" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 }
}
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }
layer {
  name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)");
}

#endif

}  // namespace
}  // namespace trainer
