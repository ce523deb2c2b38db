// The emulated NCCL: when collectives run, their results, and the mistakes that end the process.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
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

// Two communicators of one rank each, as of two processes: on devices 0 and 1, by ncclCommInitRankConfig.
class EmulatedNcclProcesses : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    setenv("EMULATED_GPU_ORDER", GetParam(), 1);
    ncclUniqueId id;
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    for (int rank = 0; rank < 2; ++rank) {
      Gpu& gpu = gpus_[static_cast<size_t>(rank)];
      cudaSetDevice(rank);
      cudaStreamCreateWithFlags(&gpu.exchange, cudaStreamNonBlocking);
      ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&gpu.memory), kFloats * sizeof(float)), cudaSuccess);
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      EXPECT_EQ(ncclCommInitRankConfig(&gpu.communicator, 2, id, rank, &config), ncclInvalidArgument);
      config.blocking = 0;
      ASSERT_EQ(ncclCommInitRankConfig(&gpu.communicator, 2, id, rank, &config), ncclInProgress);
      if (rank == 0) {
        EXPECT_EQ(state(gpu), ncclInProgress);  // the other one is not there
        EXPECT_EQ(sum(gpu), ncclInvalidArgument);
      }
    }
    for (Gpu& gpu : gpus_) ASSERT_EQ(settled(gpu), ncclSuccess);
  }
  void TearDown() override {
    for (int rank = 0; rank < 2; ++rank) {
      Gpu& gpu = gpus_[static_cast<size_t>(rank)];
      if (gpu.communicator != nullptr) {
        EXPECT_EQ(ncclCommAbort(gpu.communicator), ncclSuccess);
      }
      cudaSetDevice(rank);
      cudaStreamDestroy(gpu.exchange);
      cudaFree(gpu.memory);
    }
    cudaSetDevice(0);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }

  static ncclResult_t state(const Gpu& gpu) {
    ncclResult_t state = ncclInternalError;
    EXPECT_EQ(ncclCommGetAsyncError(gpu.communicator, &state), ncclSuccess);
    return state;
  }
  // The state once it differs from `passing`.
  static ncclResult_t settled(const Gpu& gpu, ncclResult_t passing = ncclInProgress) {
    ncclResult_t now = state(gpu);
    for (int i = 0; now == passing && i < 5000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      now = state(gpu);
    }
    return now;
  }
  static ncclResult_t sum(const Gpu& gpu, ncclDataType_t type = ncclFloat32) {
    return ncclAllReduce(gpu.memory, gpu.memory, 2, type, ncclSum, gpu.communicator, gpu.exchange);
  }
  // Queues a fill and a sum.
  void start(int rank, float first, float second) {
    const Gpu& gpu = gpus_[static_cast<size_t>(rank)];
    cudaSetDevice(rank);
    float* const memory = gpu.memory;
    emulated_enqueue(gpu.exchange, "fill", [=] {
      memory[0] = first;
      memory[1] = second;
    });
    EXPECT_EQ(sum(gpu), ncclInProgress);
    EXPECT_EQ(settled(gpu), ncclSuccess);
  }
  std::array<float, 2> read(int rank) {
    const Gpu& gpu = gpus_[static_cast<size_t>(rank)];
    cudaSetDevice(rank);
    std::array<float, 2> floats = {};
    EXPECT_EQ(cudaMemcpyAsync(floats.data(), gpu.memory, sizeof floats, cudaMemcpyDeviceToHost, gpu.exchange),
              cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(gpu.exchange), cudaSuccess);
    return floats;
  }
  bool is_done(int rank) {
    cudaSetDevice(rank);
    for (int i = 0; i < 100; ++i) {
      if (cudaStreamQuery(gpus_[static_cast<size_t>(rank)].exchange) == cudaSuccess) return true;
      cudaGetLastError();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::array<Gpu, 2> gpus_;
};

TEST_P(EmulatedNcclProcesses, Sum) {
  for (int step = 0; step < 3; ++step) {
    start(0, 1, 2);
    EXPECT_FALSE(is_done(0));
    start(1, 10, static_cast<float>(20 + step));
    EXPECT_TRUE(is_done(1));  // what is queued on device 0 has been asked for
    for (int rank : {0, 1}) EXPECT_EQ(read(rank), (std::array<float, 2>{11, static_cast<float>(22 + step)}));
  }
}

TEST_P(EmulatedNcclProcesses, AnAbortEndsASumWithWrongNumbers) {
  start(0, 1, 2);
  EXPECT_FALSE(is_done(0));
  EXPECT_EQ(ncclCommAbort(std::exchange(gpus_[1].communicator, nullptr)), ncclSuccess);
  EXPECT_EQ(settled(gpus_[0], ncclSuccess), ncclRemoteError);
  EXPECT_FALSE(is_done(0));
  EXPECT_EQ(ncclCommAbort(std::exchange(gpus_[0].communicator, nullptr)), ncclSuccess);
  EXPECT_TRUE(std::isnan(read(0)[0]));
}

TEST_P(EmulatedNcclProcesses, ALossIsNoticedBetweenSums) {
  EXPECT_EQ(ncclCommAbort(std::exchange(gpus_[0].communicator, nullptr)), ncclSuccess);
  EXPECT_EQ(settled(gpus_[1], ncclSuccess), ncclRemoteError);
  EXPECT_EQ(sum(gpus_[1]), ncclRemoteError);
}

INSTANTIATE_TEST_SUITE_P(Orders, EmulatedNcclProcesses, testing::Values("late", "eager"));
INSTANTIATE_TEST_SUITE_P(Orders, EmulatedNccl,
                         testing::Combine(testing::Values("late", "eager"), testing::Values(2, 3)));

}  // namespace
