// The schema agrees with Caffe's field by field, and every part of it has a comment.
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "config/schema_help.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

namespace pb = google::protobuf;

constexpr int kFirstOwnNumber = 5000;
const std::set<std::string> kOwnEnums = {"Cache",     "ChannelOrder", "GradientExchange", "Input",
                                         "LabelKind", "MetricMode",   "WarmupType"};
const std::set<std::string> kOwnMessages = {"ArcFaceLossParameter",
                                            "AttentionParameter",
                                            "BCELossParameter",
                                            "BNParameter",
                                            "BestParameter",
                                            "BestState",
                                            "CalibrationErrorParameter",
                                            "CenterLossParameter",
                                            "DataCursor",
                                            "DiceLossParameter",
                                            "DivergenceParameter",
                                            "DropPathParameter",
                                            "EarlyStopParameter",
                                            "EmaParameter",
                                            "FocalLossParameter",
                                            "FreezeParameter",
                                            "GELUParameter",
                                            "GroupNormParameter",
                                            "HuberLossParameter",
                                            "InterpParameter",
                                            "KLDivergenceLossParameter",
                                            "LayerNormParameter",
                                            "LovaszLossParameter",
                                            "MatMulParameter",
                                            "MetricParameter",
                                            "MixParameter",
                                            "NamedBlob",
                                            "NormalizeParameter",
                                            "PSROIPoolingParameter",
                                            "ParamRule",
                                            "PermuteParameter",
                                            "PictureInput",
                                            "PlateauParameter",
                                            "PlateauState",
                                            "QuantileLossParameter",
                                            "ROIPoolingParameter",
                                            "SamplingParameter",
                                            "ShuffleChannelParameter",
                                            "SmoothL1LossParameter",
                                            "SwaParameter",
                                            "TripletLossParameter",
                                            "UpsampleParameter"};

// Fields that take several values here and one in Caffe: files with one value mean the same.
const std::set<std::string> kRepeatedHere = {"AccuracyParameter.top_k"};

bool is_own(const pb::Descriptor* message) {
  const std::string& name = message->name();
  const bool step = name.size() > 4 && name.compare(name.size() - 4, 4, "Step") == 0;  // of augment
  return step || kOwnMessages.count(name) == 1;
}

std::string type_name(const pb::FieldDescriptor* field) {
  if (field->message_type() != nullptr) return field->message_type()->name();
  if (field->enum_type() != nullptr) return field->enum_type()->name();
  return field->type_name();
}

// Compares numeric fields as numbers: the list may have 1e-08 for 1e-8.
void expect_default(const pb::FieldDescriptor* field, const std::string& expected) {
  ASSERT_EQ(field->has_default_value(), expected != "-") << field->full_name();
  if (expected == "-") return;
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      EXPECT_FLOAT_EQ(field->default_value_float(), std::stof(expected)) << field->full_name();
      break;
    case pb::FieldDescriptor::CPPTYPE_INT32:
      EXPECT_EQ(field->default_value_int32(), std::stoi(expected)) << field->full_name();
      break;
    case pb::FieldDescriptor::CPPTYPE_INT64:
      EXPECT_EQ(field->default_value_int64(), std::stoll(expected)) << field->full_name();
      break;
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      EXPECT_EQ(field->default_value_uint32(), std::stoul(expected)) << field->full_name();
      break;
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      EXPECT_EQ(field->default_value_bool(), expected == "true") << field->full_name();
      break;
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      EXPECT_EQ(field->default_value_enum()->name(), expected) << field->full_name();
      break;
    case pb::FieldDescriptor::CPPTYPE_STRING:
      EXPECT_EQ('"' + field->default_value_string() + '"', expected) << field->full_name();
      break;
    default: FAIL() << field->full_name() << ": no such default in the list";
  }
}

const pb::FileDescriptor* schema() { return caffe::NetParameter::descriptor()->file(); }

TEST(Schema, AgreesWithCaffesFieldByField) {
  std::ifstream list(TRAINER_SOURCE_DIR "/tests/config/caffe_fields.txt");
  ASSERT_TRUE(list);
  std::set<std::string> listed;
  std::string line;
  while (std::getline(list, line)) {
    std::istringstream words(line);
    std::string kind, message, name, label, type, packed, value;
    int number = 0;
    words >> kind >> message >> name >> number;
    if (kind == "field") {
      words >> label >> type >> packed >> value;
      ASSERT_TRUE(words) << line;
      const pb::Descriptor* descriptor = schema()->FindMessageTypeByName(message);
      ASSERT_NE(descriptor, nullptr) << line;
      const pb::FieldDescriptor* field = descriptor->FindFieldByName(name);
      ASSERT_NE(field, nullptr) << line;
      listed.insert(field->full_name());
      EXPECT_EQ(field->number(), number) << line;
      EXPECT_EQ(type_name(field), type) << line;
      EXPECT_EQ(field->is_packed() ? "packed" : "-", packed) << line;
      if (kRepeatedHere.count(message + "." + name) == 1) {
        EXPECT_TRUE(field->is_repeated() && label == "optional") << line;
        continue;
      }
      EXPECT_EQ(field->is_required() ? "required" : field->is_repeated() ? "repeated" : "optional", label) << line;
      expect_default(field, value);
    } else if (kind == "value") {
      ASSERT_TRUE(words) << line;
      const pb::EnumDescriptor* descriptor = schema()->pool()->FindEnumTypeByName("caffe." + message);
      ASSERT_NE(descriptor, nullptr) << line;
      const pb::EnumValueDescriptor* enum_value = descriptor->FindValueByName(name);
      ASSERT_NE(enum_value, nullptr) << line;
      listed.insert(descriptor->full_name() + "." + name);
      EXPECT_EQ(enum_value->number(), number) << line;
    }
  }
  EXPECT_GT(listed.size(), 500u);

  const auto expect_listed = [&listed](const pb::EnumDescriptor* type) {
    if (kOwnEnums.count(type->name()) == 1) return;
    for (int v = 0; v < type->value_count(); ++v) {
      EXPECT_EQ(listed.count(type->full_name() + "." + type->value(v)->name()), 1u) << type->value(v)->full_name();
    }
  };
  for (int e = 0; e < schema()->enum_type_count(); ++e) expect_listed(schema()->enum_type(e));
  for (int m = 0; m < schema()->message_type_count(); ++m) {
    const pb::Descriptor* message = schema()->message_type(m);
    EXPECT_EQ(message->nested_type_count(), 0) << message->full_name();
    if (is_own(message)) continue;
    for (int e = 0; e < message->enum_type_count(); ++e) expect_listed(message->enum_type(e));
    for (int f = 0; f < message->field_count(); ++f) {
      const pb::FieldDescriptor* field = message->field(f);
      EXPECT_TRUE(listed.count(field->full_name()) == 1 || field->number() >= kFirstOwnNumber) << field->full_name();
    }
  }
}

TEST(Schema, EveryMessageFieldAndEnumHasAComment) {
  for (int m = 0; m < schema()->message_type_count(); ++m) {
    const pb::Descriptor* message = schema()->message_type(m);
    EXPECT_NE(message_comment(message), "") << message->full_name();
    for (int f = 0; f < message->field_count(); ++f) {
      EXPECT_NE(field_comment(message->field(f)), "") << message->field(f)->full_name();
    }
    for (int e = 0; e < message->enum_type_count(); ++e) {
      EXPECT_NE(enum_comment(message->enum_type(e)), "") << message->enum_type(e)->full_name();
    }
  }
  for (int e = 0; e < schema()->enum_type_count(); ++e) EXPECT_NE(enum_comment(schema()->enum_type(e)), "");
}

TEST(SchemaHelp, JoinsLinesAndKeepsIndentedOnes) {
  const auto* solver = caffe::SolverParameter::descriptor();
  const std::string policy = field_comment(solver->FindFieldByName("lr_policy"));
  EXPECT_EQ(policy.find("The learning rate as a function of the iteration i, counted from 0:\n  \"fixed\""), 0u);
  EXPECT_EQ(field_comment(solver->FindFieldByName("display")),
            "The iterations between two reports of loss and learning rate. 0 or absent: none.");
  EXPECT_EQ(message_comment(caffe::ReLUParameter::descriptor()), "ReLU: x for x > 0, negative_slope * x otherwise.");
}

TEST(SchemaHelp, FindsTheValuesOfNestedEnums) {
  const auto* pool = caffe::PoolingParameter::descriptor()->FindEnumTypeByName("PoolMethod");
  EXPECT_EQ(enum_value_comment(pool->FindValueByName("AVE")), "The mean; zeros of the padding count.");
  EXPECT_EQ(enum_value_comment(pool->FindValueByName("MAX")), "");
  EXPECT_EQ(enum_value_comment(caffe::Phase_descriptor()->FindValueByName("TEST")), "Testing and inference.");
}

TEST(SchemaHelp, HasOnlyItsOwnSchema) { EXPECT_EQ(message_comment(pb::FileDescriptorProto::descriptor()), ""); }

}  // namespace
}  // namespace trainer
