// Sorts the records by content. For near-duplicates, sorts the different contents by parts of their hash: hashes that
// differ in at most 3 bits agree in at least 3 of 6 bands, so a sort for each choice of 3 bands brings all pairs
// together.
#include "data/validate/duplicates.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <unordered_set>

namespace trainer {
namespace {

constexpr size_t kPairsKept = 5;
// Of pictures that agree in three bands, each is compared with this many: beyond it, they are all alike.
constexpr size_t kMostCompared = 100;
constexpr int kBands = 6;
constexpr std::array<int, kBands + 1> kBandEnds = {0, 11, 22, 33, 44, 54, 64};
static_assert(kBands - kNearBits >= 3);

uint64_t band_mask(int band) {
  const int first = kBandEnds[static_cast<size_t>(band)], end = kBandEnds[static_cast<size_t>(band) + 1];
  return (~uint64_t{0} >> (64 - (end - first))) << first;
}

class Collector {
 public:
  // `repeated` is the place that repeats the other one.
  void add(const RecordPlace& other, const RecordPlace& repeated, bool exact, bool relabelled) {
    Found& found = found_[{other.set, repeated.set, !exact}];
    found.repeated.insert(repeated.record);
    found.relabelled += relabelled ? 1 : 0;
    found.pairs.insert({other, repeated});
    if (found.pairs.size() > kPairsKept) found.pairs.erase(std::prev(found.pairs.end()));
  }

  std::vector<DuplicateGroup> groups() const {
    std::vector<DuplicateGroup> groups;
    for (const auto& [key, found] : found_) {
      const auto [first, second, near] = key;
      groups.push_back(
          {first, second, !near, found.repeated.size(), found.relabelled, {found.pairs.begin(), found.pairs.end()}});
    }
    return groups;
  }

 private:
  struct Found {
    std::unordered_set<uint64_t> repeated;
    uint64_t relabelled = 0;
    std::set<RecordPair> pairs;
  };

  std::map<std::tuple<size_t, size_t, bool>, Found> found_;
};

struct Entry {
  uint64_t content = 0;
  Appearance appearance;
  RecordPlace place;
};

// The records of one content, in the order of their places: each repeats the first of its own set and of each set
// before it.
void add_equal(const std::vector<std::span<const RecordSignature>>& sets, const Entry* begin, const Entry* end,
               Collector* collector) {
  const auto label = [&](const RecordPlace& place) { return sets[place.set][place.record].label; };
  std::vector<RecordPlace> firsts;
  for (const Entry* entry = begin; entry != end; ++entry) {
    const int32_t own = label(entry->place);
    for (const RecordPlace& first : firsts) {
      const int32_t other = label(first);
      const bool labelled = own != RecordSignature::kNoLabel && other != RecordSignature::kNoLabel;
      collector->add(first, entry->place, true, labelled && own != other);
    }
    if (firsts.empty() || firsts.back().set != entry->place.set) firsts.push_back(entry->place);
  }
}

// Whether the bands of the mask are the first three in which both hashes agree: each pair is taken once.
bool first_agreement(uint64_t a, uint64_t b, int first, int second, int third) {
  int agreed = 0;
  for (int band = 0; band <= third; ++band) {
    if (((a ^ b) & band_mask(band)) != 0) continue;
    if (band != (agreed == 0 ? first : agreed == 1 ? second : third)) return false;
    ++agreed;
  }
  return true;
}

void add_near(std::vector<Entry>& pictures, int first, int second, int third, Collector* collector) {
  const uint64_t mask = band_mask(first) | band_mask(second) | band_mask(third);
  const auto order = [mask](const Entry& entry) {
    return std::tuple(entry.appearance.hash & mask, entry.appearance.hash, entry.place);
  };
  std::sort(pictures.begin(), pictures.end(), [&](const Entry& a, const Entry& b) { return order(a) < order(b); });
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Entry& a = pictures[i];
    for (size_t j = i + 1; j < std::min(pictures.size(), i + 1 + kMostCompared); ++j) {
      const Entry& b = pictures[j];
      if (((a.appearance.hash ^ b.appearance.hash) & mask) != 0) break;
      if (a.content == b.content || !near(a.appearance, b.appearance)) continue;
      if (first_agreement(a.appearance.hash, b.appearance.hash, first, second, third))
        collector->add(std::min(a.place, b.place), std::max(a.place, b.place), false, false);
    }
  }
}

}  // namespace

std::vector<DuplicateGroup> find_duplicates(const std::vector<std::span<const RecordSignature>>& sets) {
  std::vector<Entry> records, pictures;
  for (size_t set = 0; set < sets.size(); ++set) {
    for (uint64_t i = 0; i < sets[set].size(); ++i) {
      const RecordSignature& signature = sets[set][i];
      if (signature.usable) records.push_back({signature.content, signature.appearance, {set, i}});
    }
  }
  std::sort(records.begin(), records.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.content, a.place) < std::tie(b.content, b.place); });
  Collector collector;
  for (auto begin = records.begin(); begin != records.end();) {
    const auto end = std::find_if(begin, records.end(), [&](const Entry& e) { return e.content != begin->content; });
    add_equal(sets, &*begin, &*begin + (end - begin), &collector);
    for (auto entry = begin; entry != end; ++entry) {
      const bool first_of_set = entry == begin || (entry - 1)->place.set != entry->place.set;
      if (first_of_set && sets[entry->place.set][entry->place.record].has_appearance) pictures.push_back(*entry);
    }
    begin = end;
  }
  records = {};
  for (int first = 0; first < kBands; ++first) {
    for (int second = first + 1; second < kBands; ++second) {
      for (int third = second + 1; third < kBands; ++third) add_near(pictures, first, second, third, &collector);
    }
  }
  return collector.groups();
}

}  // namespace trainer
