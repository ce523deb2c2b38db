// Loads net and solver files.
#include "config/load.h"

#include "config/field_hints.h"
#include "config/prototxt.h"
#include "config/upgrade.h"

namespace trainer {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

SourcePosition place_of(const Positions& positions, const ValuePlace& where) {
  if (where.message == nullptr) return positions.of(caffe::NetParameter::default_instance());
  return positions.of(*where.message, where.field == nullptr ? "" : where.field->name(), where.index);
}

NoteObserver note_into(const Positions& positions, std::vector<std::string>* notes, Diagnostics* diagnostics) {
  return [&positions, notes, diagnostics](const UpgradeNote& note) {
    const std::string subject =
        note.where.message != nullptr && is_layer(*note.where.message) ? layer_subject(*note.where.message) : "";
    switch (note.kind) {
      case UpgradeNote::Kind::kConverted: notes->push_back(note.message); break;
      case UpgradeNote::Kind::kImperfect:
        diagnostics->warning(place_of(positions, note.where), subject, note.message);
        break;
      case UpgradeNote::Kind::kError: diagnostics->error(place_of(positions, note.where), subject, note.message); break;
    }
  };
}

void upgrade(NetFile* file, Diagnostics* diagnostics) {
  upgrade_net(file->net.get(), note_into(file->positions, &file->notes, diagnostics),
              [file](const ValuePlace& from, const ValuePlace& to) { file->positions.move(from, to); });
}

// Gives every value of a copy the position of its original.
void copy_positions(const Message& from, const Positions& source, const Message& to, Positions* target) {
  std::vector<const FieldDescriptor*> fields;
  const auto* reflection = from.GetReflection();
  reflection->ListFields(from, &fields);
  target->set(to, nullptr, -1, source.of(from));
  if (source.faulty(from)) target->set_faulty(to);
  for (const FieldDescriptor* field : fields) {
    const bool message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!field->is_repeated()) {
      target->set(to, field, -1, source.of(from, field->name()));
      if (message)
        copy_positions(reflection->GetMessage(from, field), source, reflection->GetMessage(to, field), target);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(from, field); ++i) {
      target->set(to, field, i, source.of(from, field->name(), i));
      if (message)
        copy_positions(reflection->GetRepeatedMessage(from, field, i), source,
                       reflection->GetRepeatedMessage(to, field, i), target);
    }
  }
}

bool read_source(const PrototxtSource& source, const SourcePosition& named_at, std::string* text,
                 Diagnostics* diagnostics) {
  if (!source.text) return read_text_file(source.path, named_at, text, diagnostics);
  *text = *source.text;
  return true;
}

}  // namespace

std::unique_ptr<NetFile> load_net(const PrototxtSource& source, Diagnostics* diagnostics,
                                  const SourcePosition& named_at) {
  std::string text;
  if (!read_source(source, named_at, &text, diagnostics)) return nullptr;
  auto file = std::make_unique<NetFile>();
  file->path = source.path;
  file->net = std::make_unique<caffe::NetParameter>();
  file->complete = parse_prototxt(text, source.path, file->net.get(), &file->positions, diagnostics);
  if (!file->positions.faulty(*file->net)) upgrade(file.get(), diagnostics);
  return file;
}

bool is_solver_text(const std::string& path) {
  const auto mistakes = [&path](google::protobuf::Message&& message) {
    Diagnostics diagnostics;
    std::string text;
    Positions positions;
    if (read_text_file(path, {}, &text, &diagnostics)) parse_prototxt(text, path, &message, &positions, &diagnostics);
    return diagnostics.error_count();
  };
  return mistakes(caffe::SolverParameter()) < mistakes(caffe::NetParameter());
}

std::unique_ptr<SolverFile> load_solver(const PrototxtSource& source, Diagnostics* diagnostics, bool complete_prefix) {
  std::string text;
  if (!read_source(source, {}, &text, diagnostics)) return nullptr;
  auto file = std::make_unique<SolverFile>();
  file->path = source.path;
  file->solver = std::make_unique<caffe::SolverParameter>();
  file->complete = parse_prototxt(text, source.path, file->solver.get(), &file->positions, diagnostics);
  if (file->complete) {
    SolverFile* raw = file.get();
    upgrade_solver(file->solver.get(), complete_prefix && !source.text ? source.path : "",
                   note_into(file->positions, &file->notes, diagnostics),
                   [raw](const ValuePlace& from, const ValuePlace& to) { raw->positions.move(from, to); });
  }
  return file;
}

std::unique_ptr<NetFile> inline_net_file(const caffe::NetParameter& net, const SolverFile& solver,
                                         Diagnostics* diagnostics) {
  auto file = std::make_unique<NetFile>();
  file->path = solver.path;
  file->net = std::make_unique<caffe::NetParameter>(net);
  file->complete = solver.complete;
  copy_positions(net, solver.positions, *file->net, &file->positions);
  if (solver.positions.faulty(*solver.solver)) file->positions.set_faulty(*file->net);
  if (!file->positions.faulty(*file->net)) upgrade(file.get(), diagnostics);
  return file;
}

}  // namespace trainer
