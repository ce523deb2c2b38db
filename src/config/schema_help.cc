// Builds a second set of descriptors, once, from the embedded ones, because generated code has no comments.
#include "config/schema_help.h"

#include <google/protobuf/descriptor.pb.h>

#include "base/error.h"
#include "base/text.h"
#include "config/schema_descriptors.h"

namespace trainer {
namespace {

namespace pb = google::protobuf;

class CommentedSchema {
 public:
  CommentedSchema() {
    const std::string_view bytes = schema_descriptors();
    pb::FileDescriptorSet files;
    TRAINER_ASSERT(files.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    for (const pb::FileDescriptorProto& file : files.file()) TRAINER_ASSERT(pool_.BuildFile(file) != nullptr);
  }

  const pb::DescriptorPool& pool() const { return pool_; }

 private:
  pb::DescriptorPool pool_;
};

const pb::DescriptorPool& commented_pool() {
  static const CommentedSchema schema;
  return schema.pool();
}

std::string to_paragraphs(const std::string& comment) {
  std::string text;
  for (const std::string& raw : split(comment, '\n')) {
    const std::string line = trim(raw);
    if (line.empty()) continue;
    const bool own_line = raw.rfind("  ", 0) == 0;
    if (!text.empty()) text += own_line ? "\n" : " ";
    text += own_line ? "  " + line : line;
  }
  return text;
}

// `commented` is the descriptor with comments that corresponds to the requested one.
template <typename Descriptor>
std::string comment_of(const Descriptor* commented) {
  pb::SourceLocation location;
  if (commented == nullptr || !commented->GetSourceLocation(&location)) return "";
  return to_paragraphs(location.leading_comments.empty() ? location.trailing_comments : location.leading_comments);
}

}  // namespace

std::string message_comment(const pb::Descriptor* message) {
  return comment_of(commented_pool().FindMessageTypeByName(message->full_name()));
}

std::string field_comment(const pb::FieldDescriptor* field) {
  return comment_of(commented_pool().FindFieldByName(field->full_name()));
}

std::string enum_comment(const pb::EnumDescriptor* type) {
  return comment_of(commented_pool().FindEnumTypeByName(type->full_name()));
}

std::string enum_value_comment(const pb::EnumValueDescriptor* value) {
  return comment_of(commented_pool().FindEnumValueByName(value->full_name()));
}

}  // namespace trainer
