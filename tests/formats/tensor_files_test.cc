// Weight files of other programs: safetensors, PyTorch, ONNX, .npz; and damaged ones.
#include "formats/tensors/tensor_file.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>

#include "formats/temp_folder.h"
#include "formats/weight_map.h"
#include "formats/weight_tensors.h"
#include "formats/wire_writer.h"
#include "formats/zip_bytes.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

// torch.save of OrderedDict(a=tensor([[1, 2], [3, 4]]).t(), n={"b": half tensor([0.5, -2]), "c": tensor([3, 4])}) by
// PyTorch 2.15, where c is a row of the storage of a: in the container before version 1.6, and the pickle of the other.
constexpr const char* kLegacy =
    "80028a0a6cfc9c46f9206aa850192e80024de9032e80027d710028581000000070726f746f636f6c5f76657273696f6e71014de9"
    "03580d0000006c6974746c655f656e6469616e710288580a000000747970655f73697a657371037d710428580500000073686f72"
    "7471054b025803000000696e7471064b0458040000006c6f6e6771074b0475752e800263636f6c6c656374696f6e730a4f726465"
    "726564446963740a71002952710128580100000061710263746f7263682e5f7574696c730a5f72656275696c645f74656e736f72"
    "5f76320a71032828580700000073746f72616765710463746f7263680a466c6f617453746f726167650a7105580e000000393339"
    "35363338303831363433327106580300000063707571074b044e747108514b004b024b028671094b014b0286710a896800295271"
    "0b74710c52710d58010000006e710e7d710f28580100000062711068032828680463746f7263680a48616c6653746f726167650a"
    "7111580e0000003933393536323735373331363136711268074b024e747113514b004b028571144b018571158968002952711674"
    "711752711858010000006371196803282868046805580e0000003933393536333830383136343332711a68074b044e74711b514b"
    "024b0285711c4b0185711d8968002952711e74711f52712075752e80025d710028580e0000003933393536323735373331363136"
    "7101580e00000039333935363338303831363433327102652e0200000000000000003800c004000000000000000000803f000000"
    "400000404000008040";

constexpr const char* kPickle =
    "800263636f6c6c656374696f6e730a4f726465726564446963740a71002952710128580100000061710263746f7263682e5f7574"
    "696c730a5f72656275696c645f74656e736f725f76320a71032828580700000073746f72616765710463746f7263680a466c6f61"
    "7453746f726167650a71055801000000307106580300000063707571074b04747108514b004b024b028671094b014b0286710a89"
    "68002952710b74710c52710d58010000006e710e7d710f28580100000062711068032828680463746f7263680a48616c6653746f"
    "726167650a7111580100000031711268074b02747113514b004b028571144b018571158968002952711674711752711858010000"
    "006371196803282868046805680668074b0474711a514b024b0285711b4b0185711c8968002952711d74711e52711f75752e";

// numpy.savez_compressed(x=arange(6, dtype='>i2').reshape(2, 3, order='F')) by NumPy 2.4.
constexpr const char* kDeflatedNpz =
    "504b03042d000000080000002100588c4901ffffffffffffffff05001400782e6e7079010010008c000000000000005100000000"
    "0000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9769a4aea3a09e965f54529498179f5f94920a120f292a4d050a17"
    "672416a402b91a463a0ac69a3a0ab50ae4032e06060646062606660616065600504b01022d032d000000080000002100588c4901"
    "510000008c000000050000000000000000000000800100000000782e6e7079504b05060000000001000100330000008800000000"
    "00";

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string safetensors(const std::string& header, const std::string& values) {
  return test::little_endian(header.size(), 8) + header + values;
}

const std::string kSafetensors =
    safetensors(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},)"
                R"("a\u00e9":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
                floats({1.5f, -2}) + from_hex("803f00c0"));

std::string torch_archive(const std::string& pickle) {
  return test::zip_bytes({{"m/data.pkl", pickle},
                          {"m/byteorder", "little"},
                          {"m/data/0", floats({1, 2, 3, 4})},
                          {"m/data/1", from_hex("003800c0")}});
}

std::string onnx_tensor(const std::string& name, uint64_t type, int64_t extent, const std::string& fields) {
  std::string out;
  append_varint_field(out, 1, static_cast<uint64_t>(extent));
  append_varint_field(out, 2, type);
  append_bytes_field(out, 8, name);
  return out + fields;
}

std::string bytes_field(uint32_t field, const std::string& bytes) {
  std::string out;
  append_bytes_field(out, field, bytes);
  return out;
}

std::string external(const std::string& location) {
  return bytes_field(13, bytes_field(1, "location") + bytes_field(2, location)) +
         bytes_field(13, bytes_field(1, "offset") + bytes_field(2, "4")) + std::string("\x70\x01");
}

std::string onnx(const std::vector<std::string>& tensors) {
  std::string graph;
  for (const std::string& tensor : tensors) append_bytes_field(graph, 5, tensor);
  std::string out;
  append_varint_field(out, 1, 8);
  append_bytes_field(out, 7, graph);
  append_bytes_field(out, 8, std::string("\x10\x0d"));
  return out;
}

const std::string kOnnx = onnx({onnx_tensor("raw", 1, 2, bytes_field(9, floats({1, 2}))),
                                onnx_tensor("float", 1, 2, bytes_field(4, floats({3, 4}))),
                                onnx_tensor("half", 10, 2, bytes_field(5, from_hex("8078808003"))),
                                onnx_tensor("negative", 7, 1, bytes_field(7, from_hex("ffffffffffffffffff01"))),
                                onnx_tensor("text", 8, 1, bytes_field(6, "x"))});

TensorFile open(const TempFolder& folder, const std::string& bytes, const std::string& name = "file") {
  std::optional<TensorFile> file = open_tensors(folder.write(name, bytes));
  if (!file) throw data_error("not recognized");
  return *std::move(file);
}

const StoredTensor& tensor(const TensorFile& file, const std::string& name) {
  for (const StoredTensor& tensor : file.tensors) {
    if (tensor.name == name) return tensor;
  }
  throw data_error("no tensor {}", name);
}

std::vector<float> values(const TensorFile& file, const std::string& name) { return tensor(file, name).values(); }

TEST(TensorFiles, ReadsSafetensors) {
  const TempFolder folder;
  const TensorFile file = open(folder, kSafetensors);
  EXPECT_STREQ(file.format, "safetensors");
  EXPECT_EQ(tensor(file, "a\xc3\xa9").shape, Shape({1, 2}));
  EXPECT_EQ(values(file, "a\xc3\xa9"), (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(tensor(file, "b").type, ElementType::kBF16);
  EXPECT_EQ(values(file, "b"), (std::vector<float>{1, -2}));
}

TEST(TensorFiles, ReadsDividedSafetensors) {
  const TempFolder folder;
  folder.write("1.safetensors", safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "\1\2"));
  folder.write("2.safetensors", safetensors(R"({"b":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]}})", "\1"));
  const std::string begin = R"({"metadata": {"total_size": 3}, "weight_map": {"a": "1.safetensors", "b": )";
  const TensorFile file = open(folder, begin + R"("2.safetensors"}})", "model.safetensors.index.json");
  EXPECT_EQ(values(file, "a"), (std::vector<float>{1, 2}));
  EXPECT_EQ(values(file, "b"), (std::vector<float>{1}));
  const auto message = [&](const std::string& end) {
    return data_error_of([&] { open(folder, begin + end, "x.json"); });
  };
  EXPECT_TRUE(contains(message("\"../2.safetensors\"}}"), "must be in the folder of its index"));
  EXPECT_TRUE(contains(message("\"3.safetensors\"}}"), "No such file"));
  EXPECT_TRUE(contains(message("\"1.safetensors\"}}"), "has the tensor \"b\", but it lacks it"));
}

void expect_torch(const TensorFile& file) {
  EXPECT_STREQ(file.format, "PyTorch");
  EXPECT_EQ(tensor(file, "a").shape, Shape({2, 2}));
  EXPECT_EQ(values(file, "a"), (std::vector<float>{1, 3, 2, 4}));
  EXPECT_EQ(tensor(file, "n.b").type, ElementType::kF16);
  EXPECT_EQ(values(file, "n.b"), (std::vector<float>{0.5f, -2}));
  EXPECT_EQ(values(file, "n.c"), (std::vector<float>{3, 4}));
}

TEST(TensorFiles, ReadsBothContainersOfPyTorch) {
  const TempFolder folder;
  expect_torch(open(folder, torch_archive(from_hex(kPickle))));
  expect_torch(open(folder, from_hex(kLegacy)));
}

TEST(TensorFiles, ReadsNumPyArchives) {
  const TempFolder folder;
  const TensorFile file = open(folder, from_hex(kDeflatedNpz));
  EXPECT_EQ(tensor(file, "x").shape, Shape({2, 3}));
  EXPECT_EQ(values(file, "x"), (std::vector<float>{0, 2, 4, 1, 3, 5}));
}

TEST(TensorFiles, ReadsInitializersOfOnnx) {
  const TempFolder folder;
  const TensorFile file = open(folder, kOnnx);
  EXPECT_EQ(file.tensors.size(), 4u);
  EXPECT_EQ(values(file, "raw"), (std::vector<float>{1, 2}));
  EXPECT_EQ(values(file, "float"), (std::vector<float>{3, 4}));
  EXPECT_EQ(values(file, "half"), (std::vector<float>{1, -2}));
  EXPECT_EQ(values(file, "negative"), (std::vector<float>{-1}));
}

TEST(TensorFiles, ReadsExternalDataOfOnnxInItsFolderOnly) {
  const TempFolder folder;
  folder.write("weights.bin", "skip" + floats({5, 6}));
  const TensorFile file = open(folder, onnx({onnx_tensor("e", 1, 2, external("weights.bin"))}));
  EXPECT_EQ(values(file, "e"), (std::vector<float>{5, 6}));
  std::filesystem::create_directory(folder / "inner");
  for (const std::string outside : {"../weights.bin", "/etc/passwd", "", "link/weights.bin"}) {
    std::error_code exists;
    std::filesystem::create_directory_symlink("..", folder / "inner/link", exists);
    const std::string bytes = onnx({onnx_tensor("e", 1, 2, external(outside))});
    EXPECT_TRUE(contains(data_error_of([&] { open(folder, bytes, "inner/model.onnx"); }), "must be in the folder"));
  }
  EXPECT_TRUE(contains(data_error_of([&] { open(folder, onnx({onnx_tensor("e", 1, 3, external("weights.bin"))})); }),
                       "needs 12 bytes from byte 4"));
}

TEST(TensorFiles, RefusesOpcodesAndGlobalsByName) {
  const TempFolder folder;
  const auto message = [&](const std::string& pickle) {
    return data_error_of([&] { open(folder, torch_archive(pickle)); });
  };
  const std::string call = message(
      "\x80\x02"
      "cposix\nsystem\n");
  EXPECT_TRUE(contains(call, "it asks for posix.system (byte 2)"));
  EXPECT_TRUE(contains(call, "torch.save(model.state_dict(), FILE)"));
  EXPECT_TRUE(contains(message(std::string("\x80\x04\x8c\5posix\x8c\6system\x93.", 18)), "posix.system"));
  EXPECT_TRUE(contains(message(std::string("\x80\x02(i__main__\nX\n.", 16)), "opcode INST"));
  EXPECT_TRUE(contains(message(std::string("\x80\x02\xff.", 4)), "unknown opcode 0xff"));
  EXPECT_TRUE(contains(message(std::string("\x80\x02}", 3)), "ends too early"));
  EXPECT_TRUE(contains(message(std::string("\x80\x02}.", 4)), "has no tensors"));
  EXPECT_TRUE(contains(data_error_of([&] { open(folder, std::string("\x80\x04}.", 4) + std::string(40, ' ')); }),
                       "not one of torch.save"));
  // Dictionaries that contain themselves, and 2^30 names of one tensor.
  EXPECT_TRUE(contains(message(std::string("\x80\x02}q\0X\1\0\0\0ah\0s.", 15)), "nested too deeply"));
}

TEST(TensorFiles, NamesThePlaceAndTheRemedy) {
  const TempFolder folder;
  const auto message = [&](const std::string& bytes) {
    return data_error_of([&] {
      for (const StoredTensor& tensor : open(folder, bytes).tensors) tensor.values();
    });
  };
  const std::string path = folder / "file";
  EXPECT_TRUE(
      contains(message(kSafetensors.substr(0, kSafetensors.size() - 1)), path + ": tensor \"b\" should reach byte"));
  EXPECT_TRUE(contains(message(kSafetensors + "x"), "has 13 bytes of values, and its tensors end after 12"));
  EXPECT_TRUE(contains(message(safetensors(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "x")),
                       "element type \"F8_E4M3\""));
  EXPECT_TRUE(contains(message(safetensors(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "xxxx")),
                       "impossible extent -1"));
  EXPECT_TRUE(
      contains(message(safetensors(R"({"a":{"dtype":"F32","shape":[9999999999999],"data_offsets":[0,4]}})", "xxxx")),
               "impossible extent"));
  EXPECT_TRUE(contains(message(safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", "xxxxxxxx")),
                       "needs 4 bytes for its shape (1); its data_offsets are 0, 8"));
  EXPECT_TRUE(contains(message(safetensors(R"({"a":{"x":)" + std::string(100, '['), "")), "nested too deeply"));
  EXPECT_TRUE(contains(message(onnx({onnx_tensor("r", 1, 3, bytes_field(9, floats({1, 2})))})),
                       "tensor \"r\" (3) needs 12 bytes; its raw_data have 8"));
  EXPECT_TRUE(contains(message(onnx({onnx_tensor("r", 1, 1 << 30, bytes_field(4, floats({1})))})), "needs 1073741824"));
  EXPECT_TRUE(contains(message(onnx({onnx_tensor("c", 14, 1, bytes_field(9, "12345678"))})), "element type 14"));
  EXPECT_TRUE(contains(message(test::zip_bytes({{"readme", "x"}})), "a zip archive without weights"));
  std::string npz = test::zip_bytes({{"x.npy", "\x93NUMPY"}});
  EXPECT_TRUE(contains(message(npz), "tensor \"x\" is not a .npy file"));
  npz = from_hex(kDeflatedNpz);
  npz[70] = static_cast<char>(npz[70] ^ 0x10);
  EXPECT_TRUE(contains(message(npz), "damaged"));
}

TEST(TensorFiles, LeavesOtherFilesToOtherReaders) {
  const TempFolder folder;
  // A net, a solver state, a mean image, text.
  for (const std::string other :
       {"\x0a\x01n", "\x08\x05\x12\x01x\x20\x01", "\x08\x01\x10\x03\x18\x01\x20\x01", "name: \"n\"", ""})
    EXPECT_FALSE(open_tensors(folder.write("other", other)));
}

// Reads everything, and expects a data_error or nothing.
void read_damaged(const std::string& path) {
  try {
    const std::optional<TensorFile> file = open_tensors(path);
    if (!file) return;
    for (const StoredTensor& tensor : file->tensors) tensor.values();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
  }
}

TEST(TensorFiles, SurvivesTruncationAndMutation) {
  const TempFolder folder;
  const std::vector<std::string> files{kSafetensors, torch_archive(from_hex(kPickle)), from_hex(kLegacy),
                                       from_hex(kDeflatedNpz), kOnnx};
  constexpr int kMutations = 1000;
  std::mt19937 random(1);
  const auto below = [&](size_t most) { return std::uniform_int_distribution<size_t>(0, most - 1)(random); };
  for (const std::string& good : files) {
    for (size_t length = 0; length < good.size(); ++length) read_damaged(folder.write("bad", good.substr(0, length)));
    for (int i = 0; i < kMutations; ++i) {
      std::string bad = good;
      for (size_t change = 0; change <= below(3); ++change) {
        const size_t at = below(bad.size());
        switch (below(4)) {
          case 0: bad[at] = static_cast<char>(bad[at] ^ 1 << below(8)); break;
          case 1: bad[at] = static_cast<char>(below(2) * 255); break;
          case 2: bad.insert(at, bad.substr(below(bad.size()), 1 + below(8))); break;
          case 3: bad.erase(at, 1 + below(4)); break;
        }
        if (bad.empty()) bad = "x";
      }
      read_damaged(folder.write("bad", bad));
    }
  }
}

TEST(WeightMap, ReadsLines) {
  const TempFolder folder;
  const std::vector<WeightMapLine> lines = read_weight_map(
      folder.write("map", "# Comment\n\na/b/0  x.weight  transpose=1,0  # more\nlayer*_conv/1 blocks.*.bias\n"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].layer, "a/b");
  EXPECT_EQ(lines[0].blob, 0);
  EXPECT_EQ(lines[0].transpose, (std::vector<int>{1, 0}));
  EXPECT_EQ(match_star(lines[1].tensor, "blocks.3.0.bias"), "3.0");
  EXPECT_FALSE(match_star(lines[1].tensor, "blocks.bias"));
  EXPECT_EQ(replace_star(lines[1].layer, "3.0"), "layer3.0_conv");
  const auto message = [&](const std::string& text) {
    return data_error_of([&] { read_weight_map(folder.write("map", text)); });
  };
  EXPECT_TRUE(contains(message("\nconv1 x\n"), "map:2: \"conv1\" is not LAYER/BLOB"));
  EXPECT_TRUE(contains(message("a*/0 x\n"), "one \"*\" each"));
  EXPECT_TRUE(contains(message("a/0 x transpose=0,2\n"), "not an order of axes"));
  EXPECT_TRUE(contains(message("a/0\n"), "this one has 1 words"));
  EXPECT_TRUE(contains(message("# nothing\n"), "has no line"));
}

StoredTensor stored(const std::string& name, const Shape& shape, const std::vector<float>& values) {
  return {name, shape, ElementType::kF32, [values](float* out) { std::copy(values.begin(), values.end(), out); }};
}

TEST(WeightTensors, WritesWhatItReads) {
  const TempFolder folder;
  NamedTensors named;
  named.tensors = {stored("fc.weight", {2, 3}, {1, 2, 3, 4, 5, 6}), stored("fc.bias", {2}, {7, 8}),
                   stored("token", {1, 1}, {9})};
  named.types["fc"] = "InnerProduct";
  for (const std::string name : {"w.caffemodel", "w.caffemodel.h5"}) {
    AtomicFile file(folder / name);
    write_tensors(file, named);
    file.commit();
    const WeightFile back = read_weights(folder / name);
    ASSERT_EQ(back.layers.size(), 2u) << name;
    EXPECT_EQ(back.layers[0].name, "fc");
    EXPECT_EQ(back.layers[0].type, name == "w.caffemodel" ? "InnerProduct" : "");
    EXPECT_EQ(back.layers[0].blobs.at(0).shape, Shape({2, 3}));
    EXPECT_EQ(values(tensors_of(back), "fc/1"), (std::vector<float>{7, 8}));
    EXPECT_EQ(values(tensors_of(back), "token/0"), (std::vector<float>{9}));
  }
  for (const std::string name : {"w.safetensors", "w.npz"}) {
    AtomicFile file(folder / name);
    write_tensors(file, named);
    file.commit();
    const TensorFile back = *open_tensors(folder / name);
    EXPECT_EQ(tensor(back, "fc.weight").shape, Shape({2, 3}));
    EXPECT_EQ(values(back, "fc.weight"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(values(back, "token"), (std::vector<float>{9}));
  }
  named.tensors.push_back(stored("bn.running_mean", {1}, {1}));
  AtomicFile file(folder / "x.caffemodel");
  EXPECT_TRUE(contains(data_error_of([&] { write_tensors(file, named); }), "\"bn.running_mean\" belongs to no blob"));
  named.tensors.push_back(stored("token", {1}, {1}));
  for (const std::string name : {"x.safetensors", "x.npz"}) {
    AtomicFile twice(folder / name);
    EXPECT_TRUE(contains(data_error_of([&] { write_tensors(twice, named); }), "two tensors have the name \"token\""));
  }
}

TEST(TensorFiles, SafetensorsKeepNotes) {
  const TempFolder folder;
  NamedTensors named;
  named.tensors = {stored("a", {1}, {2})};
  named.notes.class_names = {"cat", "\"big\" dog"};
  auto input = std::make_shared<caffe::PictureInput>();
  input->mutable_transform_param()->add_mean_value(104);
  named.notes.picture_input = input;
  AtomicFile file(folder / "w.safetensors");
  write_tensors(file, named);
  file.commit();
  const WeightNotes notes = read_weights(folder / "w.safetensors").notes;
  EXPECT_EQ(notes.class_names, named.notes.class_names);
  ASSERT_NE(notes.picture_input, nullptr);
  EXPECT_EQ(notes.picture_input->transform_param().mean_value(0), 104.0f);
}

TEST(TensorFiles, RefusesNumbersBeyondFloats) {
  StoredTensor large = stored("w", {2}, {1, std::numeric_limits<float>::infinity()});
  EXPECT_EQ(large.values().size(), 2u);
  large.type = ElementType::kF64;
  EXPECT_TRUE(contains(data_error_of([&] { large.values(); }), "\"w\" (float64) has values beyond the range"));
}

}  // namespace
}  // namespace trainer
