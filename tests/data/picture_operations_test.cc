// Changes of pictures against torchvision: each table entry is the result of torchvision.transforms.v2.functional for
// the picture below, with its channels in the order red, green, blue.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "data/pictures/blur.h"
#include "data/pictures/colors.h"
#include "data/pictures/warp.h"

namespace trainer {
namespace {

constexpr int kHeight = 8, kWidth = 7;
constexpr int kBytes = kHeight * kWidth * 3;

std::vector<uint8_t> picture() {
  std::vector<uint8_t> bytes;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      for (int c = 0; c < 3; ++c) bytes.push_back(static_cast<uint8_t>(y * 37 + x * 91 + c * 53 + x * y * 17));
    }
  }
  return bytes;
}

// torchvision 0.29.2
const std::map<std::string, std::string> kResults = {
    {"brightness 0.6",
     "001f3f3656766d8d130a2a4940608077971d143454163655577696971e3d3f5e7e7f062527466667870d2c4c6c77971d2848"
     "68739319254564709016214161426282971e3d5373930f2e4e64840a1f3f5f75941b5878981e3e5e7e042443638309294969"
     "880f2e4e6e6f8e153f5e7e0f2e4e78981e486888183858820828850b2b5f7f05395979133353870d2d6181073c5b7b012141"
     "7f062564840a4868882d4c6c1131518f1535"},
    {"brightness 1.5",
     "004f9f88d8ffffff301969b8a2f1ffffff493382d23787d6d9ffffff4b9a9dedffff0f5e61b1ffffff226fbeffffff4966b5"
     "ffffff405dacfcffff3754a3f3a6f6ffff4b9ad0ffff2575c4faff194f9feeffff43deffff4c9cebff0a5aa9f9ff1867b7ff"
     "ff2575c4ffffff349dedff2575c4ffff4cb5ffff3d8ddcff1564ff1c6ceeff0d90dfff3181d0ff2272f4ff1396e5ff0454a3"
     "ff0f5efaff19b5ffff70c0ff2b7bcaff3685"},
    {"contrast 0.5",
     "415b766e89a39cb65149647e7791aca4bf59526c87536e8889a4bebf5a747590aaab4660617c9697b24c66809ba4bf59637d"
     "98a1bc56607a959eb9535d77927893adbf5a7486a1bb4d688294af495b7690a2bd578ba5c05a758faa445f7994ae49637e98"
     "b34d68829d9db8527590aa4d6882a5c05a7d98b255708aad4862b04a6590ab45718ba6516c86b24c6792ad47738da8425d77"
     "ab466094af497d98b266819b4f6a84b8536d"},
    {"contrast 1.4",
     "0016604b95dfcaff00002d7863adf7e2ff1000458f00499496e1ffff115c5ea9f3f600242671bbbeff00337dc7e2ff102b75"
     "bfdaff08226cb7d1ff001a64ae67b1fbff115c8ed8ff003983b5ff001660aadcff0a9be5ff135da7f1001f6ab4fe002c76c0"
     "ff003983cdceff005ea9f3003983e5ff1375bfff054f99fb0029ff0030aaf400529ce600448eff0036b0fa0057a2ec001a64"
     "f60024b5ff0075bfff347fc9003e88ff0048"},
    {"saturation 0.3",
     "2b3b4b8696a6acbc7f3c4c5c97a7b7bdcd904d5d6d506070bcccdc894c5c94a4b46124346c7c8ca3b376758595bdcd906f7f"
     "8fb7c78a697989b1c1846373839aaaba894c5cb6c6d64454649dad70607080b9c98cbfcfdf5e6e7e5e21319cacbc3b4b5ba5"
     "b578798999afbf8294a4b4445464bfcf92a4b4c45464746528386a2d3d95a5688b9bab4c5c6c6e314199a96c8f9faf2e3e4e"
     "6124349dad70a4b4c47686964858687b3e4e"},
    {"saturation 1.7",
     "002e882f89e3bfff00003f99409af4d0ff000050aa0053ad65bfffff17713d97f1ff0049156fc9b6ff001e78d2d0ff001872"
     "cccaff00126cc6c4ff000c66c0439df7ff17715fb9ff0047a1b0ff000963bdccff0068c2ff0761bbff0046459ff9003e98b8"
     "ff00227cd6c2ff003d97f10047a1d2ff004da7ff0057b1ff004dff0052a8ff00348ee8004fa9ff0056acff003892ec00318b"
     "ff0049b0ff004da7ff1f79d3004ba5ff0963"},
    {"hue 0.2",
     "006a1f5bc57beb2c20117b306cd68cfc3d31228c42258f4591fbb1a032fd69d389770ad541ab61e223174ab46afc3d3144ae"
     "64f6372b3ea85ef0312538a2586fd98fa032fd8bf5ab198339dc1d11359f55f8392d94feb4339d537407d271db91107a2fe4"
     "25194eb86eee2f2369d389198339fe3f3379e3992993497b0ed98013ded4150960ca80218b418417e2d8190d64ce84036d22"
     "770ad5dc1d1179e3994bb56b1d873d9124ef"},
    {"hue -0.4",
     "6a000ac55b652065eb7b111bd66c773176fc8c222c8f252ffb919c32fd4ed369740ad526ab414b175ce2b44a543176fcae44"
     "4e2b70f6a83e48256af0a23842d96f7a32fd4ef58b968319231156dc9f353f2d72f8fe949f9d333d07d223db717c7a101a19"
     "5ee4b84e582368eed369748319233378fee379849329330ed92a13de2f094ed4ca606b8b212b17e2330d52d8ce646f6d030d"
     "0ad5261156dce37984b54b55871d2724ef40"},
    {"sharpness 1.8",
     "00356a5b90c5b6eb2011467b6ca1d6c7fc3122578c255a8fa1e5ffff005759aeffff001f2166caade2174a7fb4e6ff001469"
     "bee0ff001e63c7daff05386da26fa4d9ff02478bdfff002e83c6fb00154abec3f82d94c9fe03589dff000c71b6ff00157ace"
     "ff004e83b8b9ee2359aeff002e83f8ff0379beff004ea3d90e43de1348afff005095f900368bff002cb3ff006499ce03386d"
     "d50a3fa7dc1179aee34b80b51d5287ef2459"},
    {"gray",
     "3e3e3e999999a8a8a84f4f4faaaaaab9b9b9606060636363cfcfcf585858a7a7a73030307f7f7f9f9f9f888888b9b9b98282"
     "82b3b3b37c7c7cadadad767676adadad585858c9c9c9575757999999737373b5b5b5d2d2d27171712d2d2dafafaf4e4e4ea1"
     "a1a18c8c8cabababa7a7a7575757bbbbbbb7b7b76767673434343939399191919e9e9e5f5f5f3d3d3d959595a2a2a2414141"
     "303030999999b7b7b78989895b5b5b4a4a4a"},
    {"posterize 3",
     "0020604080c0a0e02000406060a0c0c0e02020408020408080c0e0e020606080c0c000204060a0a0e0004060a0c0e0204060"
     "a0c0e0202060a0a0e0202060a060a0c0e0206080c0e0004080a0c000206080c0e02080c0e0206080c0002060a0c0004060a0"
     "e0004080a0a0e0206080c0004080c0e02060a0e0204080c00040c0004080c0006080c0204080e00040a0c0006080c0002060"
     "c00020a0c00060a0e04080a0004080e02040"},
    {"solarize 100",
     "0035955b6f3a491420114684935e29380331225773255a706e390402329896612c2a0a3f418954521d174a804b3803314486"
     "513e092b3e8c57440f2538925d905b26023298743f0a194e7c5823113595603c072d6b36013397622d073c8e592410458550"
     "1b194e7c4746112396612c194e7c36013386511c295e6c260e43211348602b09606a352156741d174c5c270d9b6631033892"
     "2a0a3f58231186511c4b7f4a1d5278102459"},
    {"autocontrast",
     "002f655b8dc2b8ea181041766d9ed5c8fc2922528824568a91c5fafe2d61699cd1d604374073a7aee20e4a7bb2c8fc294475"
     "acc2f6233e6fa5bcf01d38689f6fa2d7fe2d618bbff4184a7ea7dc0834669bc4f82595c7fe326499d4003571a4d9103f76b0"
     "e4104e7fb6baee1a699cd1184a7ecafe2b79ace1285a8fda083ce00c429fd3006192c9205286e41046a3d7046596cd023367"
     "d60437a7dc0879ace14a7db21c4e82f01e52"},
    {"equalize",
     "00356a5b90c5b6eb2011467b6ca1d6c7fc3122578c255a8f91c6fbfd3267699ed3d50a3f4176abade2174a7fb4c7fc314479"
     "aec1f62b3e73a8bbf025386da26fa4d9fd32678bc0f5194e83a7dc11356a9fc3f82d94c9fe33689dd2073c71a6db10457aaf"
     "e4194e83b8b9ee23699ed3194e83c9fe3379aee3295e93d90e43de13489fd4096095ca21568be2174ca3d80d6499ce03386d"
     "d50a3fa7dc1179aee34b80b51d5287ef2459"},
    {"blur",
     "4176ab758da29b907f78738881768b849c6e75aa5f598ea582979ea08f87897e8587767f81966b77ac60869e93989f8e9299"
     "8e8199797e93687ba26579ae64968ba3a080968b8098678e83679c5f75aa5f7cb166839bb081779d84648a71868d5e937a6f"
     "96677f946993a87a788f85677d837b9281798e86777e7382716ca072479086576f957c6f858b85747b837b6a857a6f924741"
     "9b6d42859a6c6c8499766b837d756a877670"},
    {"blur 5",
     "7a92987b949785898b8d8a838488777e977080986a82909a81919887898d8a8a83828b767c986e7f9b688a8e98888f95858a"
     "8c838e7e7a9373789f697ba1658e8a9a8b8c9784898e7c8c80769374759c6a769b678a888f868a8d7d878a758a7f738f7776"
     "966c78946988817c84847f7c838374868176857c7886727a826f8b7e628682697d827877857d7a7e7e7d7d7381796f8f7e57"
     "89835f7f867378887c7b7d7f7f7874837471"},
    {"rotate nearest",
     "0707070707076ca1d6c7fc31ade217ade217070707b6eb2011467b699ed3d50a3fbbf025386da207070791c6fbfd3267c1f6"
     "2b3e73a8356a9f356a9f4e83b8c7fc314479ae8bc0f5194e8310457aafe419d90e434a7fb4fd32678bc0f571a6db10457a79"
     "aee3295e936fa4d933689d33689d194e83c9fe33e2174ca3d80d070707b9ee23699ed36095ca21568b79aee34b80b5070707"
     "de1348de1348d50a3fa7dc11070707070707"},
    {"rotate bilinear",
     "00000003050732567a5287a871a6db698f460000001821216590ba9f8997b8eb4fd0638f95905e0b2a4aa5d6426095c3b951"
     "867c9dc08da478788abe7076ab99a85f5672a7ca13485377ac77ac56785b8087567a8aae5a3b709594ae734c81a59cd11a82"
     "b75a7cb1638bc05d2a5f939ab185487d9d7aaf4774a96c497a84486885736da2c3554d3d6f8b7f836e6690641a230b000000"
     "294f7561914f828c83910b2f040405000000"},
    {"affine",
     "2031425b90c5a8b8679bcc617e669798a1899176905b80a69a81b6f3456d949bba6ca1989fd44067868692c7d0537aaf954e"
     "839a75aa3b699e6297507bb0518ec381577db28031669a6388588dbb4d825d689d5694b550548994447979afe15171a69d47"
     "7c849ed326a395396a9eaf467b958089719981b24a7ba96d606fa8891e8abf695386bb90487dc75e3886b9328e6879202a05"
     "3d554e4a7096467aae4a7075807f6a7571a0"},
    {"shear",
     "00356a5b90c5b6eb2011467b6ca1d6c7fc3122578c255a8f91c6fbfd3267699ed3d50a3f4176abade217c7fc314479aec1f6"
     "2b3e73a8bbf025386da2000000fd32678bc0f5194e83a7dc11356a9fc3f82d00000033689dd2073c71a6db10457aafe4194e"
     "83b8000000699ed3194e83c9fe3379aee3295e93d90e430000006095ca21568be2174ca3d80d6499ce000000000000a7dc11"
     "79aee34b80b51d5287ef2459000000000000"},
    {"perspective",
     "000000000000000000010203afe04380b5411c270e0000000000009ed32c95528781966a61967c3b522a0000006a9fd48283"
     "8b73a861659a6982b7644c6d56080f15db7a627388bd4c8183699e4480916483315c435d784462978b6b7286bb965487ba6b"
     "656e9f4a7d96c22662979e588d848d6275bd6c4091c3398287a6c9264595a24d609598706ca1686a8249686eb53c6b452759"
     "9f6a206a926b42668a254566122d4a521a34"},
};

std::vector<uint8_t> expected(const std::string& name) {
  const std::string text = kResults.at(name);
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
  return bytes;
}

// Within one grey level: sums may round differently.
void expect_result(const std::string& name, const std::vector<uint8_t>& bytes) {
  const std::vector<uint8_t> wanted = expected(name);
  ASSERT_EQ(bytes.size(), wanted.size());
  for (size_t i = 0; i < bytes.size(); ++i)
    EXPECT_LE(std::abs(bytes[i] - wanted[i]), 1) << name << ": pixel " << i / 3 << " channel " << i % 3 << ": "
                                                 << int{bytes[i]} << " in place of " << int{wanted[i]};
}

template <typename Change>
void expect_change(const std::string& name, const Change& change) {
  std::vector<uint8_t> bytes = picture();
  change(ColorPixels{bytes.data(), 3, kHeight, kWidth});
  expect_result(name, bytes);
}

TEST(PictureOperations, ChangeColorsAsTorchvision) {
  expect_change("brightness 0.6", [](const ColorPixels& image) { adjust_brightness(image, 0.6f); });
  expect_change("brightness 1.5", [](const ColorPixels& image) { adjust_brightness(image, 1.5f); });
  expect_change("contrast 0.5", [](const ColorPixels& image) { adjust_contrast(image, 0.5f); });
  expect_change("contrast 1.4", [](const ColorPixels& image) { adjust_contrast(image, 1.4f); });
  expect_change("saturation 0.3", [](const ColorPixels& image) { adjust_saturation(image, 0.3f); });
  expect_change("saturation 1.7", [](const ColorPixels& image) { adjust_saturation(image, 1.7f); });
  expect_change("hue 0.2", [](const ColorPixels& image) { adjust_hue(image, 0.2f); });
  expect_change("hue -0.4", [](const ColorPixels& image) { adjust_hue(image, -0.4f); });
  expect_change("gray", make_gray);
  expect_change("posterize 3", [](const ColorPixels& image) { posterize(image, 3); });
  expect_change("solarize 100", [](const ColorPixels& image) { solarize(image, 100); });
  expect_change("equalize", equalize);
  expect_change("autocontrast", [](const ColorPixels& image) {
    for (int i = 0; i < kBytes; ++i) image.bytes[i] = static_cast<uint8_t>(image.bytes[i] / 2 + 40);
    auto_contrast(image);
  });
  std::vector<uint8_t> scratch(kBytes);
  expect_change("sharpness 1.8", [&](const ColorPixels& image) { adjust_sharpness(image, 1.8f, scratch.data()); });
}

TEST(PictureOperations, BlurAsTorchvision) {
  const std::vector<uint8_t> from = picture();
  const PixelWindow window{from.data(), 3, kHeight, kWidth, kWidth * 3};
  std::vector<uint8_t> bytes(kBytes);
  GaussianBlur blur;
  blur.apply(window, 3, 0.8, bytes.data());
  expect_result("blur", bytes);
  blur.apply(window, 5, 1.5, bytes.data());
  expect_result("blur 5", bytes);
}

TEST(PictureOperations, WarpAsTorchvision) {
  const std::vector<uint8_t> from = picture();
  const PixelWindow window{from.data(), 3, kHeight, kWidth, kWidth * 3};
  std::vector<uint8_t> bytes(kBytes);
  const auto expect_warp = [&](const std::string& name, const WarpMap& map, bool bilinear, uint8_t fill) {
    warp(window, map, bilinear, fill, bytes.data());
    expect_result(name, bytes);
  };
  AffineMap centred;
  centred.centre_x = 3.5;
  centred.centre_y = 4;
  AffineMap turned = centred;
  turned.angle = -30;
  expect_warp("rotate nearest", warp_of(turned), false, 7);
  turned.angle = 50;
  expect_warp("rotate bilinear", warp_of(turned), true, 0);
  AffineMap all = centred;
  all.angle = 20;
  all.translate_x = 1;
  all.translate_y = -1;
  all.scale = 1.3;
  all.shear_x = 10;
  expect_warp("affine", warp_of(all), true, 0);
  AffineMap sheared;
  sheared.shear_x = 15;
  expect_warp("shear", warp_of(sheared), false, 0);
  expect_warp("perspective", warp_of({{{0, 0}, {6, 0}, {6, 7}, {0, 7}}}, {{{1, 2}, {5, 0}, {6, 6}, {0, 7}}}), true, 0);
}

}  // namespace
}  // namespace trainer
