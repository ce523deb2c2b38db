// Solver states: exact bytes, round trips with our own fields, and damaged files.
#include "formats/solver_state.h"

#include "formats/hdf5_file.h"
#include "temp_folder.h"

namespace trainer {
namespace {

caffe::SolverState full_state() {
  caffe::SolverState state;
  state.set_iter(60);
  state.set_learned_net("out/net_iter_60.caffemodel");
  state.set_seed(0xFEDCBA9876543210u);
  state.set_forward_passes(120);
  caffe::DataCursor* cursor = state.add_cursors();
  cursor->set_layer("data");
  cursor->set_records(3840);
  for (float loss : {0.5f, 0.25f}) state.add_loss_window(loss);
  return state;
}

TEST(SolverState, WritesAndReadsTheBytesOfCaffe) {
  const TempFolder folder;
  caffe::SolverState state;
  state.set_iter(7);
  state.set_learned_net("m.caffemodel");
  state.set_current_step(2);
  const std::vector<float> values = {1, 2};
  const std::vector<BlobRef> history = {{Shape({2}), values.data()}};
  const std::string expected = from_hex("0807120c6d2e63616666656d6f64656c20021a0f2a080000803f000000403a030a0102");
  EXPECT_EQ(binary_solver_state_size(state, history), static_cast<int64_t>(expected.size()));
  write_whole(write_solver_state, folder / "a.solverstate", state, history);
  caffe::SolverState parsed;
  const std::string bytes = read_all(folder / "a.solverstate");
  ASSERT_TRUE(parsed.ParseFromString(bytes));
  EXPECT_EQ(bytes.size(), expected.size());
  EXPECT_EQ(parsed.history(0).data(1), 2);

  const SolverStateFile file = read_solver_state(folder.write("b.solverstate", expected));
  EXPECT_EQ(file.state.iter(), 7);
  EXPECT_EQ(file.state.learned_net(), "m.caffemodel");
  EXPECT_EQ(file.state.current_step(), 2);
  ASSERT_EQ(file.history.size(), 1u);
  EXPECT_EQ(file.history[0].data, values);
  // current_step is written even if it is 0.
  state.clear_current_step();
  write_whole(write_solver_state, folder / "c.solverstate", state, {});
  ASSERT_TRUE(parsed.ParseFromString(read_all(folder / "c.solverstate")));
  EXPECT_TRUE(parsed.has_current_step());
}

TEST(SolverState, BothFormatsKeepEverything) {
  const TempFolder folder;
  const caffe::SolverState state = full_state();
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  std::vector<BlobRef> history;
  for (int i = 0; i < 12; ++i) history.push_back({Shape({1, 2}), values.data() + i % 5});
  write_whole(write_solver_state, folder / "a.solverstate", state, history);
  write_whole(write_solver_state_hdf5, folder / "a.solverstate.h5", state, history);
  for (const char* name : {"a.solverstate", "a.solverstate.h5"}) {
    const SolverStateFile file = read_solver_state(folder / name);
    caffe::SolverState expected = state;
    expected.set_current_step(0);
    EXPECT_EQ(file.state.SerializeAsString(), expected.SerializeAsString()) << name;
    ASSERT_EQ(file.history.size(), 12u);
    for (size_t i = 0; i < 12; ++i) {
      EXPECT_EQ(file.history[i].shape, Shape({1, 2}));
      EXPECT_EQ(file.history[i].data[1], values[i % 5 + 1]);
    }
  }
  const Hdf5File raw = Hdf5File::open(folder / "a.solverstate.h5");
  EXPECT_EQ(raw.dataset("iter").shape, Shape({1}));
  EXPECT_EQ(raw.dataset("learned_net").shape, Shape());
  EXPECT_EQ(raw.dataset("learned_net").element_bytes, 27);
}

TEST(SolverState, Hdf5FormWithoutOwnFieldsIsCaffes) {
  const TempFolder folder;
  caffe::SolverState state;
  state.set_iter(1);
  write_whole(write_solver_state_hdf5, folder / "a.h5", state, {});
  EXPECT_EQ(Hdf5File::open(folder / "a.h5").children(""),
            (std::vector<std::string>{"current_step", "history", "iter", "learned_net"}));
  EXPECT_EQ(read_solver_state(folder / "a.h5").state.learned_net(), "");
}

TEST(SolverState, DamagedFilesAreErrors) {
  const TempFolder folder;
  const std::vector<float> values = {1, 2};
  write_whole(write_solver_state, folder / "a", full_state(), {{Shape({2}), values.data()}});
  const std::string good = read_all(folder / "a");
  for (size_t i = 0; i < good.size(); ++i) {
    for (int flip : {0, 0x01, 0x80}) {
      std::string bad = flip == 0 ? good.substr(0, i) : good;
      if (flip != 0) bad[i] = static_cast<char>(bad[i] ^ flip);
      const std::string path = folder.write("bad", bad);
      try {
        read_solver_state(path);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kData);
      }
    }
  }
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder.write("bad", bytes);
    return data_error_of([&] { read_solver_state(path); });
  };
  EXPECT_TRUE(contains(message(good.substr(0, good.size() - 3)), "history blob 0 should reach byte"));
  EXPECT_TRUE(contains(message(from_hex("0a016ea206030a0163")), "looks like a weight file"));
  EXPECT_TRUE(contains(message("iter: 7\n"), "is text"));
}

TEST(SolverState, NegativeIterationsAreErrors) {
  const TempFolder folder;
  caffe::SolverState state;
  state.set_iter(-5);
  state.set_learned_net("x");
  write_whole(write_solver_state, folder / "a.solverstate", state, {});
  write_whole(write_solver_state_hdf5, folder / "a.solverstate.h5", state, {});
  for (const char* name : {"a.solverstate", "a.solverstate.h5"})
    EXPECT_TRUE(contains(data_error_of([&] { read_solver_state(folder / name); }), "iteration -5")) << name;
}

}  // namespace
}  // namespace trainer
