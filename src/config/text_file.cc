// Reads a text file; on failure reports the cause and a remedy.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "config/prototxt.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargest = 64 << 20;

// An alternative to the missing `path`: the file of the same kind with the nearest name, or the part of the path that
// exists.
std::string alternative_to(const fs::path& path) {
  std::error_code ignored;
  fs::path folder = path.parent_path();
  if (fs::is_directory(folder, ignored)) {
    std::vector<std::string> stems;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == path.extension()) stems.push_back(entry.path().stem().string());
    }
    const std::string near = nearest_name(path.stem().string(), stems);
    if (!near.empty()) return fmt::format("did you mean {}?", (folder / near).string() + path.extension().string());
    const std::string kind = path.extension().string();
    return fmt::format("its folder exists and has {} other{} files", stems.size(), kind.empty() ? "" : " " + kind);
  }
  while (folder != folder.parent_path() && !fs::exists(folder, ignored)) folder = folder.parent_path();
  return fmt::format("the existing part of its path is {}", folder.string());
}

}  // namespace

bool read_text_file(const std::string& path, const SourcePosition& named_at, std::string* text,
                    Diagnostics* diagnostics) {
  const auto refuse = [&](const std::string& message, const std::string& hint = "") {
    diagnostics->error(named_at, "", message, hint);
    return false;
  };
  std::error_code ignored;
  const fs::path full = fs::absolute(path, ignored);
  if (fs::is_directory(full, ignored))
    return refuse(fmt::format("{} is a folder, not a file", path), "name the prototxt inside it");
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == ELOOP) return refuse(fmt::format("{} is a link to itself", full.string()), "make it point to a file");
    if (fs::exists(full, ignored))
      return refuse(fmt::format("{} cannot be read", full.string()), "its permissions do not allow it");
    return refuse(fmt::format("there is no file {}", full.string()), alternative_to(full));
  }
  // In pieces: the file may be a pipe, or a device without an end.
  std::string piece(1 << 16, '\0');
  text->clear();
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    text->append(piece, 0, static_cast<size_t>(in.gcount()));
    if (text->find('\0', text->size() - static_cast<size_t>(in.gcount())) != std::string::npos)
      return text->starts_with("\xFF\xFE") || text->starts_with("\xFE\xFF")
                 ? refuse(fmt::format("{} is UTF-16 text", path), "save it as UTF-8")
                 : refuse(fmt::format("{} is a binary file, not a prototxt", path),
                          "pass weights with --weights, solver states with --snapshot");
    if (text->size() > kLargest)
      return refuse(fmt::format("{} is larger than {}", path, format_bytes(static_cast<int64_t>(kLargest))),
                    "a net or solver is a text file of a few kilobytes");
  }
  if (in.bad())
    return refuse(
        fmt::format("{} cannot be read beyond byte {}: {}", full.string(), text->size(), std::strerror(errno)),
        "copy it again");
  if (text->starts_with("\xEF\xBB\xBF")) text->erase(0, 3);
  return true;
}

}  // namespace trainer
