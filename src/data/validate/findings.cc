// Turns the numbers of scans into problems with place, cause and remedy.
#include "data/validate/findings.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace trainer {
namespace {

constexpr size_t kMostListed = 10;
constexpr double kImbalance = 10;  // the largest class to the smallest

std::string number(uint64_t count) { return format_count(static_cast<int64_t>(count)); }
std::string records(uint64_t count) { return number(count) + (count == 1 ? " record" : " records"); }

std::vector<std::string> examples_of(const BadRecords& bad) {
  std::vector<std::string> lines;
  for (const auto& [record, text] : bad.first) lines.push_back(printable(text));
  if (bad.count > lines.size()) lines.push_back(fmt::format("and {} more", number(bad.count - lines.size())));
  return lines;
}

// The first few words, separated by commas.
std::string listed(const std::vector<std::string>& words) {
  const size_t few = std::min(words.size(), kMostListed);
  std::string text = fmt::format("{}", fmt::join(words.data(), words.data() + few, ", "));
  if (words.size() > few) text += fmt::format(" and {} more", words.size() - few);
  return text;
}

// "a.jpg = b.jpg" for equal records, "a.jpg ~ b.jpg" for those that look alike.
std::string pair_text(const RecordPair& pair, bool exact, const std::vector<ScannedSet>& sets) {
  const auto describe = [&](const RecordPlace& place) {
    return printable(describe_record(*sets[place.set].feed, place.record));
  };
  return fmt::format("{} {} {}", describe(pair.second), exact ? "=" : "~", describe(pair.first));
}

bool has_names(const ScannedSet& set) { return !set.feed->class_names().empty(); }

// "3 (fox)", "3".
std::string class_text(int64_t label, const std::string& name) {
  return name.empty() ? fmt::format("{}", label) : fmt::format("{} ({})", label, name);
}

class Finder {
 public:
  Finder(const std::vector<ScannedSet>& sets, Findings* found) : sets_(sets), found_(*found) {}

  void check(const ScannedSet& set) {
    check_usable(set);
    check_labels(set);
    check_items(set);
    check_balance(set);
  }

  // Classes that a set lacks, and another set or a file of class names has.
  void check_classes() {
    const std::vector<ClassRow> rows = class_rows(sets_);
    for (size_t i = 0; i < sets_.size(); ++i) {
      if (class_counts(sets_[i]) == nullptr) continue;
      std::vector<std::string> missing;
      for (const ClassRow& row : rows) {
        if (row.counts[i] == 0) missing.push_back(class_text(row.label, row.name));
      }
      if (missing.empty()) continue;
      add(sets_[i], Diagnostic::kWarning,
          fmt::format("{} has no records of {}: {}", sets_[i].name,
                      missing.size() == 1 ? "a class" : fmt::format("{} classes", missing.size()), listed(missing)),
          "add records, or split the data again");
    }
  }

  // A label that stands for different classes in two sets.
  void check_names() {
    const auto first = std::find_if(sets_.begin(), sets_.end(), has_names);
    for (const ScannedSet& set : sets_) {
      if (!has_names(set) || &set == &*first) continue;
      const std::vector<std::string> expected = first->feed->class_names(), names = set.feed->class_names();
      const size_t common = std::min(expected.size(), names.size());
      const auto [other, own] =
          std::mismatch(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(common), names.begin());
      if (own - names.begin() == static_cast<std::ptrdiff_t>(common)) continue;
      add(set, Diagnostic::kWarning,
          fmt::format("class {} is \"{}\" in {}, but \"{}\" in {}", own - names.begin(), printable(*other), first->name,
                      printable(*own), set.name),
          "give both the same folders, or the same file in image_data_param.labels");
    }
  }

  void check(const DuplicateGroup& group) {
    const ScannedSet &first = sets_[group.first_set], &second = sets_[group.second_set];
    const bool within = group.first_set == group.second_set, one = group.records == 1;
    const char* alike = group.exact ? (one ? "has the content of" : "have the content of")
                        : one       ? "looks like"
                                    : "look like";
    std::string message = fmt::format("{} of {} {} {}", records(group.records), second.name, alike,
                                      within ? "an earlier one" : "one of " + first.name);
    if (group.relabelled > 0) message += fmt::format(", {} of them with another label", number(group.relabelled));
    std::vector<std::string> examples;
    for (const RecordPair& pair : group.pairs) examples.push_back(pair_text(pair, group.exact, sets_));
    if (within && !group.exact) {
      found_.notes.push_back(fmt::format("{}: {}", message, examples.front()));
      return;
    }
    add(second, Diagnostic::kWarning, message,
        within ? "remove the copies" : "a test on records of the training is too good: remove them from one of the two",
        examples);
  }

 private:
  void add(const ScannedSet& set, Diagnostic::Severity severity, const std::string& message, const std::string& remedy,
           std::vector<std::string> examples = {}) {
    found_.problems.add({severity, set.position, set.subject, message, remedy, ExitCode::kData, std::move(examples)});
  }

  // Records that are not an error if the layer skips them.
  void add_bad(const ScannedSet& set, const std::string& message, const std::string& remedy,
               std::vector<std::string> examples) {
    const bool skips = set.feed->skips_bad_records();
    add(set, skips ? Diagnostic::kWarning : Diagnostic::kError, message,
        skips ? "skip_bad_records takes other records in their place" : remedy, std::move(examples));
  }

  void check_usable(const ScannedSet& set) {
    const BadRecords& bad = set.scan.unusable;
    if (bad.count == 0) return;
    if (!set.scan.hopeless)
      return add_bad(set, fmt::format("{} of {} cannot be used", number(bad.count), records(set.scan.records)),
                     "repair or remove them", examples_of(bad));
    const std::string remedy =
        set.root_folder.empty()
            ? "correct the data set, or name another one"
            : fmt::format("is root_folder: \"{}\" right? It is put before each path as it is", set.root_folder);
    add(set, Diagnostic::kError,
        fmt::format("none of {} {} can be used, the first: {}", bad.count == set.scan.records ? "its" : "the first",
                    records(bad.count), printable(bad.first.begin()->second)),
        remedy);
  }

  void check_labels(const ScannedSet& set) {
    for (const auto& [consumer, bad] : set.scan.labels)
      add(set, Diagnostic::kError,
          fmt::format("{} {} a label that {} does not accept, the first: {}", records(bad.count),
                      bad.count == 1 ? "has" : "have", consumer, printable(bad.first.begin()->second)),
          "");
  }

  void check_items(const ScannedSet& set) {
    const ShapeCounts& items = set.scan.statistics.items;
    if (items.size() < 2 || set.feed->batch_size() < 2) return;
    std::vector<std::pair<ItemShape, ShapeCount>> by_count(items.begin(), items.end());
    std::stable_sort(by_count.begin(), by_count.end(),
                     [](const auto& a, const auto& b) { return a.second.records > b.second.records; });
    const bool channels = std::any_of(by_count.begin(), by_count.end(), [&](const auto& item) {
      return item.first.channels != by_count.front().first.channels;
    });
    std::vector<std::string> examples;
    for (size_t i = 0; i < std::min(by_count.size(), kMostListed); ++i)
      examples.push_back(fmt::format("{}: {}, the first is {}", by_count[i].first.text(),
                                     records(by_count[i].second.records),
                                     printable(describe_record(*set.feed, by_count[i].second.first))));
    add_bad(set,
            fmt::format("the items have {} sizes, but those of a batch must have one{}", items.size(),
                        channels ? ": some images are gray, others are in color" : ""),
            channels ? "make all gray or all color: for encoded records by transform_param.force_gray or force_color"
                     : "resize the images, set transform_param.crop_size, or use batch_size: 1",
            std::move(examples));
  }

  void check_balance(const ScannedSet& set) {
    const std::map<int64_t, uint64_t>* counts = class_counts(set);
    if (counts == nullptr || counts->size() < 2) return;
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto [least, most] = std::minmax_element(counts->begin(), counts->end(), by_count);
    const std::vector<std::string> names = set.feed->class_names();
    const auto text = [&](int64_t label) {
      const bool named = label >= 0 && label < static_cast<int64_t>(names.size());
      return class_text(label, named ? printable(names[static_cast<size_t>(label)]) : "");
    };
    const double ratio = static_cast<double>(most->second) / static_cast<double>(least->second);
    if (ratio >= kImbalance)
      found_.notes.push_back(fmt::format("{}: class {} is {:.0f} times as frequent as class {}", set.name,
                                         text(most->first), ratio, text(least->first)));
  }

  const std::vector<ScannedSet>& sets_;
  Findings& found_;
};

}  // namespace

std::vector<ClassRow> class_rows(const std::vector<ScannedSet>& sets) {
  const auto named = std::find_if(sets.begin(), sets.end(), has_names);
  const std::vector<std::string> known = named == sets.end() ? std::vector<std::string>() : named->feed->class_names();
  std::vector<ClassRow> rows;
  std::map<std::string, size_t> places;  // by name, or by label for a class without one
  for (size_t i = 0; i < sets.size(); ++i) {
    const std::map<int64_t, uint64_t>* counts = class_counts(sets[i]);
    if (counts == nullptr) continue;
    std::map<int64_t, uint64_t> all = *counts;
    const std::vector<std::string> own = sets[i].feed->class_names(), &names = own.empty() ? known : own;
    for (size_t label = 0; label < own.size(); ++label) all.emplace(static_cast<int64_t>(label), 0);
    for (const auto& [label, count] : all) {
      const bool has_name = label >= 0 && label < static_cast<int64_t>(names.size());
      const std::string name = has_name ? names[static_cast<size_t>(label)] : "";
      const auto [place, added] = places.emplace(has_name ? "/" + name : fmt::format("{}", label), rows.size());
      if (added) rows.push_back({label, printable(name), std::vector<uint64_t>(sets.size())});
      rows[place->second].counts[i] = count;
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ClassRow& a, const ClassRow& b) { return a.label < b.label; });
  return rows;
}

const std::map<int64_t, uint64_t>* class_counts(const ScannedSet& set) {
  for (const auto& [top, labels] : set.scan.statistics.labels) {
    if (labels.are_classes() || (labels.whole && set.ranged_tops.count(top) > 0)) return &labels.of_class;
  }
  return nullptr;
}

Findings find_problems(const std::vector<ScannedSet>& sets, const std::vector<DuplicateGroup>& duplicates) {
  Findings found;
  Finder finder(sets, &found);
  for (const ScannedSet& set : sets) finder.check(set);
  finder.check_classes();
  finder.check_names();
  for (const DuplicateGroup& group : duplicates) finder.check(group);
  return found;
}

}  // namespace trainer
