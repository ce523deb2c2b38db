// Field offsets of LMDB's data format version 1 on 64-bit machines.
#include "data/records/lmdb_tree.h"

#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

namespace {

constexpr uint64_t kPageHeader = 16, kNodeHeader = 8;
constexpr uint16_t kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8, kPlainKeysOnly = 0x20;
constexpr uint16_t kLargeValue = 1, kSubDatabase = 2, kDuplicates = 4;
constexpr uint32_t kMagic = 0xBEEFC0DE, kVersion = 1;
// Within a head (meta page): magic, version, address, map size, then two descriptions of 48 bytes (free
// pages, main), the last page's number and the transaction's.
constexpr uint64_t kHeadPageSize = 24, kMainDatabase = 72, kLastPage = 120, kTransaction = 128, kHeadBytes = 136;
// Within a description: 4 bytes, flags, depth, three page counts, entries, root.
constexpr uint64_t kFlags = 4, kEntries = 32, kRoot = 40;
constexpr uint64_t kNoPage = ~uint64_t{0};
// A node and its offset take at least this much of a file.
constexpr uint64_t kLeastEntryBytes = 10;

template <typename T>
T load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

LmdbTree::LmdbTree(const char* bytes, uint64_t size, uint64_t transaction, std::string path,
                   std::function<void()> check_intact)
    : bytes_(bytes), size_(size), path_(std::move(path)), check_intact_(std::move(check_intact)) {
  if (size < kPageHeader + kHeadBytes || load<uint32_t>(bytes + kPageHeader) != kMagic) {
    throw data_error("{} is not an LMDB database", path_);
  }
  if (load<uint32_t>(bytes + kPageHeader + 4) != kVersion) {
    throw data_error("{} has LMDB data format {}: only version {} is supported", path_,
                     load<uint32_t>(bytes + kPageHeader + 4), kVersion);
  }
  page_size_ = load<uint32_t>(bytes + kPageHeader + kHeadPageSize);
  if (page_size_ < 256 || page_size_ > 32768 || (page_size_ & (page_size_ - 1)) != 0) damaged("its page size is wrong");
  check_head(0);
  check_head(page_size_);
  bool found = read_head(0, transaction);
  found = read_head(page_size_, transaction) || found;
  if (!found) damaged("its heads do not belong to the transaction that was opened");
}

// The library writes two complete heads into a new database and trusts both.
void LmdbTree::check_head(uint64_t offset) const {
  if (offset + kPageHeader + kHeadBytes > size_) damaged("it ends within its heads");
  const char* head = bytes_ + offset + kPageHeader;
  if (load<uint32_t>(head) != kMagic || load<uint32_t>(head + 4) != kVersion ||
      (load<uint16_t>(bytes_ + offset + 10) & kMeta) == 0)
    damaged("one of its heads is not whole");
  if (load<uint32_t>(head + kHeadPageSize) != page_size_) damaged("its heads have different page sizes");
}

// Adopts the state of the head at `offset` if it is the requested one, or newer than the current one.
bool LmdbTree::read_head(uint64_t offset, uint64_t transaction) {
  const char* head = bytes_ + offset + kPageHeader;
  const uint64_t number = load<uint64_t>(head + kTransaction);
  if (transaction != 0 ? number != transaction : number < transaction_) return false;
  const uint64_t pages = load<uint64_t>(head + kLastPage) + 1;
  if (pages == 0 || pages > size_ / page_size_) {
    throw data_error("{} is truncated: it has {}, its head describes {} pages of {}. Copy or make it again", path_,
                     format_bytes(static_cast<int64_t>(size_)), pages, format_bytes(static_cast<int64_t>(page_size_)));
  }
  const char* database = head + kMainDatabase;
  if (load<uint16_t>(database + kFlags) != 0) {
    throw data_error(
        "{} is an LMDB database with duplicate, reversed or integer keys; only plain keys with one record each are "
        "supported",
        path_);
  }
  entries_ = load<uint64_t>(database + kEntries);
  root_ = load<uint64_t>(database + kRoot);
  transaction_ = number;
  if (entries_ > size_ / kLeastEntryBytes) damaged("its head counts more records than it can hold");
  if (entries_ > 0 && root_ == kNoPage) damaged("its head counts records but names no pages");
  return true;
}

void LmdbTree::damaged(const char* what) const {
  check_intact_();
  throw data_error("{} is damaged: {}. Copy or make it again", path_, what);
}

LmdbTree::Page LmdbTree::page(uint64_t number) const {
  if (number < 2 || number >= size_ / page_size_) damaged("a page lies outside the file");
  Page page;
  page.bytes = bytes_ + number * page_size_;
  const auto flags = load<uint16_t>(page.bytes + 10);
  const uint64_t lower = load<uint16_t>(page.bytes + 12);
  page.leaf = (flags & kLeaf) != 0;
  if (((flags & kBranch) != 0) == page.leaf || (flags & kPlainKeysOnly) != 0) damaged("a page is of the wrong kind");
  if (lower <= kPageHeader || lower > page_size_ || lower % 2 != 0) damaged("a page has a wrong number of records");
  page.nodes = static_cast<uint32_t>((lower - kPageHeader) / 2);
  return page;
}

LmdbTree::Node LmdbTree::node(const Page& page, uint32_t index) const {
  TRAINER_ASSERT(index < page.nodes);
  const uint64_t at = load<uint16_t>(page.bytes + kPageHeader + 2 * uint64_t{index});
  if (at < kPageHeader || at + kNodeHeader > page_size_) damaged("a record lies outside its page");
  const char* bytes = page.bytes + at;
  const uint64_t size = load<uint16_t>(bytes) | uint64_t{load<uint16_t>(bytes + 2)} << 16;
  const auto flags = load<uint16_t>(bytes + 4);
  const uint64_t key_size = load<uint16_t>(bytes + 6);
  const uint64_t left = page_size_ - at - kNodeHeader;
  if (key_size > left) damaged("a key lies outside its page");
  Node node;
  node.key = std::string_view(bytes + kNodeHeader, key_size);
  if (!page.leaf) {
    node.child = size | uint64_t{flags} << 32;
    return node;
  }
  if ((flags & (kSubDatabase | kDuplicates)) != 0) {
    throw data_error("{} holds databases within the database: only an unnamed database is supported", path_);
  }
  const char* value = bytes + kNodeHeader + key_size;
  node.large = (flags & kLargeValue) != 0;
  node.large_bytes = node.large ? size : 0;
  const uint64_t in_page = node.large ? sizeof(uint64_t) : size;
  if (in_page > left - key_size) damaged("a record lies outside its page");
  node.value = std::string_view(value, in_page);
  return node;
}

std::string_view LmdbTree::value_of(const Node& node) const {
  if (!node.large) return node.value;
  const auto first_page = load<uint64_t>(node.value.data());
  const uint64_t size = node.large_bytes;
  if (first_page < 2 || first_page >= size_ / page_size_) damaged("a large record lies outside the file");
  const uint64_t at = first_page * page_size_;
  if (kPageHeader + size > size_ - at) damaged("a large record reaches beyond the file");
  if ((load<uint16_t>(bytes_ + at + 10) & kOverflow) == 0) damaged("a large record is not where it should be");
  return std::string_view(bytes_ + at + kPageHeader, size);
}

void LmdbCursor::push(uint64_t page_number) {
  if (depth_ == kDeepest) tree_->damaged("its pages form a cycle");
  levels_[depth_].page = tree_->page(page_number);
  levels_[depth_].index = 0;
  ++depth_;
}

void LmdbCursor::descend_to_first_leaf() {
  while (!levels_[depth_ - 1].page.leaf) {
    const Level& top = levels_[depth_ - 1];
    push(tree_->node(top.page, top.index).child);
  }
  load();
}

void LmdbCursor::load() {
  const Level& top = levels_[depth_ - 1];
  node_ = tree_->node(top.page, top.index);
}

void LmdbCursor::first() {
  depth_ = 0;
  push(tree_->root_);
  descend_to_first_leaf();
}

void LmdbCursor::last() {
  depth_ = 0;
  push(tree_->root_);
  while (true) {
    Level& top = levels_[depth_ - 1];
    top.index = top.page.nodes - 1;
    if (top.page.leaf) break;
    push(tree_->node(top.page, top.index).child);
  }
  load();
}

void LmdbCursor::next() {
  while (depth_ > 0 && levels_[depth_ - 1].index + 1 >= levels_[depth_ - 1].page.nodes) --depth_;
  if (depth_ == 0) tree_->damaged("it has fewer records than its head says");
  ++levels_[depth_ - 1].index;
  descend_to_first_leaf();
}

void LmdbCursor::find(std::string_view key) {
  depth_ = 0;
  push(tree_->root_);
  while (true) {
    Level& top = levels_[depth_ - 1];
    // The last node whose key is not greater. The first key of a branch is empty and covers all smaller keys.
    uint32_t low = top.page.leaf ? 0 : 1, high = top.page.nodes;
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      if (tree_->node(top.page, middle).key <= key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    top.index = low > 0 ? low - 1 : 0;
    if (top.page.leaf) break;
    push(tree_->node(top.page, top.index).child);
  }
  load();
  if (node_.key != key) tree_->damaged("a key is not where it should be");
}

}  // namespace trainer
