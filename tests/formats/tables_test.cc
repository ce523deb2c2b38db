// Arrays and tables from other programs: .npy (bytes as NumPy writes them), CSV, IDX.
#include "formats/csv.h"
#include "formats/idx.h"
#include "formats/npy.h"
#include "temp_folder.h"

namespace trainer {
namespace {

// A version 1 file with a header padded to a multiple of 64 bytes, as NumPy does.
std::string npy(const std::string& dictionary, const std::string& data) {
  std::string header = dictionary;
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  const char length[2] = {static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  return std::string("\x93NUMPY\x01\x00", 8) + std::string(length, 2) + header + data;
}

std::vector<float> all_values(const NpyFile& file) {
  std::vector<float> out(static_cast<size_t>(file.shape().count()));
  file.read_rows(0, file.shape().rank() == 0 ? 1 : file.shape()[0], out.data());
  return out;
}

TEST(Npy, ReadsNumbers) {
  const TempFolder folder;
  const NpyFile floats(folder.write("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                                                 from_hex("000000000000003f0000803f0000c03f0000004000002040"))));
  EXPECT_EQ(floats.shape(), Shape({2, 3}));
  EXPECT_EQ(all_values(floats), (std::vector<float>{0, 0.5, 1, 1.5, 2, 2.5}));
  float row[3];
  floats.read_rows(1, 2, row);
  EXPECT_EQ(row[0], 1.5f);

  const NpyFile swapped(folder.write(
      "b.npy", npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2, 2), }", from_hex("0001fffe012c0004"))));
  EXPECT_EQ(swapped.type(), ElementType::kI16);
  EXPECT_EQ(all_values(swapped), (std::vector<float>{1, -2, 300, 4}));

  const NpyFile booleans(
      folder.write("c.npy", npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", from_hex("0100"))));
  EXPECT_EQ(all_values(booleans), (std::vector<float>{1, 0}));
  const NpyFile scalar(folder.write(
      "d.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", from_hex("0000000000000440"))));
  EXPECT_EQ(scalar.shape(), Shape());
  EXPECT_EQ(all_values(scalar), (std::vector<float>{2.5}));
}

TEST(Npy, RefusesWithReason) {
  const TempFolder folder;
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder.write("bad.npy", bytes);
    return data_error_of([&] { NpyFile file(path); });
  };
  const std::string four(32, '\0');
  EXPECT_TRUE(contains(message(npy("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }", four)), "Fortran"));
  EXPECT_TRUE(contains(message(npy("{'descr': '<c8', 'fortran_order': False, 'shape': (4,), }", four)), "type <c8"));
  EXPECT_TRUE(contains(message(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (8,), }", four)),
                       "element type"));
  EXPECT_TRUE(contains(message(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (5,), }", four)),
                       "needs 40 bytes of values, but the file has 32"));
  EXPECT_TRUE(
      contains(message(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 9999999999), }", four)),
               "impossible shape"));
  EXPECT_TRUE(contains(message(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-4, -1), }", four)),
                       "impossible shape"));
  EXPECT_TRUE(contains(message("PK\x03\x04 an archive"), ".npz"));
  EXPECT_TRUE(contains(message("short"), "is not a .npy file"));
  const std::string good = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }", four);
  for (size_t i = 0; i < good.size(); i += 3) message(good.substr(0, i));
  for (size_t i = 0; i < 128; ++i) {
    for (int flip : {0x04, 0xFF}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      const std::string path = folder.write("flip.npy", bad);
      try {
        const NpyFile file(path);
        if (file.shape().count() < 100) all_values(file);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kData);
      }
    }
  }
}

TEST(Csv, HeaderQuotesAndLineEnds) {
  const TempFolder folder;
  CsvFile file(
      folder.write("a.csv", "\xEF\xBB\xBF\"wid,th\",\"say \"\"hi\"\"\",label\r\n1,-2.5, 3 \r\n\r\n\"4\",+5e1,nan"));
  EXPECT_EQ(file.header(), (std::vector<std::string>{"wid,th", "say \"hi\"", "label"}));
  std::vector<float> row;
  ASSERT_TRUE(file.next_row(row));
  EXPECT_EQ(row, (std::vector<float>{1, -2.5, 3}));
  ASSERT_TRUE(file.next_row(row));
  EXPECT_EQ(row[0], 4);
  EXPECT_EQ(row[1], 50);
  EXPECT_NE(row[2], row[2]);
  EXPECT_FALSE(file.next_row(row));

  CsvFile bare(folder.write("b.csv", "1,2\n3,1e-400\n"));
  EXPECT_FALSE(bare.has_header());
  EXPECT_EQ(bare.columns(), 2);
  ASSERT_TRUE(bare.next_row(row));
  EXPECT_EQ(row, (std::vector<float>{1, 2}));
  ASSERT_TRUE(bare.next_row(row));
  EXPECT_EQ(row, (std::vector<float>{3, 0}));
  EXPECT_FALSE(bare.next_row(row));
  EXPECT_EQ(CsvFile(folder.write("c.csv", "\n\n")).columns(), 0);
}

TEST(Csv, NamesLineAndColumn) {
  const TempFolder folder;
  const auto message = [&](const std::string& text) {
    const std::string path = folder.write("bad.csv", text);
    return data_error_of([&] {
      CsvFile file(path);
      std::vector<float> row;
      while (file.next_row(row)) continue;
    });
  };
  EXPECT_TRUE(contains(message("a,b\n1,2\n\n3,x1\n"), "line 4, column 2 (\"b\"): \"x1\" is not a number"));
  EXPECT_TRUE(contains(message("1,x\n3,4\n"), "line 1: \"1\" is a number"));
  EXPECT_EQ(CsvFile(folder.write("numbered.csv", "0,1,label\n3,4,5\n")).header().size(), 3u);
  EXPECT_TRUE(contains(message("1,2\n1,\n"), "line 2, column 2: the field is empty"));
  EXPECT_TRUE(contains(message("1,2\n1,2,3\n"), "line 2: 3 columns, but the first line has 2"));
  EXPECT_TRUE(contains(message("a,b\n1,\"2\n3,4\n"), "line 2: an opening quote has no closing quote"));
  EXPECT_TRUE(contains(message(std::string(10'000, '7')), "longer than 4,096"));
  EXPECT_TRUE(contains(data_error_of([&] { CsvFile file(folder / "none"); }), "No such file"));
  EXPECT_TRUE(contains(data_error_of([&] { CsvFile file(folder.path()); }), "folder"));
}

TEST(Idx, PlainAndGzipped) {
  const TempFolder folder;
  const std::string plain = from_hex("0000080300000002000000020000000301020304050607080900ff10");
  // The same bytes, compressed by Python's gzip.
  const std::string packed =
      from_hex("1f8b08000000000002ff6360e06066606060826266462666165636760e4e86ff020068ec4aed1c000000");
  for (const std::string& bytes : {plain, packed}) {
    const IdxArray array = read_idx(folder.write("a", bytes));
    EXPECT_EQ(array.shape, Shape({2, 2, 3}));
    EXPECT_EQ(array.bytes, (std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 255, 16}));
  }
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder.write("bad", bytes);
    return data_error_of([&] { read_idx(path); });
  };
  EXPECT_TRUE(contains(message(plain.substr(0, 20)), "ends after 4 of 12 values"));
  EXPECT_TRUE(contains(message(plain.substr(0, 9)), "ends inside its header"));
  EXPECT_TRUE(contains(message(plain + "x"), "longer than"));
  EXPECT_TRUE(contains(message(packed.substr(0, 30)), "damaged or cut off"));
  EXPECT_TRUE(contains(message(from_hex("00000d0100000001")), "0x0d"));
  EXPECT_TRUE(contains(message("hello"), "not an IDX file"));
  EXPECT_TRUE(contains(message(from_hex("000008027fffffff7fffffff01")), "ends after 1 of"));
  EXPECT_TRUE(contains(data_error_of([&] { read_idx(folder / "none"); }), "No such file"));
}

}  // namespace
}  // namespace trainer
