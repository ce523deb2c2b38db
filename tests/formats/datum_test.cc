// Datum records and mean files, compared with hand-written bytes.
#include "formats/datum.h"

#include "formats/mean_file.h"
#include "temp_folder.h"

namespace trainer {
namespace {

TEST(Datum, RawBytes) {
  const std::string pixels("\x00\x01\x02\xFD\xFE\xFF", 6);
  const std::string record = from_hex("0801100218032206000102fdfeff28093800");
  EXPECT_EQ(serialize_datum(1, 2, 3, pixels, 9), record);
  DatumView datum;
  parse_datum(record, datum);
  EXPECT_EQ(datum.channels, 1);
  EXPECT_EQ(datum.height, 2);
  EXPECT_EQ(datum.width, 3);
  EXPECT_EQ(datum.bytes, pixels);
  EXPECT_GE(datum.bytes.data(), record.data());
  EXPECT_LT(datum.bytes.data(), record.data() + record.size());
  EXPECT_EQ(datum.label, 9);
  EXPECT_FALSE(datum.encoded);
}

TEST(Datum, FloatsAndEncoded) {
  DatumView datum;
  const std::string floats = from_hex("08011001180228ffffffffffffffffff01350000003f35000000c03800");
  EXPECT_EQ(serialize_datum(1, 1, 2, std::vector<float>{0.5f, -2.0f}, -1), floats);
  for (const std::string& record : {floats, from_hex("08011001180228ffffffffffffffffff0132080000003f000000c0")}) {
    parse_datum(record, datum);
    EXPECT_EQ(datum.float_data, (std::vector<float>{0.5f, -2.0f}));
    EXPECT_TRUE(datum.bytes.empty());
    EXPECT_EQ(datum.label, -1);
  }
  const std::string encoded = from_hex("2203ffd8ff28033801");
  EXPECT_EQ(serialize_encoded_datum("\xFF\xD8\xFF", 3), encoded);
  parse_datum(encoded, datum);
  EXPECT_TRUE(datum.encoded);
  EXPECT_TRUE(datum.float_data.empty());
  EXPECT_EQ(datum.bytes, "\xFF\xD8\xFF");
  EXPECT_EQ(datum.channels, 0);
}

TEST(Datum, RefusesDamage) {
  DatumView datum;
  const std::string record = from_hex("0801100218032206000102fdfeff28093800");
  EXPECT_TRUE(contains(data_error_of([&] { parse_datum(record.substr(0, 10), datum); }), "damaged record"));
  EXPECT_TRUE(contains(data_error_of([&] { parse_datum(from_hex("0803100218032206000102fdfeff"), datum); }),
                       "a record of 3x2x3 (channels, height, width) with 6 bytes of pixels"));
  for (size_t i = 0; i < record.size(); ++i) {
    for (int flip = 1; flip < 256; ++flip) {
      std::string bad = record;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      try {
        parse_datum(bad, datum);
        if (!datum.encoded) {
          EXPECT_EQ(datum.bytes.size() + datum.float_data.size(),
                    static_cast<size_t>(datum.channels) * static_cast<size_t>(datum.height * datum.width));
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kData);
      }
    }
  }
}

TEST(MeanFile, ReadsBothFormsAndWritesTheOldOne) {
  const TempFolder folder;
  const std::string legacy = from_hex("08011003180120022a180000803f0000004000004040000080400000a0400000c040");
  const std::string shaped = from_hex("2a180000803f0000004000004040000080400000a0400000c0403a060a0401030102");
  for (const std::string& bytes : {legacy, shaped}) {
    const MeanImage mean = read_mean_file(folder.write("mean.binaryproto", bytes));
    EXPECT_EQ(mean.shape, Shape({3, 1, 2}));
    EXPECT_EQ(mean.data, (std::vector<float>{1, 2, 3, 4, 5, 6}));
    write_mean_file(folder / "out", mean);
    EXPECT_EQ(read_all(folder / "out"), legacy);
    EXPECT_TRUE(contains(data_error_of([&] { write_mean_file(folder / "out", mean); }), "exists already"));
    std::filesystem::remove(folder / "out");
  }
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder.write("bad", bytes);
    return data_error_of([&] { read_mean_file(path); });
  };
  EXPECT_TRUE(contains(message(legacy.substr(0, 20)), "not a readable mean file"));
  EXPECT_TRUE(contains(message(from_hex("08021001180120012a080000803f00000040")), "its shape is 2,1,1,1"));
  EXPECT_TRUE(contains(message("text\n"), "is text"));
}

}  // namespace
}  // namespace trainer
