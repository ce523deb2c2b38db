// Compares the parser with google::protobuf::TextFormat: it accepts the same texts with the same result, and randomly
// damaged texts cause no crash and no hang. Also checks the messages for texts with several errors.
#include "config/prototxt.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "trainer.pb.h"

namespace trainer {
namespace {

using google::protobuf::TextFormat;

class Quiet : public google::protobuf::io::ErrorCollector {
  void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
};

template <typename T>
void expect_as_text_format(const std::string& text) {
  T expected, found;
  Quiet quiet;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&quiet);
  const bool valid = parser.ParseFromString(text, &expected);
  Positions positions;
  Diagnostics diagnostics;
  const bool accepted = parse_prototxt(text, "net.prototxt", &found, &positions, &diagnostics);
  // A check that TextFormat does not have.
  if (valid && diagnostics.render().find("contains a control character") != std::string::npos) return;
  EXPECT_EQ(accepted, valid) << text << "\n--\n" << diagnostics.render();
  EXPECT_EQ(accepted, !diagnostics.has_errors()) << text;
  if (valid && accepted) {
    EXPECT_EQ(found.DebugString(), expected.DebugString()) << text;
  }
}

std::string errors_of(const std::string& text) {
  caffe::NetParameter net;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(text, "n", &net, &positions, &diagnostics);
  return diagnostics.render();
}

constexpr const char* kNet = R"(name: "LeNet"  # a comment
layer {
  name: "mnist" type: "Data" top: "data" top: 'label'
  include { phase: TRAIN stage: "a" not_stage: "b" min_level: -1 }
  transform_param { scale: 0.00390625 mean_value: [104, 117.5, 123] mirror: true }
  data_param < source: "examples/" "mnist" batch_size: 64 backend: LMDB >
}
layer: {
  name: "conv1"; type: "Convolution"; bottom: "data", top: "conv1"
  param { lr_mult: 1 } param { lr_mult: 2f decay_mult: -0 }
  convolution_param {
    num_output: 0x14 kernel_size: [5, 5] stride: 1 pad: 010
    weight_filler { type: "xavier" std: 1e-2 value: inf }
    engine: 2
  }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv1" bottom: "label" loss_weight: 1.
        loss_param { ignore_label: -1 normalize: t } propagate_down: [true, false] }
force_backward: False
)";

constexpr const char* kV1Net = R"(input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" blobs_lr: 1. blobs_lr: 2. weight_decay: 1
         inner_product_param { num_output: 10 weight_filler { type: "gaussian" } } }
layers { layer { name: "old" type: "conv" num_output: 3 kernelsize: 5 } bottom: "ip" top: "old" }
layers { type: SOFTMAX_LOSS bottom: "old" }
)";

constexpr const char* kSolver = R"(net: "net.prototxt"
test_iter: [100, 10] test_interval: 500
base_lr: 0.01 momentum: .9 weight_decay: 5E-4
lr_policy: "multistep" stepvalue: 5000 stepvalue: 7000 gamma: 0.5
display: 100 max_iter: 10000 snapshot_prefix: "a\tb\x41\101\n\"" solver_mode: CPU random_seed: -5
test_state { stage: "x" } type: "SGD" snapshot_format: 1
net_param { name: "inner" layer { clip_param { min: 0 max: 1 } } }
)";

TEST(Prototxt, AcceptsTheSameTextsAsTextFormat) {
  const std::vector<std::string> texts = {
      "", "\n\n", "# only a comment", kNet, kV1Net, "name: \"a\" 'b' \"\"", "name: \"\xc3\xa9\"", "name: \"\xff\"",
      // Separators.
      "name: 'a';", "name: 'a',", "name: 'a',,", "name: 'a';,", ";name: 'a'", ",", "layer {;}", "layer { name: 'x', }",
      // Braces and colons.
      "layer {}", "layer: {}", "layer < >", "layer: <>", "layer { >", "layer < }", "layer {", "layer }", "layer",
      "layer: ", "layer: 3", "layer :{ }", "layer [ ]", "layer: [{}, {name: 'b'}]", "layer [{}, <>]", "layer: [{},]",
      "layer: [{} {}]", "layer: [", "layer: []", "state: []", "state: [{}]", "}", ">", "]", "{", "{}",
      "layer { layer { } }", "layer { name: 'a' name: 'b' }", "state {} state {}", "name: 'a' name: 'a'", "name 'a'",
      "name: a", "name: 1", "name:", "name: [\"a\"]", "name: \"a", "name: \"a\nb\"", "name: \"a\\\nb\"", "name: '\\q'",
      "name: '\\x'", "name: '\\777'", "name: '\\u00e9'", "name: '\\ud800'", "name: '\\U0010ffff'",
      "name: '\\U00110000'",
      // Numbers: int32, uint32, int64.
      "input_dim: 1", "input_dim: -1", "input_dim: - 1", "input_dim: --1", "input_dim: +1", "input_dim: 2147483647",
      "input_dim: 2147483648", "input_dim: -2147483648", "input_dim: -2147483649", "input_dim: 0x7fffffff",
      "input_dim: 0x", "input_dim: 0xg", "input_dim: 017", "input_dim: 08", "input_dim: 1.0", "input_dim: 1e3",
      "input_dim: 1f", "input_dim: 99999999999999999999999", "input_dim: [1, 2]", "input_dim: [1 2]",
      "input_dim: [1,, 2]", "input_dim: [,]", "input_dim: []", "input_dim: [", "input_dim: [1", "input_dim: [1]]",
      "input_dim: [[1]]", "input_dim: [-1,-2]", "input_dim [1]", "input_dim: 1 2", "input_dim: true", "input_dim: inf",
      "input_shape { dim: 9223372036854775807 dim: -9223372036854775808 }", "input_shape { dim: 9223372036854775808 }",
      "layer { data_param { batch_size: 4294967295 } }", "layer { data_param { batch_size: 4294967296 } }",
      "layer { data_param { batch_size: -1 } }", "layer { data_param { batch_size: -0 } }",
      // Floats.
      "layer { loss_weight: 1 }", "layer { loss_weight: 1. }", "layer { loss_weight: .5 }", "layer { loss_weight: . }",
      "layer { loss_weight: 1e }", "layer { loss_weight: 1e+ }", "layer { loss_weight: 1e400 }",
      "layer { loss_weight: 1e39 }", "layer { loss_weight: 3.4028235e38 }", "layer { loss_weight: 3.4028236e38 }",
      "layer { loss_weight: 1e-50 }", "layer { loss_weight: -inf }", "layer { loss_weight: INF }",
      "layer { loss_weight: Infinity }", "layer { loss_weight: nan }", "layer { loss_weight: -nan }",
      "layer { loss_weight: 0x10 }", "layer { loss_weight: 010 }", "layer { loss_weight: 00 }",
      "layer { loss_weight: -0 }", "layer { loss_weight: 1F }", "layer { loss_weight: 1.5f }",
      "layer { loss_weight: 18446744073709551615 }", "layer { loss_weight: 18446744073709551616 }",
      "layer { loss_weight: 123456789012345678901234567890 }", "layer { loss_weight: \"1\" }",
      "layer { loss_weight: infx }", "layer { loss_weight: - }", "layer { loss_weight: 1.2.3 }",
      "layer { loss_weight: 1..2 }", "layer { loss_weight: 3abc }",
      // Booleans.
      "force_backward: true", "force_backward: True", "force_backward: TRUE", "force_backward: t", "force_backward: f",
      "force_backward: 0", "force_backward: 1", "force_backward: 2", "force_backward: 0x1", "force_backward: 01",
      "force_backward: -1", "force_backward: \"true\"", "force_backward: yes", "force_backward: 1.0",
      // Enums.
      "state { phase: TEST }", "state { phase: test }", "state { phase: 1 }", "state { phase: 2 }",
      "state { phase: -1 }", "state { phase: 0x1 }", "state { phase: \"TEST\" }", "state { phase: 1.0 }",
      "state { phase: 99999999999 }", "state { phase: - }", "state { phase: TEST.x }", "state { phase: [TEST] }",
      "state { phase: }",
      // Required fields, unknown fields, unusual names.
      "layer { clip_param { min: 1 } }", "layer { clip_param {} }", "layer { clip_param { min: 1 max: 2 } }",
      "nam: 'a'", "nam { a: 1 b { c: 'x' } }", "Name: 'a'", "[caffe.x]: 1", "[a.b/c] {}", "1: 2", "name: 'a' -",
      "name.x: 'a'", "\"name\": 'a'", "NetParameter { }", "@", "$ a", "name: 'a' \x01",
      std::string("name: 'a' \0 ", 12), "/* a */ name: 'a'", "// a", "name: 'a' / 'b'", "\xef\xbb\xbfname: 'a'",
      "layer{name:'x'}layer{name:'y'}", "input_dim:1input_dim:2", "name:'a'input:'b'", "input_dim: 1\r\nname: 'a'\r\n",
      "name\t:\t'a'", "name:\n\n'a'", "name: 'a' # \"unclosed"};
  for (const std::string& text : texts) expect_as_text_format<caffe::NetParameter>(text);
  expect_as_text_format<caffe::SolverParameter>(kSolver);
}

TEST(Prototxt, SurvivesDeepNestingAndLongTokens) {
  for (const char* piece : {"layer { ", "layer [", "layer < ", "nothing { ", "[", "{", "- ", "\"", "'a' ", "name: "}) {
    std::string text;
    while (text.size() < 200000) text += piece;
    EXPECT_NE(errors_of(text), "") << piece;
  }
  std::string digits(100000, '9');
  expect_as_text_format<caffe::NetParameter>("layer { loss_weight: " + digits + " }");
  expect_as_text_format<caffe::NetParameter>("name: \"" + digits + "\"");
}

std::vector<std::string> tokens_of(const std::string& text) {
  std::vector<std::string> out;
  size_t at = 0;
  const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.'; };
  while (at < text.size()) {
    size_t end = at + 1;
    if (word(text[at])) {
      while (end < text.size() && word(text[end])) ++end;
    }
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

std::string joined(const std::vector<std::string>& tokens) {
  std::string out;
  for (const std::string& token : tokens) out += token;
  return out;
}

// Applies one to three random changes: drops, doubles or swaps tokens, flips a byte, or cuts the end.
std::string mutated(const std::string& text, std::mt19937* random) {
  std::vector<std::string> tokens = tokens_of(text);
  const auto below = [&](size_t n) { return static_cast<size_t>((*random)() % n); };
  for (size_t changes = 1 + below(3); changes-- > 0 && tokens.size() > 1;) {
    const auto at = tokens.begin() + static_cast<std::ptrdiff_t>(below(tokens.size()));
    switch (below(5)) {
      case 0: tokens.erase(at); break;
      case 1: tokens.insert(at, *at); break;
      case 2: std::swap(*at, tokens[below(tokens.size())]); break;
      case 3: (*at)[below(at->size())] ^= static_cast<char>(1 + below(255)); break;
      default:
        if (below(4) == 0) tokens.erase(at, tokens.end());
    }
  }
  return joined(tokens);
}

TEST(Prototxt, AgreesWithTextFormatOnBrokenTexts) {
  std::mt19937 random(1);
  for (int i = 0; i < 6000; ++i) {
    expect_as_text_format<caffe::NetParameter>(mutated(i % 2 ? kNet : kV1Net, &random));
    if (HasFailure()) return;
    expect_as_text_format<caffe::SolverParameter>(mutated(kSolver, &random));
    if (HasFailure()) return;
  }
}

TEST(Prototxt, SurvivesGarbage) {
  std::mt19937 random(2);
  const std::string alphabet = "{}<>[]:,;\"'#-.\n\\ 01ae_\xc3\x01";
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (size_t length = random() % 60; length-- > 0;) {
      text += random() % 4 == 0 ? "layer" : std::string(1, alphabet[random() % alphabet.size()]);
    }
    expect_as_text_format<caffe::NetParameter>(text);
    if (HasFailure()) return;
  }
}

TEST(Prototxt, ReportsEveryMistakeOnce) {
  EXPECT_EQ(errors_of("layer {\n  name: ip\n  typ: \"ReLU\"\n  loss_weight: x\n  phase: -1\n}\nnam: 3"),
            "n:2:9: error: name expects a quoted string, found \"ip\"; write \"ip\" in quotes\n"
            "    name: ip\n"
            "          ^~\n"
            "n:3:3: error: unknown field \"typ\" in LayerParameter; did you mean \"type\"?\n"
            "    typ: \"ReLU\"\n"
            "    ^~~\n"
            "n:4:16: error: loss_weight expects a number, found \"x\"\n"
            "    loss_weight: x\n"
            "                 ^\n"
            "n:5:10: error: phase expects one of TRAIN, TEST, found \"-1\"\n"
            "    phase: -1\n"
            "           ^~\n"
            "n:7:1: error: unknown field \"nam\" of a net; did you mean \"name\"?\n"
            "    nam: 3\n"
            "    ^~~\n");
}

TEST(Prototxt, RefusesASecondMemberOfAOneof) {
  google::protobuf::Value value;
  Positions positions;
  Diagnostics diagnostics;
  EXPECT_FALSE(parse_prototxt("number_value: 1\nbool_value: true\n", "n", &value, &positions, &diagnostics));
  EXPECT_EQ(diagnostics.render(),
            "n:2:1: error: number_value and bool_value are given; keep one of the two\n"
            "    bool_value: true\n"
            "    ^~~~~~~~~~\n");
}

TEST(Prototxt, NamesTheLayerEvenIfItsNameFollows) {
  EXPECT_EQ(errors_of("layer { type: \"ReLU\" relu_param { slope: 1 } name: \"r\" }"),
            "n:1:35: error: layer \"r\" (ReLU): unknown field \"slope\" in ReLUParameter; it has "
            "negative_slope, engine\n"
            "    layer { type: \"ReLU\" relu_param { slope: 1 } name: \"r\" }\n"
            "                                      ^~~~~\n");
}

TEST(Prototxt, AForgottenBraceIsOneMistake) {
  EXPECT_EQ(errors_of("layer {\n  name: \"a\"\n  relu_param { negative_slope: 1\n}\nlayer { name: \"b\" }\n"),
            "n:5:1: error: layer \"a\": a new layer begins inside another message; a \"}\" is missing above\n"
            "    layer { name: \"b\" }\n"
            "    ^~~~~\n");
}

TEST(Prototxt, ALineWithCurlyQuotesIsOneMistake) {
  EXPECT_EQ(errors_of("name: \xe2\x80\x9csmall net\xe2\x80\x9d\nforce_backward: true"),
            "n:1:7: error: a character beyond ASCII outside of quotes; use plain quotes: \" or '\n"
            "    name: \xe2\x80\x9csmall net\xe2\x80\x9d\n"
            "          ^\n");
}

TEST(Prototxt, GivesUpOnATextOfMistakes) {
  caffe::NetParameter net;
  Positions positions;
  Diagnostics diagnostics;
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "wrong: 1\n";
  EXPECT_FALSE(parse_prototxt(text, "n", &net, &positions, &diagnostics));
  EXPECT_EQ(diagnostics.error_count(), 200);
}

}  // namespace
}  // namespace trainer
