// The C interface: the numbers of the C++ interface, statuses, and texts of failures.
#include "trainer/trainer_c.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "trainer/error.h"

namespace {

constexpr const char* kSums = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "half" type: "InnerProduct" bottom: "data" top: "half"
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.5 } bias_filler { type: "constant" value: 1 } } }
)";

class CInterface : public testing::Test {
 protected:
  CInterface() { EXPECT_EQ(trainer_options_create(&options_), TRAINER_OK); }
  ~CInterface() override {
    trainer_net_close(net_);
    trainer_options_destroy(options_);
  }

  void open() {
    for (const auto& [name, value] : {std::pair{"model_text", kSums}, {"allow_fresh", "true"}, {"threads", "1"}})
      ASSERT_EQ(trainer_options_set(options_, name, value), TRAINER_OK);
    ASSERT_EQ(trainer_net_open(options_, &net_), TRAINER_OK) << trainer_last_error();
  }

  trainer_options* options_ = nullptr;
  trainer_net* net_ = nullptr;
};

TEST_F(CInterface, RunsANet) {
  open();
  int count = 0, axes = 0;
  const char* name = nullptr;
  ASSERT_EQ(trainer_net_input_count(net_, &count), TRAINER_OK);
  ASSERT_EQ(count, 1);
  ASSERT_EQ(trainer_net_input_name(net_, 0, &name), TRAINER_OK);
  EXPECT_STREQ(name, "data");
  ASSERT_EQ(trainer_net_output_count(net_, &count), TRAINER_OK);
  ASSERT_EQ(count, 1);
  ASSERT_EQ(trainer_net_output_name(net_, 0, &name), TRAINER_OK);
  EXPECT_STREQ(name, "half");
  const float data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const int64_t dims[] = {3, 3};
  ASSERT_EQ(trainer_net_set_input(net_, "data", data, 9, dims, 2), TRAINER_OK);
  ASSERT_EQ(trainer_net_forward(net_), TRAINER_OK);
  int64_t shape[4] = {};
  ASSERT_EQ(trainer_net_shape(net_, "half", shape, 4, &axes), TRAINER_OK);
  EXPECT_EQ(axes, 2);
  EXPECT_EQ(shape[0], 3);
  EXPECT_EQ(shape[1], 2);
  std::vector<float> half(6), bias(2);
  ASSERT_EQ(trainer_net_read(net_, "half", half.data(), half.size()), TRAINER_OK);
  EXPECT_EQ(half, (std::vector<float>{4, 4, 8.5, 8.5, 13, 13}));
  ASSERT_EQ(trainer_net_read_learned(net_, "half", 1, bias.data(), bias.size()), TRAINER_OK);
  EXPECT_EQ(bias, (std::vector<float>{1, 1}));
  float loss = 5;
  ASSERT_EQ(trainer_net_loss(net_, &loss), TRAINER_OK);
  EXPECT_EQ(loss, 0);
}

TEST_F(CInterface, ReturnsStatusesAndTexts) {
  EXPECT_EQ(trainer_options_set(options_, "modell", "x"), TRAINER_CONFIGURATION);
  EXPECT_NE(std::string(trainer_last_error()).find("did you mean \"model\"?"), std::string::npos);
  EXPECT_EQ(trainer_options_set(options_, "threads", "two"), TRAINER_CONFIGURATION);
  EXPECT_EQ(trainer_options_set(options_, "deterministic", "1"), TRAINER_CONFIGURATION);
  EXPECT_EQ(trainer_options_set(nullptr, "model", "x"), TRAINER_CONFIGURATION);
  EXPECT_STREQ(trainer_last_error(), "the argument options is NULL");
  EXPECT_EQ(trainer_net_open(options_, nullptr), TRAINER_CONFIGURATION);
  EXPECT_EQ(trainer_net_forward(nullptr), TRAINER_CONFIGURATION);
  open();
  int count = 0;
  const char* name = nullptr;
  EXPECT_EQ(trainer_net_input_name(net_, 1, &name), TRAINER_CONFIGURATION);
  EXPECT_EQ(trainer_net_set_input(net_, "data", nullptr, 6, nullptr, 0), TRAINER_CONFIGURATION);
  EXPECT_EQ(trainer_net_input_count(net_, nullptr), TRAINER_CONFIGURATION);
  EXPECT_EQ(trainer_net_input_count(net_, &count), TRAINER_OK);
  std::string elsewhere = "?";
  std::thread([&] { elsewhere = trainer_last_error(); }).join();
  EXPECT_EQ(elsewhere, "");
}

TEST_F(CInterface, KeepsOptionsOfNetsAndSolversApart) {
  trainer_solver* solver = nullptr;
  EXPECT_EQ(trainer_options_set(options_, "model_text", kSums), TRAINER_OK);
  EXPECT_EQ(trainer_solver_open(options_, &solver), TRAINER_CONFIGURATION);
  EXPECT_EQ(solver, nullptr);
  EXPECT_EQ(trainer_options_set(options_, "solver_text", "base_lr: 1"), TRAINER_OK);
  EXPECT_EQ(trainer_net_open(options_, &net_), TRAINER_CONFIGURATION);
  EXPECT_EQ(net_, nullptr);
}

trainer_request throw_text(void*, int64_t, double, double) {
  throw std::runtime_error("the disk of the caller is full");
}
trainer_request throw_number(void*, int64_t, double, double) { throw 3; }

TEST_F(CInterface, PassesTheTextOfAnExceptionOfACallback) {
  constexpr const char* kSolver = R"(
net_param {
  layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 2 dim: 3 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } loss_weight: 1 }
}
base_lr: 0.1 lr_policy: "fixed" max_iter: 2 random_seed: 1 snapshot_after_train: false)";
  for (const auto& [name, value] : {std::pair{"solver_text", kSolver}, {"threads", "1"}})
    ASSERT_EQ(trainer_options_set(options_, name, value), TRAINER_OK);
  using Thrown = std::pair<decltype(trainer_callbacks::iteration), const char*>;
  for (const auto& [callback, text] : {Thrown(throw_text, "the disk of the caller is full"),
                                       Thrown(throw_number, "a callback threw an exception without a text")}) {
    trainer_solver* solver = nullptr;
    ASSERT_EQ(trainer_solver_open(options_, &solver), TRAINER_OK) << trainer_last_error();
    trainer_callbacks callbacks{};
    callbacks.size = sizeof callbacks;
    callbacks.iteration = callback;
    EXPECT_EQ(trainer_solver_train(solver, &callbacks, nullptr), TRAINER_CALLBACK);
    EXPECT_STREQ(trainer_last_error(), text);
    trainer_solver_close(solver);
  }
}

TEST(CStatus, IsTheExitCode) {
  EXPECT_EQ(TRAINER_INTERNAL, static_cast<int>(trainer::ExitCode::kInternal));
  EXPECT_EQ(TRAINER_CONFIGURATION, static_cast<int>(trainer::ExitCode::kConfiguration));
  EXPECT_EQ(TRAINER_DATA, static_cast<int>(trainer::ExitCode::kData));
  EXPECT_EQ(TRAINER_DIVERGED, static_cast<int>(trainer::ExitCode::kDiverged));
  EXPECT_EQ(TRAINER_DEVICE, static_cast<int>(trainer::ExitCode::kDevice));
  EXPECT_EQ(trainer_api_version(), TRAINER_API_VERSION);
}

}  // namespace
