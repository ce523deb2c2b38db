// trainer upgrade: converts nets, solvers and weights of earlier versions of Caffe to the current form.
#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "config/load.h"
#include "config/prototxt.h"
#include "config/prototxt_text.h"
#include "config/upgrade.h"
#include "formats/atomic_file.h"
#include "formats/hdf5_file.h"
#include "formats/input_file.h"
#include "formats/weights.h"
#include "report/log.h"

namespace trainer {
namespace {

// The changes that were made to a file, and the warnings about parts without a counterpart.
struct Outcome {
  std::vector<std::string> converted;
  std::string dropped;
};

struct Target {
  std::string path;
  Existing existing;
};

void write_text(const Target& target, const google::protobuf::Message& message) {
  const std::string text = prototxt_text(message);
  write_file(target.path, text, target.existing);
}

Outcome outcome_of(std::vector<std::string> notes, const Diagnostics& diagnostics) {
  return {std::move(notes), diagnostics.render()};
}

Outcome upgrade_net_text(const std::string& in, const Target& out) {
  Diagnostics diagnostics;
  const std::unique_ptr<NetFile> file = load_net(in, &diagnostics);
  diagnostics.throw_if_errors();
  write_text(out, *file->net);
  return outcome_of(file->notes, diagnostics);
}

Outcome upgrade_solver_text(const std::string& in, const Target& out) {
  Diagnostics diagnostics;
  const std::unique_ptr<SolverFile> file = load_solver(in, &diagnostics, false);
  diagnostics.throw_if_errors();
  write_text(out, *file->solver);
  return outcome_of(file->notes, diagnostics);
}

class IntoFile : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit IntoFile(AtomicFile& file) : file_(file) {}
  bool Write(const void* bytes, int count) override {
    file_.write(bytes, static_cast<size_t>(count));
    return true;
  }

 private:
  AtomicFile& file_;
};

void read_binary_net(const std::string& in, caffe::NetParameter* net) {
  const InputFile file(in, "weight file");
  if (file.size() > kLargestBinaryMessage)
    throw data_error("{} has {}, but a binary net of Caffe has at most {} bytes: it is not a net of Caffe", in,
                     format_bytes(file.size()), kLargestBinaryMessage);
  google::protobuf::io::FileInputStream stream(file.descriptor());
  if (!net->ParseFromZeroCopyStream(&stream) || (net->layer_size() == 0 && net->layers_size() == 0))
    throw data_error("{} is not a binary net (.caffemodel): {}", in,
                     file.looks_like_text() ? "it is text; omit --type, or give --type=net or --type=solver"
                                            : "it is damaged, or another kind of file");
}

Outcome upgrade_net_binary(const std::string& in, const Target& out) {
  if (Hdf5File::has_signature(in))
    throw data_error("{} is an HDF5 file: that format has only one version, so there is nothing to upgrade", in);
  caffe::NetParameter net;
  read_binary_net(in, &net);
  read_weights(in);  // throws if the number of values of a blob differs from its shape
  Outcome outcome;
  Diagnostics diagnostics;
  upgrade_net(&net, [&](const UpgradeNote& note) {
    if (note.kind == UpgradeNote::Kind::kConverted) return outcome.converted.push_back(note.message);
    Diagnostic problem;
    problem.severity = note.kind == UpgradeNote::Kind::kError ? Diagnostic::kError : Diagnostic::kWarning;
    problem.position.file = in;
    problem.message = note.message;
    problem.code = ExitCode::kData;
    diagnostics.add(problem);
  });
  diagnostics.throw_if_errors();
  outcome.dropped = diagnostics.render();
  const auto size = static_cast<int64_t>(net.ByteSizeLong());
  check_binary_size(size, out.path);
  AtomicFile file(out.path, size, out.existing);
  IntoFile target(file);
  {
    google::protobuf::io::CopyingOutputStreamAdaptor stream(&target);
    TRAINER_ASSERT(net.SerializeToZeroCopyStream(&stream));
  }
  file.commit();
  return outcome;
}

// "weights" for a binary file; for text "net" or "solver", as which it has fewer mistakes.
std::string kind_of(const std::string& path) {
  if (Hdf5File::has_signature(path) || !InputFile(path, "file").looks_like_text()) return "weights";
  return is_solver_text(path) ? "solver" : "net";
}

int run_upgrade(const Arguments& arguments) {
  if (arguments.positional().size() != 2) throw UsageError("upgrade takes two words: IN OUT");
  const std::string& in = arguments.positional()[0];
  const bool overwrite = arguments.get_bool("overwrite");
  const Target out{arguments.positional()[1], overwrite ? Existing::kReplaced : Existing::kKept};
  if (!overwrite) refuse_existing(out.path, "choose another name, or replace it with --overwrite");
  const std::string kind = arguments.text("type").empty() ? kind_of(in) : arguments.text("type");
  const Outcome outcome = kind == "net"      ? upgrade_net_text(in, out)
                          : kind == "solver" ? upgrade_solver_text(in, out)
                                             : upgrade_net_binary(in, out);
  for (const std::string& note : outcome.converted) log_info(note);
  if (!outcome.dropped.empty()) {
    log_warning(outcome.dropped);
    throw config_error(
        "{} was written without the parts that have no counterpart in the current form (see the warnings above)",
        out.path);
  }
  if (outcome.converted.empty()) log_info("File already in latest proto format: " + in);
  log_info(fmt::format("Wrote upgraded {} to {}", kind, out.path));
  return 0;
}

REGISTER_COMMAND(
    upgrade, .name = "upgrade", .summary = "writes old nets, solvers and weights in the current form",
    .usage = "upgrade IN OUT [--type=net|solver|weights] [--overwrite]",
    .description =
        "Replaces upgrade_net_proto_text, upgrade_net_proto_binary and upgrade_solver_proto_text. Writes OUT "
        "completely or not at all, even if IN is in the current form. OUT may be IN with --overwrite. If a part "
        "of IN has no counterpart, OUT lacks it, a warning names it and the exit code is 2.",
    .flags =
        {
            {"type", FlagType::kChoice, "", "net|solver|weights",
             "The kind of IN: the text of a net or solver, or binary weights (.caffemodel). Default: "
             "detected from the content."},
            {"overwrite", FlagType::kBool, "false", "", "Replace OUT if it exists."},
        },
    .run = run_upgrade);

}  // namespace
}  // namespace trainer
