// Reads LMDB's B+ tree and checks every offset. The library trusts its file, and a damaged one crashes the process.
//
// Pages have a 16-byte header, then 16-bit offsets of nodes. A node has an 8-byte header, a key, and one of: a value, a
// child's page number (branches), the number of the first page of a large value (leaves). Integers have the host's byte
// order, as LMDB writes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace trainer {

// The main database of a mapped file, in the state of one transaction.
class LmdbTree {
 public:
  // `transaction`: the number of the state to read; 0 selects the newest. Throws data_error if the head of the file is
  // not LMDB's, contradicts the file's size, or describes a kind of database without plain records. `check_intact` may
  // throw a better reason before the tree is reported as damaged.
  LmdbTree(const char* bytes, uint64_t size, uint64_t transaction, std::string path,
           std::function<void()> check_intact);

  uint64_t entries() const { return entries_; }
  uint64_t transaction() const { return transaction_; }

 private:
  friend class LmdbCursor;
  struct Node {
    std::string_view key;
    std::string_view value;  // leaves; the number of its first page if it is large
    bool large = false;
    uint64_t large_bytes = 0;
    uint64_t child = 0;  // branches
  };
  // A page whose header is valid.
  struct Page {
    const char* bytes = nullptr;
    uint32_t nodes = 0;
    bool leaf = false;
  };

  void check_head(uint64_t offset) const;
  bool read_head(uint64_t offset, uint64_t transaction);
  Page page(uint64_t number) const;
  Node node(const Page& page, uint32_t index) const;
  std::string_view value_of(const Node& node) const;
  [[noreturn]] void damaged(const char* what) const;

  const char* bytes_;
  uint64_t size_;
  std::string path_;
  std::function<void()> check_intact_;
  uint64_t page_size_ = 0;
  uint64_t entries_ = 0;
  uint64_t root_ = 0;
  uint64_t transaction_ = 0;
};

// A position in a tree. Moves read pages of keys, not large values. Every move, and value(), throws data_error if the
// tree is damaged or ends too early; after a move that throws, call first() or find() before another one. The views are
// valid as long as the mapping.
class LmdbCursor {
 public:
  explicit LmdbCursor(const LmdbTree& tree) : tree_(&tree) {}

  void first();
  void last();
  void next();
  // Moves to exactly this key.
  void find(std::string_view key);
  std::string_view key() const { return node_.key; }
  std::string_view value() const { return tree_->value_of(node_); }

 private:
  struct Level {
    LmdbTree::Page page;
    uint32_t index = 0;
  };
  static constexpr size_t kDeepest = 32;

  void push(uint64_t page_number);
  void descend_to_first_leaf();
  void load();

  const LmdbTree* tree_;
  std::array<Level, kDeepest> levels_;
  size_t depth_ = 0;
  LmdbTree::Node node_;
};

}  // namespace trainer
