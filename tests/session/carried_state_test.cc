// The state that a recurrent layer carries from batch to batch: per net, with changing numbers of items, and as part of
// a snapshot.
#include <gtest/gtest.h>

#include "config/prototxt.h"
#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "session/net_session.h"
#include "session/parameters.h"

namespace trainer {
namespace {

// An LSTM of one unit with all weights 1 and all biases 0, over steps of ones, computed in Python's doubles.
constexpr float kH[] = {0.3696064f, 0.6505352f, 0.7887658f, 0.8397413f, 0.8566305f, 0.8623085f};

class Carried : public testing::Test {
 protected:
  // Batches of 2 steps with as many items as the record is wide: 3, 2, 3.
  Carried() {
    test::Records records;
    for (int i = 0; i < 3; ++i) records.emplace_back(test::key(i), test::raw_datum(i, 1, 2, i == 1 ? 2 : 3, 0));
    test::write_lmdb(folder_ / "lmdb", records);
    const std::string text = R"(
layer { name: "data" type: "Data" top: "data" data_param { source: ")" +
                             (folder_ / "lmdb") + R"(" backend: LMDB batch_size: 1 } }
layer { name: "ones" type: "Power" bottom: "data" top: "ones" power_param { scale: 0 shift: 1 } }
layer { name: "x" type: "Reshape" bottom: "ones" top: "x" reshape_param { shape { dim: 2 dim: -1 dim: 1 } } }
layer { name: "cont" type: "Reshape" bottom: "ones" top: "cont" reshape_param { shape { dim: 2 dim: -1 } } }
layer { name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h"
  recurrent_param { num_output: 1 weight_filler { type: "constant" value: 1 } } })";
    Diagnostics diagnostics;
    parse_prototxt(text, "net.prototxt", &net_, &positions_, &diagnostics);
    diagnostics.throw_if_errors();
  }

  std::unique_ptr<NetSession> session() {
    auto session = std::make_unique<NetSession>(net_, positions_, caffe::TEST, 1, device_session_);
    add_parameters(session->lowered(), 1, false, device_session_.store);
    return session;
  }

  // The steps of each item in order.
  static void expect_next(NetSession& session, const std::vector<std::vector<float>>& items) {
    session.run_next(ProgramKind::kForward);
    const std::vector<float>& h = session.read_outputs().at(0);
    ASSERT_EQ(h.size(), items.size() * 2);
    for (size_t i = 0; i < items.size(); ++i) {
      for (size_t t = 0; t < 2; ++t)
        EXPECT_NEAR(h[t * items.size() + i], items[i][t], 1e-5) << "item " << i << ", step " << t;
    }
  }

  const std::vector<float> first_{kH[0], kH[1]}, second_{kH[2], kH[3]}, third_{kH[4], kH[5]};

 private:
  TempFolder folder_;
  caffe::NetParameter net_;
  Positions positions_;
  DeviceSession device_session_{DeviceSpec()};
};

TEST_F(Carried, FirstItemsGoOnWhereTheirNumberChanges) {
  const auto net = session();
  expect_next(*net, {first_, first_, first_});
  expect_next(*net, {second_, second_});
  expect_next(*net, {third_, third_, first_});
}

TEST_F(Carried, NetsDoNotDisturbEachOther) {
  const auto one = session(), other = session();
  expect_next(*one, {first_, first_, first_});
  expect_next(*other, {first_, first_, first_});
  expect_next(*other, {second_, second_});
  expect_next(*one, {second_, second_});
}

TEST_F(Carried, IsPartOfWhereANetStands) {
  const auto net = session();
  expect_next(*net, {first_, first_, first_});
  const NetPosition position = net->position();
  ASSERT_EQ(position.carried.size(), 2u);
  EXPECT_NEAR(position.carried.at("lstm:h").values.at(2), kH[1], 1e-5);
  const auto resumed = session();
  resumed->seek(position);
  expect_next(*resumed, {second_, second_});
}

}  // namespace
}  // namespace trainer
