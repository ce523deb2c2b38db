// Small databases and layers for the tests of this room, written with the libraries themselves.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <lmdb.h>
#include <stdlib.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "config/diagnostics.h"
#include "config/positions.h"
#include "data/batch_stream.h"
#include "trainer.pb.h"

namespace trainer::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "trainer-data-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Every step of augment, for images of 3 channels; the items have 12 x 12 pixels.
constexpr const char* kEveryStep =
    "augment { resize { short_side: 22 } } augment { rotation { } } augment { affine { degrees: 5 shear: 5 } } "
    "augment { perspective { } } augment { random_crop { size: 20 padding: 2 } } augment { center_crop { size: 18 } } "
    "augment { random_resized_crop { size: 12 } } augment { vertical_flip { } } augment { horizontal_flip { } } "
    "augment { color_jitter { brightness: 0.4 contrast: 0.4 saturation: 0.4 hue: 0.1 } } augment { grayscale { } } "
    "augment { rand_augment { } } augment { trivial_augment { } } augment { blur { } } augment { noise { } } "
    "augment { jpeg { } } augment { normalize { mean: 0.4 std: 0.2 } } augment { erase { } }";

using Records = std::vector<std::pair<std::string, std::string>>;

inline void write_lmdb(const std::string& folder, const Records& records) {
  std::filesystem::create_directory(folder);
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  ASSERT_EQ(mdb_env_create(&env), 0);
  ASSERT_EQ(mdb_env_set_mapsize(env, 64 << 20), 0);
  ASSERT_EQ(mdb_env_open(env, folder.c_str(), 0, 0664), 0);
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
  ASSERT_EQ(mdb_dbi_open(txn, nullptr, 0, &dbi), 0);
  for (const auto& [name, bytes] : records) {
    MDB_val key{name.size(), const_cast<char*>(name.data())}, value{bytes.size(), const_cast<char*>(bytes.data())};
    ASSERT_EQ(mdb_put(txn, dbi, &key, &value, 0), 0);
  }
  ASSERT_EQ(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
}

inline std::string key(int i) {
  char text[16];
  std::snprintf(text, sizeof(text), "%08d", i);
  return text;
}

// Pixel (c, h, w) of record i, by a formula that the expected values repeat.
inline uint8_t pixel(int i, int64_t c, int64_t h, int64_t w) {
  return static_cast<uint8_t>((i * 37 + c * 101 + h * 17 + w * 3 + 5) % 251);
}

inline std::string raw_datum(int i, int channels, int height, int width, int label) {
  caffe::Datum datum;
  datum.set_channels(channels);
  datum.set_height(height);
  datum.set_width(width);
  datum.set_label(label);
  std::string* data = datum.mutable_data();
  for (int c = 0; c < channels; ++c) {
    for (int h = 0; h < height; ++h) {
      for (int w = 0; w < width; ++w) data->push_back(static_cast<char>(pixel(i, c, h, w)));
    }
  }
  return datum.SerializeAsString();
}

// Records 0 .. count-1 with label i % 10.
inline Records raw_records(int count, int channels, int height, int width) {
  Records records;
  for (int i = 0; i < count; ++i) records.emplace_back(key(i), raw_datum(i, channels, height, width, i % 10));
  return records;
}

inline caffe::LayerParameter layer_of(const std::string& text) {
  caffe::LayerParameter layer;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &layer)) << text;
  return layer;
}

inline caffe::LayerParameter data_layer(const std::string& source, int batch_size, const std::string& data_param = "",
                                        const std::string& transform = "") {
  return layer_of("name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '" + source +
                  "' backend: LMDB batch_size: " + std::to_string(batch_size) + " " + data_param +
                  " } transform_param { " + transform + " }");
}

inline StreamOptions options(caffe::Phase phase = caffe::TRAIN, int workers = 1) {
  StreamOptions result;
  result.phase = phase;
  result.seed = 7;
  result.net_name = "net";
  result.workers = workers;
  return result;
}

// Throws the errors of the layer or its data set.
inline std::unique_ptr<BatchStream> open_stream(const caffe::LayerParameter& layer, const StreamOptions& options,
                                                std::string* warnings = nullptr) {
  Diagnostics problems;
  std::unique_ptr<BatchStream> stream = BatchStream::open(layer, options, Positions(), &problems);
  problems.throw_if_errors();
  if (warnings != nullptr) *warnings = problems.render();
  return stream;
}

// One batch copied from the stream.
struct Batch {
  std::vector<std::vector<float>> tops;
  bool operator==(const Batch& other) const { return tops == other.tops; }
};

// `layout` is that of the batch copied.
inline Batch take(BatchStream& stream, const std::vector<TensorDesc>& layout) {
  const std::vector<void*>& buffers = stream.next();
  Batch batch;
  for (size_t top = 0; top < buffers.size(); ++top) {
    const auto* values = static_cast<const float*>(buffers[top]);
    batch.tops.emplace_back(values, values + layout[top].shape.count());
  }
  return batch;
}

inline std::vector<Batch> take_many(BatchStream& stream, int count) {
  std::vector<Batch> batches;
  for (int i = 0; i < count; ++i) {
    const std::vector<TensorDesc> layout = stream.next_batch_descs();
    batches.push_back(take(stream, layout));
  }
  return batches;
}

template <typename Action>
std::string error_text(const Action& action, ExitCode code = ExitCode::kData) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline void expect_contains(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' in: " << text;
}

}  // namespace trainer::test
