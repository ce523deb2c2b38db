// Tests manifests of published weights.
#include "hub/manifest.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "hub/weight_names.h"

namespace trainer {
namespace {

std::string problems_of(const std::string& text) {
  Diagnostics diagnostics;
  parse_manifest(text, "own.prototxt", &diagnostics);
  return diagnostics.render();
}

TEST(Manifest, TheManifestOfTheProgramHasNoProblem) {
  Diagnostics diagnostics;
  const hub::Manifest manifest = parse_manifest(std::string(own_manifest()), "own", &diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  EXPECT_GT(manifest.weights_size(), 20);
  std::set<std::string> nets;
  for (const hub::Weights& weights : manifest.weights()) {
    nets.insert(weights.net());
    EXPECT_TRUE(weights.url().starts_with("https://")) << weights.name();
    EXPECT_TRUE(weights.has_licence()) << weights.name();
    EXPECT_EQ(weights.preprocessing().mean_size(), 3) << weights.name();
    EXPECT_EQ(weights.preprocessing().crop_size(), 224u) << weights.name();
    // torchvision's file names end with the first digits of the checksum.
    const bool torchvision = weights.url().starts_with("https://download.pytorch.org/");
    EXPECT_EQ(weights.has_sha256(), torchvision) << weights.name();
    EXPECT_EQ(weights.url().ends_with("-" + weights.sha256() + ".pth"), torchvision) << weights.name();
  }
  for (const char* net : {"resnet18", "resnet50", "vgg16", "mobilenet_v1", "mobilenet_v3", "densenet121", "vit_small"})
    EXPECT_EQ(nets.count(net), 1u) << net;
}

TEST(Manifest, MistakesHavePlaceAndRemedy) {
  EXPECT_EQ(
      problems_of("weights {\n  name: \"a/../b\"\n  url: \"https://example.org/a\"\n}"),
      "own.prototxt:2:3: error: weights \"a/../b\": name is not a name of weights; use at most 100 letters, digits, "
      "\".\", \"_\" and \"-\", first a letter or digit\n    name: \"a/../b\"\n    ^~~~~~~~~~~~~~\n");
  const auto has = [](const std::string& fields, const std::string& part) {
    const std::string text = problems_of("weights {\n  name: \"a\"\n" + fields + "\n}");
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const std::string url = "url: \"https://example.org/a.pth\" ";
  has("", "own.prototxt:1:1: error: weights \"a\": url is missing");
  has("url: \"file:///etc/passwd\"", "own.prototxt:3:1: error: weights \"a\": url does not begin with https://");
  has("url: \"http://example.org/a\" sha256: \"01234567\"", "url begins with http://");
  has("url: \"https://example.org/a b\"", "url has a space");
  has(url + "sha256: \"0123456\"", "sha256 has to be 8 to 64 hexadecimal digits");
  has(url + "sha256: \"0123456z\"", "sha256 has to be 8 to 64 hexadecimal digits");
  has(url + "mib: 0", "mib is 0; it must be above 0 and at most 1048576");
  has(url + "mib: inf", "mib is inf; it must be above 0");
  has(url + "preprocessing { mean: [1, 2] }", "mean has 2 values");
  has(url + "licenc: \"x\"", "did you mean \"licence\"?");
  has(url + "} weights { name: \"a\" " + url, "two weights have the name \"a\"");
  EXPECT_EQ(problems_of("weights { name: \"a\" url: \"http://127.0.0.1/a\" sha256: \"" + std::string(64, 'a') + "\" }"),
            "");
}

TEST(Manifest, NamesStayInTheCache) {
  EXPECT_TRUE(is_published_name("resnet50.IMAGENET1K_V2"));
  for (const char* name : {"", ".", "..", ".a", "-a", "_a", "a/b", "../a", "a b", "a\nb", "ä"})
    EXPECT_FALSE(is_published_name(name)) << name;
  EXPECT_TRUE(is_published_name(std::string(100, 'a')));
  EXPECT_FALSE(is_published_name(std::string(101, 'a')));
}

// An empty folder with an environment of its own.
class WeightNames : public ::testing::Test {
 protected:
  WeightNames() : folder_(::testing::TempDir() + "weight_names") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(folder_);
    setenv("TRAINER_CACHE", (folder_ + "/cache").c_str(), 1);
  }
  ~WeightNames() override {
    std::filesystem::current_path(before_);
    unsetenv("TRAINER_CACHE");
    unsetenv("TRAINER_WEIGHTS");
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

  static std::string problem_of(const std::string& value) {
    try {
      require_weights(value);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  const std::string folder_;
  std::filesystem::path before_;
};

TEST_F(WeightNames, AFileWinsOverAName) {
  ASSERT_TRUE(find_published("resnet50.IMAGENET1K_V2"));
  EXPECT_EQ(cached_path(*find_published("resnet50.IMAGENET1K_V2")),
            folder_ + "/cache/weights/resnet50.IMAGENET1K_V2.pth");
  write("resnet50.IMAGENET1K_V2", "");
  EXPECT_FALSE(find_published("resnet50.IMAGENET1K_V2"));
  EXPECT_FALSE(find_published("./resnet18.IMAGENET1K_V1"));
}

TEST_F(WeightNames, ManifestsOfTheUserComeFirst) {
  write("a.prototxt", "weights { name: \"resnet50.IMAGENET1K_V2\" url: \"https://example.org/own.safetensors\" }");
  write("b.prototxt", "weights { name: \"mine\" url: \"https://example.org/mine?download=1.zip\" }");
  setenv("TRAINER_WEIGHTS", "a.prototxt:b.prototxt", 1);
  EXPECT_EQ(find_published("resnet50.IMAGENET1K_V2")->url(), "https://example.org/own.safetensors");
  EXPECT_EQ(cached_path(*find_published("mine")), folder_ + "/cache/weights/mine");
  EXPECT_TRUE(find_published("resnet18.IMAGENET1K_V1"));
  setenv("TRAINER_WEIGHTS", "a.prototxt:absent.prototxt", 1);
  EXPECT_THROW(find_published("mine"), DiagnosticsError);
}

TEST_F(WeightNames, AnUnknownWordGetsSimilarNames) {
  EXPECT_EQ(problem_of("resnet18.IMAGENET1K_V1"), "");
  EXPECT_EQ(problem_of("absent.caffemodel"), "cannot read weight file absent.caffemodel: No such file or directory");
  EXPECT_EQ(problem_of("resnet18.imagenet1k_v1"),
            "cannot read weight file resnet18.imagenet1k_v1: No such file or directory; did you mean the published "
            "weights resnet18.IMAGENET1K_V1?");
  EXPECT_EQ(problem_of("resnet50"),
            "cannot read weight file resnet50: No such file or directory; published weights of this net: "
            "resnet50.IMAGENET1K_V1, resnet50.IMAGENET1K_V2");
}

}  // namespace
}  // namespace trainer
