// Writes the result of trainer validate.
#include "cli/validation.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "report/json_document.h"

namespace trainer {
namespace {

constexpr size_t kMostClassRows = 30;

std::string count_of(uint64_t number) { return format_count(static_cast<int64_t>(number)); }

// Columns two blanks apart: texts begin, and numbers end, below their title.
class TextTable {
 public:
  // A title that begins with ">" is that of a column of numbers.
  explicit TextTable(std::vector<std::string> titles) {
    for (std::string& title : titles) {
      numbers_.push_back(title.starts_with('>'));
      if (numbers_.back()) title.erase(0, 1);
    }
    add(std::move(titles));
  }

  void add(std::vector<std::string> row) {
    widths_.resize(numbers_.size());
    for (size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
    rows_.push_back(std::move(row));
  }

  std::string text() const {
    std::string text;
    for (const std::vector<std::string>& row : rows_) {
      std::string line;
      for (size_t i = 0; i < row.size(); ++i)
        line += fmt::format(fmt::runtime(numbers_[i] ? "{:>{}}  " : "{:<{}}  "), row[i], widths_[i]);
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
  }

 private:
  std::vector<bool> numbers_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

std::string size_text(const ItemShape& shape) { return fmt::format("{}x{}", shape.height, shape.width); }

// "28x28", "12 sizes, 20x30 to 640x480".
std::string sizes_text(const ShapeCounts& stored) {
  if (stored.empty()) return "";
  const auto area = [](const auto& a, const auto& b) {
    return a.first.height * a.first.width < b.first.height * b.first.width;
  };
  const auto least = std::min_element(stored.begin(), stored.end(), area);
  const auto most = std::max_element(stored.begin(), stored.end(), area);
  if (size_text(least->first) == size_text(most->first)) return size_text(least->first);
  return fmt::format("{} sizes, {} to {}", stored.size(), size_text(least->first), size_text(most->first));
}

std::string kinds_text(const std::map<std::string, uint64_t>& kinds) {
  std::string text;
  for (const auto& [kind, count] : kinds)
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", kind, kinds.size() > 1 ? " " + count_of(count) : "");
  return text;
}

std::string channel_name(const ScannedSet& set, size_t channels, size_t channel) {
  constexpr std::array<const char*, 4> kColors = {"blue", "green", "red", "alpha"};
  if (set.scan.statistics.kinds.count("floats") > 0) return fmt::format("{}", channel);
  if (channels == 1) return "gray";
  return channels == 3 || channels == 4 ? kColors[channel] : fmt::format("{}", channel);
}

std::string tables_of_sets(const Validation& validation) {
  const bool of_nets = std::any_of(validation.sets.begin(), validation.sets.end(),
                                   [](const ScannedSet& set) { return !set.splits.empty(); });
  TextTable sets({"data", ">records", ">unusable", "kind", "height x width", of_nets ? "source" : ""});
  TextTable channels({"data", "channel", ">mean", ">deviation"});
  bool rows = false;
  for (const ScannedSet& set : validation.sets) {
    const DataStatistics& statistics = set.scan.statistics;
    sets.add({set.name, count_of(set.scan.records), count_of(set.scan.unusable.count), kinds_text(statistics.kinds),
              sizes_text(statistics.stored), of_nets ? set.source : ""});
    for (const auto& [number, sums] : statistics.channels) {
      for (size_t c = 0; c < sums.size(); ++c) {
        channels.add({set.name, channel_name(set, sums.size(), c), fmt::format("{:.4g}", sums[c].mean()),
                      fmt::format("{:.4g}", sums[c].deviation())});
        rows = true;
      }
    }
  }
  std::string text = sets.text();
  if (rows) text += "\nMean and deviation of all values as stored (images: 0 to 255)\n" + channels.text();
  return text;
}

// Whether the numbers of classes are those of the pixels of masks.
bool counts_pixels(const ScannedSet& set) {
  const auto& labels = set.scan.statistics.labels;
  return std::any_of(labels.begin(), labels.end(), [&](const auto& of_top) {
    return &of_top.second.of_class == class_counts(set) && of_top.second.values > of_top.second.records;
  });
}

std::string table_of_classes(const Validation& validation) {
  std::vector<std::string> titles = {">class", "name"};
  std::vector<size_t> columns;  // the sets with classes
  for (size_t i = 0; i < validation.sets.size(); ++i) {
    const ScannedSet& set = validation.sets[i];
    if (class_counts(set) == nullptr) continue;
    titles.push_back(">" + set.name + (counts_pixels(set) ? " (pixels)" : ""));
    columns.push_back(i);
  }
  if (columns.empty()) return "";
  const std::vector<ClassRow> rows = class_rows(validation.sets);
  TextTable table(titles);
  for (size_t i = 0; i < std::min(rows.size(), kMostClassRows); ++i) {
    std::vector<std::string> cells = {fmt::format("{}", rows[i].label), rows[i].name};
    for (const size_t column : columns) cells.push_back(count_of(rows[i].counts[column]));
    table.add(std::move(cells));
  }
  std::string text = "\n" + table.text();
  if (rows.size() > kMostClassRows) text += fmt::format("and {} more classes\n", rows.size() - kMostClassRows);
  return text;
}

std::string memory_text(const MemoryNeed& need) {
  return fmt::format("{} needs {} on {} (activations {}, parameters and history {}, batches {})\n", need.purpose,
                     format_bytes(need.activations + need.states + need.batches), need.device,
                     format_bytes(need.activations), format_bytes(need.states), format_bytes(need.batches));
}

int warning_count(const Diagnostics& problems) {
  return static_cast<int>(problems.list().size()) - problems.error_count();
}

std::string verdict(const Diagnostics& problems) {
  const auto counted = [](int number, const char* word) {
    return fmt::format("{} {}{}", number, word, number == 1 ? "" : "s");
  };
  const int errors = problems.error_count(), warnings = warning_count(problems);
  const std::string text = errors == 0 ? "No errors" : counted(errors, "error");
  return warnings == 0 ? text : text + ", " + counted(warnings, "warning");
}

void add_bad(JsonDocument* json, const char* key, const BadRecords& bad) {
  json->open_object(key).add("records", bad.count).open_array("first");
  for (const auto& [record, text] : bad.first) json->open_object().add("record", record).add("text", text).close();
  json->close().close();
}

void add_shapes(JsonDocument* json, const char* key, const ShapeCounts& shapes) {
  json->open_array(key);
  for (const auto& [shape, count] : shapes)
    json->open_object()
        .add("channels", shape.channels)
        .add("height", shape.height)
        .add("width", shape.width)
        .add("records", count.records)
        .close();
  json->close();
}

void add_labels(JsonDocument* json, const ScannedSet& set) {
  json->open_array("labels");
  const std::vector<std::string> names = set.feed->class_names();
  for (const auto& [top, labels] : set.scan.statistics.labels) {
    json->open_object()
        .add("top", static_cast<uint64_t>(top))
        .add("records", labels.records)
        .add("values", labels.values)
        .add("least", labels.least)
        .add("greatest", labels.greatest);
    if (&labels.of_class == class_counts(set)) {
      json->open_array("classes");
      for (const auto& [number, count] : labels.of_class) {
        json->open_object().add("class", number);
        if (number >= 0 && number < static_cast<int64_t>(names.size()))
          json->add("name", names[static_cast<size_t>(number)]);
        json->add("count", count).close();
      }
      json->close();
    }
    json->close();
  }
  json->close();
}

void add_set(JsonDocument* json, const ScannedSet& set) {
  const DataStatistics& statistics = set.scan.statistics;
  json->open_object()
      .add("name", set.name)
      .add("source", set.source)
      .add("splits", set.splits)
      .add("records", set.scan.records)
      .add("usable", statistics.records);
  add_bad(json, "unusable", set.scan.unusable);
  json->open_object("kinds");
  for (const auto& [kind, count] : statistics.kinds) json->add(kind, count);
  json->close();
  add_shapes(json, "stored", statistics.stored);
  add_shapes(json, "items", statistics.items);
  json->open_array("channels");
  for (const auto& [number, sums] : statistics.channels) {
    for (size_t c = 0; c < sums.size(); ++c)
      json->open_object()
          .add("channels", number)
          .add("channel", channel_name(set, sums.size(), c))
          .add("mean", sums[c].mean())
          .add("deviation", sums[c].deviation())
          .close();
  }
  json->close();
  add_labels(json, set);
  json->open_array("wrong_labels");
  for (const auto& [consumer, bad] : set.scan.labels) {
    json->open_object().add("layer", consumer);
    add_bad(json, "labels", bad);
    json->close();
  }
  json->close().close();
}

void add_duplicates(JsonDocument* json, const Validation& validation) {
  json->open_array("duplicates");
  for (const DuplicateGroup& group : validation.duplicates) {
    const ScannedSet &first = validation.sets[group.first_set], &second = validation.sets[group.second_set];
    json->open_object()
        .add("first", first.name)
        .add("second", second.name)
        .add("kind", group.exact ? "equal" : "near")
        .add("records", group.records)
        .add("relabelled", group.relabelled)
        .open_array("pairs");
    for (const RecordPair& pair : group.pairs)
      json->open_array()
          .add_text(describe_record(*first.feed, pair.first.record))
          .add_text(describe_record(*second.feed, pair.second.record))
          .close();
    json->close().close();
  }
  json->close();
}

void add_problems(JsonDocument* json, const Diagnostics& problems) {
  json->open_array("problems");
  for (const Diagnostic& problem : problems.list()) {
    const bool error = problem.severity == Diagnostic::kError;
    json->open_object()
        .add("severity", error ? "error" : "warning")
        .add("file", problem.position.file)
        .add("line", problem.position.line)
        .add("column", problem.position.column)
        .add("subject", problem.subject)
        .add("message", problem.message)
        .add("remedy", problem.hint)
        .add("examples", problem.examples);
    if (error) json->add("exit_code", static_cast<int>(problem.code));
    json->close();
  }
  json->close();
}

}  // namespace

int exit_code(const Diagnostics& problems) {
  for (const ExitCode code : {ExitCode::kConfiguration, ExitCode::kData, ExitCode::kDevice}) {
    for (const Diagnostic& problem : problems.list()) {
      if (problem.severity == Diagnostic::kError && problem.code == code) return static_cast<int>(code);
    }
  }
  return 0;
}

std::string validation_text(const Validation& validation) {
  std::string text;
  for (const CheckedFile& file : validation.files) text += fmt::format("{}: {}\n", file.path, file.content);
  if (!validation.sets.empty()) text += tables_of_sets(validation) + table_of_classes(validation);
  if (!validation.memory.empty()) text += "\n";
  for (const MemoryNeed& need : validation.memory) text += memory_text(need);
  const Findings& findings = validation.findings;
  if (!text.empty() && (!findings.problems.list().empty() || !findings.notes.empty())) text += "\n";
  text += findings.problems.render();
  for (const std::string& note : findings.notes) text += "note: " + note + "\n";
  return text + verdict(findings.problems) + "\n";
}

std::string validation_json(const Validation& validation) {
  const Diagnostics& problems = validation.findings.problems;
  JsonDocument json;
  json.add("errors", problems.error_count())
      .add("warnings", warning_count(problems))
      .add("exit_code", exit_code(problems))
      .open_array("files");
  for (const CheckedFile& file : validation.files)
    json.open_object().add("path", file.path).add("content", file.content).close();
  json.close().open_array("data_sets");
  for (const ScannedSet& set : validation.sets) add_set(&json, set);
  json.close();
  add_duplicates(&json, validation);
  json.open_array("memory");
  for (const MemoryNeed& need : validation.memory)
    json.open_object()
        .add("purpose", need.purpose)
        .add("device", need.device)
        .add("bytes", need.activations + need.states + need.batches)
        .add("activations", need.activations)
        .add("states", need.states)
        .add("batches", need.batches)
        .close();
  json.close();
  add_problems(&json, problems);
  json.add("notes", validation.findings.notes);
  return json.text();
}

}  // namespace trainer
