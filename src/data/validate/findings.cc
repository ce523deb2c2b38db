// Turns the numbers of scans into problems with place, cause and remedy.
#include "data/validate/findings.h"

#include <algorithm>

#include "base/text.h"

namespace trainer {
namespace {

constexpr size_t kMostListed = 10;
constexpr double kImbalance = 10;  // the largest class to the smallest

std::string count_text(uint64_t number, const char* one, const char* many) {
  return fmt::format("{} {}", format_count(static_cast<int64_t>(number)), number == 1 ? one : many);
}

// Each on a line of its own below a message.
std::string indented(const std::vector<std::string>& lines, uint64_t total) {
  std::string text;
  for (const std::string& line : lines) text += "\n    " + printable(line);
  if (total > lines.size())
    text += fmt::format("\n    and {} more", format_count(static_cast<int64_t>(total - lines.size())));
  return text;
}

std::vector<std::string> texts(const BadRecords& records) {
  std::vector<std::string> lines;
  for (const auto& [record, text] : records.first) lines.push_back(text);
  return lines;
}

std::string listed(const std::vector<std::string>& words) {
  const std::vector<std::string> few(words.begin(),
                                     words.begin() + static_cast<std::ptrdiff_t>(std::min(words.size(), kMostListed)));
  return fmt::format("{}{}", fmt::join(few, ", "),
                     words.size() > few.size() ? fmt::format(" and {} more", words.size() - few.size()) : "");
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

  // Classes that one set has and another lacks.
  void check_classes() {
    std::set<int64_t> all;
    size_t labelled = 0;
    for (const ScannedSet& set : sets_) {
      const auto* counts = class_counts(set);
      if (counts == nullptr) continue;
      ++labelled;
      for (const auto& [number, count] : *counts) all.insert(number);
    }
    for (const ScannedSet& set : sets_) {
      const auto* counts = class_counts(set);
      if (counts == nullptr || labelled < 2) continue;
      std::vector<std::string> missing;
      for (const int64_t number : all) {
        if (counts->count(number) == 0) missing.push_back(name_of(number));
      }
      if (!missing.empty())
        warn(set,
             fmt::format("{} has no records of {}: {}", set.name,
                         missing.size() == 1 ? "a class that other data has"
                                             : fmt::format("{} classes that other data has", missing.size()),
                         listed(missing)),
             "add records, or split the data anew");
    }
  }

  void check_duplicates(const std::vector<DuplicateGroup>& groups) {
    for (const DuplicateGroup& group : groups) add(group);
  }

 private:
  void error(const ScannedSet& set, const std::string& message, const std::string& remedy) {
    found_.problems.error(set.position, set.subject, message, remedy, ExitCode::kData);
  }
  void warn(const ScannedSet& set, const std::string& message, const std::string& remedy) {
    found_.problems.warning(set.position, set.subject, message, remedy);
  }
  // A problem that only matters if bad records are not skipped.
  void unless_skipped(const ScannedSet& set, const std::string& message, const std::string& remedy) {
    if (set.feed->skips_bad_records()) {
      warn(set, message, "skip_bad_records takes other records in their place");
    } else {
      error(set, message, remedy);
    }
  }

  void check_usable(const ScannedSet& set) {
    const BadRecords& bad = set.scan.unusable;
    if (bad.count == 0) return;
    if (set.scan.hopeless) {
      const std::string& root = set.root_folder;
      error(set,
            fmt::format("none of the first {} can be used: {}", count_text(bad.count, "record", "records"),
                        printable(bad.first.begin()->second)),
            root.empty() ? "correct the data set, or name another one"
                         : fmt::format("root_folder: \"{}\" is put before each path as it is: is it right?", root));
      return;
    }
    unless_skipped(set,
                   fmt::format("{} of {} cannot be used:{}", format_count(static_cast<int64_t>(bad.count)),
                               count_text(set.scan.records, "record", "records"), indented(texts(bad), bad.count)),
                   "repair or remove them");
  }

  void check_labels(const ScannedSet& set) {
    for (const auto& [consumer, bad] : set.scan.labels)
      error(
          set,
          fmt::format("{} {} labels that {} does not accept; the first: {}", count_text(bad.count, "record", "records"),
                      bad.count == 1 ? "has" : "have", consumer, printable(bad.first.begin()->second)),
          "");
  }

  void check_items(const ScannedSet& set) {
    const ShapeCounts& items = set.scan.statistics.items;
    if (items.size() < 2 || set.feed->batch_size() < 2) return;
    std::vector<std::pair<ItemShape, ShapeCount>> by_count(items.begin(), items.end());
    std::stable_sort(by_count.begin(), by_count.end(),
                     [](const auto& a, const auto& b) { return a.second.records > b.second.records; });
    std::vector<std::string> lines;
    bool channels = false;
    for (const auto& [shape, count] : by_count) {
      channels = channels || shape.channels != by_count.front().first.channels;
      if (lines.size() < kMostListed)
        lines.push_back(fmt::format("{}: {}, first {}", shape.text(), count_text(count.records, "record", "records"),
                                    describe_record(*set.feed, count.first)));
    }
    unless_skipped(
        set,
        fmt::format("the items have {} sizes, but those of a batch must have one{}:{}", items.size(),
                    channels ? ": the channels of gray and color images differ" : "", indented(lines, items.size())),
        channels ? "make all gray or all color: for encoded records by transform_param.force_color or force_gray"
                 : "resize the images, set transform_param.crop_size, or use batch_size: 1");
  }

  void check_balance(const ScannedSet& set) {
    const auto* counts = class_counts(set);
    if (counts == nullptr || counts->size() < 2) return;
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto least = std::min_element(counts->begin(), counts->end(), by_count);
    const auto most = std::max_element(counts->begin(), counts->end(), by_count);
    const double ratio = static_cast<double>(most->second) / static_cast<double>(least->second);
    if (ratio >= kImbalance)
      found_.notes.push_back(fmt::format("{}: class {} is {:.0f} times as frequent as class {}", set.name,
                                         set.class_name(most->first), ratio, set.class_name(least->first)));
  }

  void add(const DuplicateGroup& group) {
    const ScannedSet &first = sets_[group.first_set], &second = sets_[group.second_set];
    const bool within = group.first_set == group.second_set;
    std::vector<std::string> lines;
    for (const RecordPair& pair : group.pairs)
      lines.push_back(fmt::format("{} {} {}", describe_record(*second.feed, pair.second.record),
                                  group.exact ? "=" : "~", describe_record(*first.feed, pair.first.record)));
    std::string message = fmt::format("{} of {} {} {}", count_text(group.records, "record", "records"), second.name,
                                      group.exact ? (group.records == 1 ? "has the content of" : "have the content of")
                                                  : (group.records == 1 ? "looks like" : "look like"),
                                      within ? "an earlier record" : "a record of " + first.name);
    if (group.relabelled > 0)
      message += fmt::format(", {} of them with another label", format_count(static_cast<int64_t>(group.relabelled)));
    message += ":" + indented(lines, lines.size());
    if (within && !group.exact) {
      found_.notes.push_back(message);
    } else if (within) {
      warn(second, message, "remove the copies");
    } else {
      warn(second, message, "the results of a test on known records are too good: remove them from one of the two");
    }
  }

  std::string name_of(int64_t number) const {
    for (const ScannedSet& set : sets_) {
      const std::string name = set.class_name(number);
      if (name.find('(') != std::string::npos) return name;
    }
    return fmt::format("{}", number);
  }

  const std::vector<ScannedSet>& sets_;
  Findings& found_;
};

}  // namespace

std::string ScannedSet::class_name(int64_t number) const {
  const std::vector<std::string> names = feed->class_names();
  if (number < 0 || number >= static_cast<int64_t>(names.size())) return fmt::format("{}", number);
  return fmt::format("{} ({})", number, printable(names[static_cast<size_t>(number)]));
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
  finder.check_duplicates(duplicates);
  return found;
}

}  // namespace trainer
