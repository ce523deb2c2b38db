// What all groups have in common.
#include "ranks/group.h"

namespace trainer {

std::string text_of(const Member& member) { return fmt::format("rank {} on {}", member.launched_rank, member.host); }

std::string Group::broadcast_text(const std::string& own, int root) {
  auto length = static_cast<uint64_t>(own.size());
  broadcast(&length, sizeof(length), root);
  std::string text = rank() == root ? own : std::string(length, '\0');
  broadcast(text.data(), static_cast<int64_t>(length), root);
  return text;
}

}  // namespace trainer
