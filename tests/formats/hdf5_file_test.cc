// HDF5: a file written by h5py, and round trips.
#include "formats/hdf5_file.h"

#include <zlib.h>

#include <chrono>
#include <thread>

#include "formats/weights.h"
#include "temp_folder.h"

namespace trainer {
namespace {

// Written by h5py 3.7, compressed with zlib (18,232 bytes): data/conv/{0,1}, data/inc/a/0, data/inc/shared/1, group
// data/relu; int64 "label" (4); big-endian float64 "wide" (3,2); a string of variable and one of fixed length; gzipped,
// chunked uint8 "zip" (10,10).
const char* const kFromPython =
    "78daed5a416c1b45149dd975ec8de3509b244a0885ba4a5002422281aab54010a336d482aa491b0496908cd7de756bc96a43"
    "62d215426a4e2825080ceda1e284c4251217d3aa2a1212f48490b80468a5dc0854148e2e910ab7b0eb9d597b7ebc76a169b1"
    "f17f92f53db36f7766befffff3e77bcfc40ebcd0ed1ff4130b8a423c2448aab1c9103928b6f9f5249394c925265724de4fcb"
    "d706587f883d1ff25e3e3a3969b137019c89b0698d11443b2236f9fcb425e3ac1d61f25b49e4696a5eb5644e4de939539eca"
    "6abad5ceeb46de9299aca16ba67c2b3b2bd86dd8655c4a3a6c0ee5ed515b4a76071f5e6612b665d3f22d6628bccbf42d7ba4"
    "7e85f49f66d73b8852be2e49f60315e6293235bf9631006664fca7bf839b3fc73d6c76dedbf3e7e33db55787684f7fe6fe77"
    "de2bf2d2274f2c58327b225d6ecfe9b937abfd36b24df61b0b317bf4d59e1fe7477ce2f3f87e340ef6c1e836fbd700eb880c"
    "d6e715d9f5d59dff64d4c5097bca51f3b3687e3eb1a66ff57d4dc8bad32f839c80c7bad990bdea8992b8f6288b6051b67747"
    "7b996473b42eaf3f56d19b9a4a1b8974524bddf8e5c6cf7da1be1e1f919e23cb669faaa77fbbde1f3c5738f79197c80be44b"
    "23717d5d4b06efcf240b1fea660e227d46668dc4d9b3af4e5f5dbdfac3de27f78e7790ae14dd301233475f3972edfb6b3fee"
    "7bea72d143021f4b4366dfccb1e4d898962c5ec898f7fa6ed2612371f1f34b174fcdff590a2801bf97f4be23bf6624e667f3"
    "73b7feb875b3bbb3bbcb47fabe92cdb9ccbfa1274b1bc7924b4b9a796ff73eba662496df7dff8cbe28911d7e7ad26c2d4fc5"
    "34ab75819e36122fbd98599489f22bf9069d1e814020104d8399c3530728f1f2c30619f388790ccceb4759fffad3f59fcbab"
    "08c591fa3c9ef7ad3e5a9fc7f39c2ba3f5793c1f2b3d736ff5d8e8bc53ec15f58268473f931d3f2b79453f83e70f6e27059f"
    "c883e700ee17a561c07b84f146fe8f7a941c3d86e5db8b437ff5a10dd6af6bd99644a958d792eeb88e35a0544e7bd5586a29"
    "7d5070befff7fa083345789a5a1f8df6b3d843b89fb533dcea63f14191a732397f5c9db30aef775a1f6b649785876b471b44"
    "7bda258f4fa59db5cf094efeb5cd79c917206f8375593eafdfc3222fb89bcd6fa89df364e7cf2fa2f4a34d37777e37dc22f9"
    "5dedff4ba0bf35da5f5686707fc1fd65ebfe320de2f5f85dd95f2a71716d17fe16db190760bdc48e03c4fd7d2404c681aa38"
    "c0fd323e02ed8dc5877bb4aff3aa82c7d9d783656a50e1738c36d8cf1f674b0983910b2d92e788ef67b9bd97b525efd93de1"
    "e8674f17d9b32937ca7b0e29e24982c368327d28821df2f53e60da4b90ed5fb4ca822beb2560bd6f2bb52b3ee79bda4f0fee"
    "9f3a44aba64d81bf2ea873593595d3397f6d07c6360402814020100804028140205a0d8deb2176bda387dab521f77acf7b0a"
    "bf43c44a8be9c35bb75ee6673c37e9d413894bdd48b6bbbb48b8fc8556e9ddaabc6b7a26a7e675a73ee9e8d7bcf1d98a823d"
    "9519c6efaa3eac3a3f25812d75fede06f77dc0ac01f2e05b5d9fbaf0e0ff879701cfedb5c6ef5c7870dc9f5c7870dc0dc0f3"
    "ba8cebebaccd83e33ee8c283e33ec178f7b176a7cbb8fb5d7870dc23ec4200f0e0b8af838102e07914432602814020100817"
    "fc0daa356dfd";

std::string python_file(const TempFolder& folder) {
  const std::string packed = from_hex(kFromPython);
  std::string bytes(18232, '\0');
  uLongf size = bytes.size();
  EXPECT_EQ(::uncompress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(packed.data()),
                         packed.size()),
            Z_OK);
  return folder.write("python.h5", bytes);
}

TEST(Hdf5File, ReadsAFileWrittenByH5py) {
  const TempFolder folder;
  const std::string path = python_file(folder);
  EXPECT_TRUE(Hdf5File::has_signature(path));
  const Hdf5File file = Hdf5File::open(path);
  EXPECT_EQ(file.children("/"), (std::vector<std::string>{"data", "fixed", "label", "text", "wide", "zip"}));
  EXPECT_TRUE(file.has_group("data/inc"));
  EXPECT_FALSE(file.has_dataset("data/inc"));
  EXPECT_FALSE(file.has_group("nothing/at/all"));
  const Hdf5DatasetInfo label = file.dataset("label");
  EXPECT_EQ(label.shape, Shape({4}));
  EXPECT_EQ(label.kind, Hdf5Kind::kInteger);
  EXPECT_EQ(label.element_bytes, 8);
  EXPECT_EQ(file.read_floats("label"), (std::vector<float>{3, -1, 2, 70000}));
  EXPECT_EQ(file.read_ints("label"), (std::vector<int32_t>{3, -1, 2, 70000}));
  EXPECT_EQ(file.dataset("wide").kind, Hdf5Kind::kFloat);
  float rows[4];
  file.read_rows("wide", 1, 3, rows);
  EXPECT_EQ(std::vector<float>(rows, rows + 4), (std::vector<float>{3, 4, 5, 6.5}));
  float zipped[20];
  file.read_rows("zip", 4, 6, zipped);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(zipped[i], 40 + i);
  EXPECT_EQ(file.read_string("text"), "variable");
  EXPECT_EQ(file.read_string("fixed"), "abc");

  EXPECT_TRUE(contains(data_error_of([&] { file.read_floats("text"); }), "holds string values"));
  EXPECT_TRUE(contains(data_error_of([&] { file.read_ints("wide"); }), "holds float values"));
  EXPECT_TRUE(contains(data_error_of([&] { file.read_floats("lable"); }), "has no dataset \"lable\""));
  EXPECT_TRUE(contains(data_error_of([&] { file.read_rows("wide", 2, 4, rows); }), "has 3 rows"));
  EXPECT_TRUE(contains(data_error_of([&] { file.children("label"); }), "has no group"));

  const WeightFile weights = read_weights(path);
  std::vector<std::string> names;
  for (const WeightLayer& layer : weights.layers) names.push_back(layer.name);
  EXPECT_EQ(names, (std::vector<std::string>{"conv", "inc/a", "inc/shared", "relu"}));
  EXPECT_EQ(weights.layers[0].blobs.at(0).data, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(weights.layers[0].blobs.at(1).data, (std::vector<float>{0.5, -0.5}));
  EXPECT_FALSE(weights.layers[2].blobs.at(0).present);
  EXPECT_EQ(weights.layers[2].blobs.at(1).data, (std::vector<float>{3, 4}));
}

TEST(Hdf5File, WritesAndAppends) {
  const TempFolder folder;
  const std::string path = folder / "a.h5";
  {
    Hdf5File file = Hdf5File::create(path);
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    const int32_t number = 7;
    const uint8_t bytes[] = {0, 255};
    file.write_floats("deep/er/x", Shape({3, 2}), values.data());
    file.write_floats("scalar", Shape(), values.data());
    file.write_ints("iter", Shape({1}), &number);
    file.write_bytes("raw", Shape({2}), bytes);
    file.write_string("name", "net_iter_7.caffemodel.h5");
    for (int i = 0; i < 12; ++i) file.make_group(fmt::format("history/{}", i));
    file.make_group("history/3");
    Hdf5Appender rows(file, "data", Shape({2}));
    rows.append(values.data(), 1);
    rows.append(values.data() + 2, 2);
    rows.append(values.data(), 0);
    EXPECT_EQ(rows.rows(), 3);
    Hdf5Appender scalars(file, "label", Shape());
    scalars.append(values.data(), 4);
    Hdf5Appender wide(file, "wide", Shape({3, 400, 400}));
    const std::vector<float> image(3 * 400 * 400, 1.5f);
    wide.append(image.data(), 1);
    EXPECT_TRUE(contains(data_error_of([&] { file.write_ints("iter", Shape({1}), &number); }), "\"iter\""));
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path);
  EXPECT_EQ(file.dataset("deep/er/x").shape, Shape({3, 2}));
  EXPECT_EQ(file.read_floats("deep/er/x"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.dataset("scalar").shape, Shape());
  EXPECT_EQ(file.read_ints("iter"), (std::vector<int32_t>{7}));
  EXPECT_EQ(file.read_bytes("raw"), (std::vector<uint8_t>{0, 255}));
  EXPECT_EQ(file.read_string("name"), "net_iter_7.caffemodel.h5");
  EXPECT_EQ(file.children("history"),
            (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}));
  EXPECT_EQ(file.dataset("data").shape, Shape({3, 2}));
  EXPECT_EQ(file.read_floats("data"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.read_floats("label"), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(file.read_floats("wide").back(), 1.5f);
}

// HDF5 timestamps, if any, have a resolution of one second.
TEST(Hdf5File, EqualContentGivesEqualFiles) {
  const TempFolder folder;
  const auto write = [](const std::string& path) {
    Hdf5File file = Hdf5File::create(path);
    const float values[] = {1, 2};
    file.write_floats("group/a", Shape{2}, values);
    file.write_string("text", "word");
    Hdf5Appender rows(file, "rows", Shape{2});
    rows.append(values, 1);
    file.close();
    return read_all(path);
  };
  const std::string first = write(folder / "first");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(write(folder / "second") == first);
}

TEST(Hdf5File, RefusesOtherFiles) {
  const TempFolder folder;
  const std::string whole = read_all(python_file(folder));
  const std::string text = folder.write("a.h5", "hello");
  EXPECT_FALSE(Hdf5File::has_signature(text));
  EXPECT_FALSE(Hdf5File::has_signature(folder / "none"));
  EXPECT_TRUE(contains(data_error_of([&] { Hdf5File::open(text); }), "is not an HDF5 file"));
  EXPECT_TRUE(contains(data_error_of([&] { Hdf5File::open(folder / "none"); }), "No such file"));
  EXPECT_TRUE(contains(data_error_of([&] { Hdf5File::open(folder.path()); }), "it is a folder"));
  const std::string cut = folder.write("cut.h5", whole.substr(0, 9000));
  EXPECT_TRUE(contains(data_error_of([&] { Hdf5File::open(cut); }), "truncated file"));
}

TEST(Hdf5File, TwoThreadsMayUseTwoFiles) {
  const TempFolder folder;
  const std::string path = python_file(folder);
  const auto work = [&](const std::string& out) {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(Hdf5File::open(path).read_floats("wide").size(), 6u);
      Hdf5File file = Hdf5File::create(out);
      file.write_string("s", "t");
      file.close();
    }
  };
  std::thread other(work, folder / "b.h5");
  work(folder / "a.h5");
  other.join();
}

}  // namespace
}  // namespace trainer
