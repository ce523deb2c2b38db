// The emulated NCCL: when collectives run, their results, and the mistakes that end the process.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "emulated_runtime.h"

namespace {

[[maybe_unused]] const int kPresent = setenv("EMULATED_GPUS", "3", 1);  // before the runtime reads it
constexpr size_t kFloats = 12;

struct Gpu {
  ncclComm_t communicator = nullptr;
  cudaStream_t compute = nullptr, exchange = nullptr;
  cudaEvent_t computed = nullptr, exchanged = nullptr;
  float* memory = nullptr;
};

class EmulatedNccl : public testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  void SetUp() override {
    setenv("EMULATED_GPU_ORDER", std::get<0>(GetParam()), 1);
    gpus_.resize(static_cast<size_t>(std::get<1>(GetParam())));
    std::vector<ncclComm_t> communicators(gpus_.size());
    ASSERT_EQ(ncclCommInitAll(communicators.data(), std::get<1>(GetParam()), nullptr), ncclSuccess);
    each([&](Gpu& gpu, int rank) {
      gpu.communicator = communicators[static_cast<size_t>(rank)];
      for (cudaStream_t* stream : {&gpu.compute, &gpu.exchange})
        cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
      for (cudaEvent_t* event : {&gpu.computed, &gpu.exchanged})
        cudaEventCreateWithFlags(event, cudaEventDisableTiming);
      ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&gpu.memory), kFloats * sizeof(float)), cudaSuccess);
    });
  }
  void TearDown() override {
    each([](Gpu& gpu, int) {
      for (cudaStream_t stream : {gpu.compute, gpu.exchange}) cudaStreamDestroy(stream);
      for (cudaEvent_t event : {gpu.computed, gpu.exchanged}) cudaEventDestroy(event);
      cudaFree(gpu.memory);
      EXPECT_EQ(ncclCommDestroy(gpu.communicator), ncclSuccess);
    });
    cudaSetDevice(0);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }

  template <typename Function>
  void each(const Function& function) {
    for (size_t rank = 0; rank < gpus_.size(); ++rank) {
      cudaSetDevice(static_cast<int>(rank));
      function(gpus_[rank], static_cast<int>(rank));
    }
  }
  // The current device does not matter.
  template <typename Function>
  ncclResult_t together(const Function& function) {
    ncclGroupStart();
    for (size_t rank = 0; rank < gpus_.size(); ++rank) function(gpus_[rank], static_cast<int>(rank));
    return ncclGroupEnd();
  }
  ncclResult_t sum(size_t count = kFloats) {
    return together([count](Gpu& gpu, int) {
      ncclAllReduce(gpu.memory, gpu.memory, count, ncclFloat32, ncclSum, gpu.communicator, gpu.exchange);
    });
  }
  void fill(Gpu& gpu, cudaStream_t stream, float first) {
    float* memory = gpu.memory;
    ASSERT_EQ(emulated_enqueue(stream, "fill",
                               [memory, first] {
                                 for (size_t i = 0; i < kFloats; ++i) memory[i] = first + static_cast<float>(i);
                               }),
              cudaSuccess);
  }
  std::vector<float> read(Gpu& gpu, cudaStream_t stream) {
    std::vector<float> floats(kFloats);
    EXPECT_EQ(cudaMemcpyAsync(floats.data(), gpu.memory, kFloats * sizeof(float), cudaMemcpyDeviceToHost, stream),
              cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    return floats;
  }
  bool eager() const { return std::string(std::get<0>(GetParam())) == "eager"; }

  std::vector<Gpu> gpus_;
};

TEST_P(EmulatedNccl, SumsInPlaceBetweenStreams) {
  const float count = static_cast<float>(gpus_.size());
  for (int step = 0; step < 3; ++step) {
    each([&](Gpu& gpu, int rank) {
      fill(gpu, gpu.compute, static_cast<float>(100 * rank + step));
      cudaEventRecordWithFlags(gpu.computed, gpu.compute, cudaEventRecordDefault);
      cudaStreamWaitEvent(gpu.exchange, gpu.computed, 0);
    });
    ASSERT_EQ(sum(), ncclSuccess);
    each([](Gpu& gpu, int) {
      cudaEventRecordWithFlags(gpu.exchanged, gpu.exchange, cudaEventRecordDefault);
      cudaStreamWaitEvent(gpu.compute, gpu.exchanged, 0);
      float* memory = gpu.memory;
      emulated_enqueue(gpu.compute, "negate", [memory] { memory[1] = -memory[1]; });
    });
  }
  each([&](Gpu& gpu, int) {
    const std::vector<float> floats = read(gpu, gpu.compute);
    const float ranks = 100 * count * (count - 1) / 2;
    EXPECT_EQ(floats[0], ranks + count * 2);
    EXPECT_EQ(floats[1], -(ranks + count * 3));
    EXPECT_EQ(floats[11], ranks + count * 13);
  });
}

TEST_P(EmulatedNccl, RunsWithoutWhatItDoesNotWaitFor) {
  each([this](Gpu& gpu, int) {
    fill(gpu, gpu.exchange, 1);
    cudaStreamSynchronize(gpu.exchange);
    fill(gpu, gpu.compute, 5);
  });
  sum();
  const float count = static_cast<float>(gpus_.size());
  each([&](Gpu& gpu, int) { EXPECT_EQ(read(gpu, gpu.exchange)[0], (eager() ? 5 : 1) * count); });
  each([&](Gpu& gpu, int) { EXPECT_EQ(read(gpu, gpu.compute)[0], eager() ? 5 * count : 5); });
}

TEST_P(EmulatedNccl, ThreadsJoinForTheirRanks) {
  std::vector<std::thread> threads;
  each([&](Gpu& gpu, int rank) {
    threads.emplace_back([this, &gpu, rank] {
      cudaSetDevice(rank);
      for (int step = 0; step < 3; ++step) {
        fill(gpu, gpu.exchange, static_cast<float>(step));
        EXPECT_EQ(ncclAllReduce(gpu.memory, gpu.memory, kFloats, ncclFloat32, ncclSum, gpu.communicator, gpu.exchange),
                  ncclSuccess);
        EXPECT_EQ(read(gpu, gpu.exchange)[1], static_cast<float>(gpus_.size()) * static_cast<float>(step + 1));
      }
    });
  });
  for (std::thread& thread : threads) thread.join();
}

TEST_P(EmulatedNccl, RefusesWhatIsNoCollective) {
  ncclComm_t twice[2];
  const int devices[] = {1, 1}, absent = 3;
  EXPECT_EQ(ncclCommInitAll(twice, 2, devices), ncclInvalidUsage);
  EXPECT_EQ(ncclCommInitAll(twice, 1, &absent), ncclUnhandledCudaError);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
  EXPECT_EQ(sum(kFloats + 1), ncclInvalidArgument);
  EXPECT_EQ(together([this](Gpu& gpu, int) {
              ncclAllReduce(gpus_[0].memory, gpus_[0].memory, 1, ncclFloat32, ncclSum, gpu.communicator, gpu.exchange);
            }),
            ncclInvalidArgument);
  cudaGraph_t graph = nullptr;
  cudaSetDevice(0);
  ASSERT_EQ(cudaStreamBeginCapture(gpus_[0].exchange, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(sum(), ncclInvalidUsage);
  EXPECT_EQ(cudaStreamEndCapture(gpus_[0].exchange, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  EXPECT_EQ(sum(), ncclSuccess);
}

TEST_P(EmulatedNccl, EndsWhatWouldHang) {
  ASSERT_EQ(sum(), ncclSuccess);  // from here on this thread calls for all ranks
  const auto reduce = [](Gpu& gpu, size_t count, cudaStream_t stream) {
    ncclAllReduce(gpu.memory, gpu.memory, count, ncclFloat32, ncclSum, gpu.communicator, stream);
  };
  EXPECT_DEATH(reduce(gpus_[0], 1, gpus_[0].exchange), "rank 0 calls ncclAllReduce count=1 and rank 1 does not join");
  EXPECT_DEATH(together([&](Gpu& gpu, int rank) { reduce(gpu, rank == 0 ? 1 : 2, gpu.exchange); }),
               "rank 0 calls ncclAllReduce count=1 where rank 1 calls it with count=2");
  EXPECT_DEATH(together([&](Gpu& gpu, int) { reduce(gpu, 1, gpus_[0].exchange); }),
               "rank 1 of device 1 is given a stream of device 0");
  EXPECT_DEATH(together([&](Gpu& gpu, int) {
                 reduce(gpu, 1, gpu.exchange);
                 reduce(gpu, 1, gpu.exchange);
               }),
               "writes memory that another of them uses");
}

INSTANTIATE_TEST_SUITE_P(Orders, EmulatedNccl,
                         testing::Combine(testing::Values("late", "eager"), testing::Values(2, 3)));

}  // namespace
