// The emulated runtime: when work runs, what is refused, and how graphs are replayed.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#define EMULATED_RUNTIME
#include "cuda_emulator.h"
#include "emulated_runtime.h"

namespace {

class EmulatedRuntime : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    setenv("EMULATED_GPU_ORDER", GetParam(), 1);
    for (cudaStream_t* stream : {&first_, &second_})
      ASSERT_EQ(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), cudaSuccess);
    for (cudaEvent_t* event : {&event_, &other_event_})
      ASSERT_EQ(cudaEventCreateWithFlags(event, cudaEventDisableTiming), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&device_), sizeof(int)), cudaSuccess);
    ASSERT_EQ(cudaHostAlloc(reinterpret_cast<void**>(&pinned_), sizeof(int), cudaHostAllocDefault), cudaSuccess);
  }
  void TearDown() override {
    for (cudaStream_t stream : {first_, second_}) cudaStreamDestroy(stream);
    for (cudaEvent_t event : {event_, other_event_}) cudaEventDestroy(event);
    cudaFree(device_);
    cudaFreeHost(pinned_);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }

  bool eager() const { return std::string(GetParam()) == "eager"; }
  void add(cudaStream_t stream, int number) {
    int* at = device_;
    ASSERT_EQ(emulated_enqueue(stream, "add", [at, number] { *at = *at * 10 + number; }), cudaSuccess);
  }
  void clear() { ASSERT_EQ(cudaMemsetAsync(device_, 0, sizeof(int), first_), cudaSuccess); }
  int value() {
    int read = 7;
    EXPECT_EQ(cudaMemcpyAsync(&read, device_, sizeof read, cudaMemcpyDeviceToHost, first_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(first_), cudaSuccess);
    return read;
  }
  // Clears an expected error.
  cudaError_t expected(cudaError_t error) {
    cudaGetLastError();
    return error;
  }

  cudaStream_t first_ = nullptr, second_ = nullptr;
  cudaEvent_t event_ = nullptr, other_event_ = nullptr;
  int* device_ = nullptr;
  int* pinned_ = nullptr;
};

TEST_P(EmulatedRuntime, MemoryBelongsToTheDevice) {
  EXPECT_DEATH(*device_ = 1, "the host touches device memory");
  EXPECT_EQ(value(), -1) << "fresh memory is not zero";
  EXPECT_EQ(expected(cudaMemcpyAsync(device_, pinned_, 2 * sizeof(int), cudaMemcpyHostToDevice, first_)),
            cudaErrorInvalidValue);
  EXPECT_EQ(expected(cudaMemcpyAsync(device_, pinned_, sizeof(int), cudaMemcpyDeviceToHost, first_)),
            cudaErrorInvalidValue);
  EXPECT_EQ(expected(cudaFree(&first_)), cudaErrorInvalidValue);
  void* much = nullptr;
  EXPECT_EQ(expected(cudaMalloc(&much, size_t{1} << 40)), cudaErrorMemoryAllocation);
  size_t before = 0, after = 0, total = 0;
  cudaMemGetInfo(&before, &total);
  ASSERT_EQ(cudaMalloc(&much, 1024), cudaSuccess);
  cudaMemGetInfo(&after, &total);
  EXPECT_EQ(before - after, 1024u);
  cudaFree(much);
}

TEST_P(EmulatedRuntime, PinnedMemoryIsReadWhenTheCopyRuns) {
  int pageable = 3;
  *pinned_ = 1;
  cudaMemcpyAsync(device_, pinned_, sizeof(int), cudaMemcpyHostToDevice, first_);
  *pinned_ = 2;
  EXPECT_EQ(value(), eager() ? 1 : 2);
  cudaMemcpyAsync(device_, &pageable, sizeof(int), cudaMemcpyHostToDevice, first_);
  pageable = 4;
  EXPECT_EQ(value(), 3);
}

TEST_P(EmulatedRuntime, StreamsRunApartUnlessTheyWait) {
  clear();
  add(second_, 1);
  cudaEventRecordWithFlags(event_, second_, cudaEventRecordDefault);
  add(second_, 3);
  cudaStreamWaitEvent(first_, event_, 0);
  add(first_, 2);
  EXPECT_EQ(value(), eager() ? 132 : 12);
  EXPECT_EQ(cudaStreamSynchronize(second_), cudaSuccess);
  EXPECT_EQ(value(), eager() ? 132 : 123);
}

TEST_P(EmulatedRuntime, ReplaysWhatWasCaptured) {
  clear();
  ASSERT_EQ(cudaStreamBeginCapture(first_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  add(first_, 1);
  cudaEventRecordWithFlags(event_, first_, cudaEventRecordDefault);
  cudaStreamWaitEvent(second_, event_, 0);
  add(second_, 2);
  cudaEventRecordWithFlags(event_, second_, cudaEventRecordDefault);
  cudaStreamWaitEvent(first_, event_, 0);
  add(first_, 3);
  EXPECT_EQ(cudaEventRecordWithFlags(other_event_, first_, cudaEventRecordExternal), cudaSuccess);
  cudaMemcpyAsync(pinned_, device_, sizeof(int), cudaMemcpyDeviceToHost, first_);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(first_, &graph), cudaSuccess);
  EXPECT_EQ(value(), 0);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  *pinned_ = 0;
  cudaGraphLaunch(executable, first_);
  cudaEventSynchronize(other_event_);
  EXPECT_EQ(*pinned_, eager() ? 123 : 0);
  cudaGraphLaunch(executable, first_);
  EXPECT_EQ(value(), 123123);
  EXPECT_EQ(*pinned_, 123123);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
}

TEST_P(EmulatedRuntime, RefusesWhatCannotBeCaptured) {
  cudaGraph_t graph = nullptr;
  void* memory = nullptr;
  int pageable = 0;
  const auto begin = [this](cudaStreamCaptureMode mode) {
    ASSERT_EQ(cudaStreamBeginCapture(first_, mode), cudaSuccess);
  };
  begin(cudaStreamCaptureModeGlobal);
  EXPECT_EQ(expected(cudaMalloc(&memory, 8)), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(expected(cudaStreamEndCapture(first_, &graph)), cudaErrorStreamCaptureInvalidated);
  begin(cudaStreamCaptureModeRelaxed);
  EXPECT_EQ(cudaMalloc(&memory, 8), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(first_, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  begin(cudaStreamCaptureModeThreadLocal);
  EXPECT_EQ(expected(cudaStreamSynchronize(first_)), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(expected(cudaStreamEndCapture(first_, &graph)), cudaErrorStreamCaptureInvalidated);
  begin(cudaStreamCaptureModeThreadLocal);
  EXPECT_EQ(expected(cudaMemcpyAsync(device_, &pageable, sizeof(int), cudaMemcpyHostToDevice, first_)),
            cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(expected(cudaStreamEndCapture(first_, &graph)), cudaErrorStreamCaptureInvalidated);
  cudaEventRecordWithFlags(event_, second_, cudaEventRecordDefault);
  begin(cudaStreamCaptureModeThreadLocal);
  EXPECT_EQ(expected(cudaStreamWaitEvent(first_, event_, 0)), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(expected(cudaStreamEndCapture(first_, &graph)), cudaErrorStreamCaptureInvalidated);
  begin(cudaStreamCaptureModeThreadLocal);
  cudaEventRecordWithFlags(event_, first_, cudaEventRecordDefault);
  cudaStreamWaitEvent(second_, event_, 0);
  add(second_, 1);
  EXPECT_EQ(expected(cudaStreamEndCapture(first_, &graph)), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(expected(cudaEventSynchronize(event_)), cudaErrorCapturedEvent);
  cudaFree(memory);
}

TEST_P(EmulatedRuntime, WorkIsNotStartedAfterAnErrorThatIsLeft) {
  EXPECT_EQ(cudaSetDevice(99), cudaErrorInvalidDevice);
  EXPECT_DEATH(add(first_, 1), "add is started while the error cudaErrorInvalidDevice of an earlier call is left");
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  clear();
  add(first_, 1);
  EXPECT_EQ(value(), 1);
}

TEST_P(EmulatedRuntime, CapturesNoKernelThatWasNeverLaunched) {
  // Each order has its own kernels, because kernels stay loaded.
  const auto add_one = +[](int*at) { *at += 1; }, add_two = +[](int*at) { *at += 2; };
  const EmulatedKernel kernel = emulated_kernel("add", eager() ? add_two : add_one);
  const auto launch = [&] { return emulated_launch(kernel, &device_, 1, 1, 1, first_); };
  clear();
  ASSERT_EQ(cudaStreamBeginCapture(first_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_DEATH(launch(), "kernel add is captured before it was ever launched");
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(first_, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  ASSERT_EQ(launch(), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(first_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(launch(), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(first_, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  EXPECT_EQ(value(), eager() ? 2 : 1);
}

INSTANTIATE_TEST_SUITE_P(Orders, EmulatedRuntime, testing::Values("late", "eager"));

}  // namespace
