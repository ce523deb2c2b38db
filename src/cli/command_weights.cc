// trainer weights: shows, compares and rewrites weight files of all formats.
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/fetch_weights.h"
#include "cli/weight_files.h"
#include "cli/weight_names_table.h"
#include "formats/atomic_file.h"
#include "report/json_document.h"
#include "report/log.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

std::string shape_text(const Shape& shape) { return shape.rank() == 0 ? "scalar" : shape.text(); }

void add_shape(const Shape& shape, JsonDocument* json) {
  json->open_array("shape");
  for (const int64_t dim : shape.dims()) json->add({}, dim);
  json->close();
}

std::string list_text(const LoadedWeights& file) {
  std::string out = fmt::format("{}: {}, {} tensors, {} values\n", printable(file.path), file.tensors.format,
                                file.tensors.tensors.size(), format_count(file.count()));
  size_t width = 6;
  for (const StoredTensor& tensor : file.tensors.tensors) width = std::max(width, printable(tensor.name).size());
  out += fmt::format("  {:<{}}  {:<18} {:<9} {:>12} {:>12} {:>12} {:>12}\n", "tensor", width, "shape", "type", "count",
                     "min", "max", "mean");
  for (const StoredTensor& tensor : file.tensors.tensors) {
    const TensorStatistics values = statistics_of(tensor);
    out += fmt::format("  {:<{}}  {:<18} {:<9} {:>12} {:>12.6g} {:>12.6g} {:>12.6g}\n", printable(tensor.name), width,
                       shape_text(tensor.shape), name_of(tensor.type), format_count(tensor.shape.count()), values.min,
                       values.max, values.mean);
  }
  const WeightNotes& notes = file.file->notes;
  std::vector<std::string> names;
  for (const std::string& name : notes.class_names) names.push_back(printable(name));
  if (!names.empty()) out += fmt::format("classes: {}\n", fmt::join(names, ", "));
  if (notes.picture_input != nullptr)
    out += fmt::format("picture_input {{ {} }}\n", notes.picture_input->ShortDebugString());
  return out;
}

void add_file(const LoadedWeights& file, JsonDocument* json) {
  const WeightNotes& notes = file.file->notes;
  json->open_object().add("file", file.path).add("format", file.tensors.format).add("class_names", notes.class_names);
  json->add("picture_input", notes.picture_input == nullptr ? "" : notes.picture_input->ShortDebugString());
  json->open_array("tensors");
  for (const StoredTensor& tensor : file.tensors.tensors) {
    const TensorStatistics values = statistics_of(tensor);
    json->open_object().add("name", tensor.name).add("layer_type", file.type_of(tensor.name));
    add_shape(tensor.shape, json);
    json->add("type", name_of(tensor.type)).add("count", tensor.shape.count());
    json->add("min", values.min).add("max", values.max).add("mean", values.mean).close();
  }
  json->close().close();
}

int list(const std::vector<LoadedWeights>& files, const Arguments& arguments) {
  if (arguments.get_bool("json")) {
    JsonDocument json;
    json.open_array("files");
    for (const LoadedWeights& file : files) add_file(file, &json);
    std::fputs(json.close().text().c_str(), stdout);
    return 0;
  }
  for (const LoadedWeights& file : files) std::fputs(list_text(file).c_str(), stdout);
  return 0;
}

int compare(const std::vector<LoadedWeights>& files, const Arguments& arguments) {
  if (files.size() != 2) throw UsageError("weights compare takes two files");
  const double tolerance = arguments.number("tolerance");
  if (!(tolerance >= 0)) throw UsageError("--tolerance is the largest allowed difference: at least 0");
  const std::vector<TensorDifference> differences = differences_of(files[0], files[1]);
  size_t different = 0;
  for (const TensorDifference& difference : differences)
    different += difference.problem.empty() && difference.largest <= tolerance ? 0 : 1;
  if (arguments.get_bool("json")) {
    JsonDocument json;
    json.add_bool("equal", different == 0).open_array("tensors");
    for (const TensorDifference& difference : differences) {
      json.open_object().add("name", difference.name);
      if (difference.problem.empty()) {
        json.add("largest_difference", difference.largest);
      } else {
        json.add("problem", difference.problem);
      }
      json.close();
    }
    std::fputs(json.close().text().c_str(), stdout);
  } else {
    for (const TensorDifference& difference : differences)
      std::fputs(
          fmt::format("{:<40} {}\n", printable(difference.name),
                      difference.problem.empty() ? fmt::format("{:.6g}", difference.largest) : difference.problem)
              .c_str(),
          stdout);
    std::fputs(fmt::format("{} tensors, {} differ\n", differences.size(), different).c_str(), stdout);
  }
  return different == 0 ? 0 : static_cast<int>(ExitCode::kData);
}

// The files that the actions write.
NamedTensors rewritten(const std::string& action, const std::vector<LoadedWeights>& files, const Arguments& arguments) {
  const bool one = action == "rename" || action == "strip";
  if (one && files.size() != 1) throw UsageError(fmt::format("weights {} takes one file", action));
  if (action == "merge") return merged(files);
  if (action == "average") return averaged(files);
  if (action == "strip") return stripped(files[0], arguments.texts("remove"));
  return renamed(
      files[0], arguments.texts("rename"),
      arguments.given("weights_map") ? read_weight_map(arguments.text("weights_map")) : std::vector<WeightMapLine>());
}

int rewrite(const std::string& action, const std::vector<LoadedWeights>& files, const Arguments& arguments) {
  const std::string& output = arguments.text("output");
  const NamedTensors named = rewritten(action, files, arguments);
  AtomicFile file(output, 0, arguments.get_bool("overwrite") ? Existing::kReplaced : Existing::kKept);
  write_tensors(file, named);
  file.commit();
  log_info(fmt::format("Wrote {} tensors to {}", named.tensors.size(), output));
  return 0;
}

int names(const std::vector<std::string>& names, const Arguments& arguments) {
  const std::vector<hub::Weights> list = select_weights(names);
  const std::string text = arguments.get_bool("json") ? weight_names_json(list)
                           : names.empty()            ? weight_names_table(list)
                                                      : weight_names_details(list);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run_weights(const Arguments& arguments) {
  std::vector<std::string> words = arguments.positional();
  const std::vector<std::string> actions{"list", "compare", "rename", "strip", "average", "merge", "names"};
  const std::string action = words.empty() ? "" : words[0];
  if (std::find(actions.begin(), actions.end(), action) == actions.end())
    throw UsageError(fmt::format("weights takes an action, one of {}{}", fmt::join(actions, ", "),
                                 suggest(action, actions, "; did you mean {}?")));
  words.erase(words.begin());
  if (words.empty() && action != "names") throw UsageError(fmt::format("weights {} takes files", action));
  const bool writes = action != "list" && action != "compare" && action != "names";
  if (writes != arguments.given("output"))
    throw UsageError(writes ? fmt::format("weights {} writes a file: give its name with --output", action)
                            : fmt::format("weights {} writes no file: --output has no effect", action));
  if (writes) {
    check_weights_ending(arguments.text("output"));
    if (!arguments.get_bool("overwrite"))
      refuse_existing(arguments.text("output"), "choose another name, or replace it with --overwrite");
  }
  if (action == "names") return names(words, arguments);
  std::vector<LoadedWeights> files;
  for (const std::string& value : words) {
    fetch_weights(value);
    files.emplace_back(value);
  }
  if (action == "list") return list(files, arguments);
  if (action == "compare") return compare(files, arguments);
  return rewrite(action, files, arguments);
}

REGISTER_COMMAND(
    weights, .name = "weights", .summary = "shows, compares and rewrites weight files of all formats",
    .usage =
        "weights list FILE... [--json]\n"
        "weights compare FILE FILE [--tolerance=X] [--json]\n"
        "weights merge FILE... --output=FILE\n"
        "weights average FILE... --output=FILE\n"
        "weights rename FILE --rename=OLD=NEW... --output=FILE\n"
        "weights strip FILE --remove=PATTERN... --output=FILE\n"
        "weights names [NAME...] [--json]",
    .description =
        "FILE is a .caffemodel, .caffemodel.h5, .safetensors (or the .index.json of several), a file of torch.save "
        "with tensors, an ONNX model or an .npz, or the name of published weights. The blobs of layers are tensors "
        "with the names LAYER/0, LAYER/1, ...\n\n"
        "  list     shows each tensor: shape, type, number, least, largest and mean value\n"
        "  compare  shows the largest difference between the tensors of equal name\n"
        "  merge    writes all tensors; those of later files replace equal names. One file is converted\n"
        "  average  writes the mean of tensors of equal names, which all files must have\n"
        "  rename   writes tensors under other names, or as --weights_map says\n"
        "  strip    writes all tensors but those that a pattern matches\n"
        "  names    lists published weights, which are downloaded when they are first read; with a NAME, shows all "
        "that "
        "is known of it\n\n"
        "The ending of --output is the format: .caffemodel, .caffemodel.h5, .safetensors or .npz. Values are "
        "written as 32-bit floats. Layers keep their types, as far as the files have them.\n\n"
        "Exit code of compare: 0 if no difference is above --tolerance, 3 otherwise.",
    .flags =
        {
            {"output", FlagType::kFile, "", "FILE", "The file to write."},
            {"overwrite", FlagType::kBool, "false", "", "Replace the output if it exists."},
            {"rename", FlagType::kText, "", "OLD=NEW",
             "A tensor's name and the one to write, with one * in both for the same text.", /*repeatable=*/true},
            {"weights_map", FlagType::kFile, "", "FILE",
             "A text file of lines LAYER/BLOB TENSOR [transpose=1,0] for rename."},
            {"remove", FlagType::kText, "", "PATTERN",
             "The tensors or layers that strip leaves out: a name with the wildcards * and ?.", /*repeatable=*/true},
            {"tolerance", FlagType::kNumber, "0", "X", "The largest difference that compare accepts."},
            {"json", FlagType::kBool, "false", "", "Write one JSON document instead of the text."},
        },
    .run = run_weights);

}  // namespace
}  // namespace trainer
