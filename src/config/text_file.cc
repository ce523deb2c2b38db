// Reading a text file, or saying helpfully why not.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "config/prototxt.h"

#include <fmt/format.h>

namespace trainer {
namespace {

namespace fs = std::filesystem;

// What stands where `path` should be: the nearest name in its folder, or how far the path exists.
std::string what_is_there(const fs::path& path) {
  std::error_code ignored;
  fs::path folder = path.parent_path();
  if (fs::is_directory(folder, ignored)) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) names.push_back(entry.path().filename().string());
    const std::string near = nearest_name(path.filename().string(), names);
    if (!near.empty()) return fmt::format("did you mean {}?", (folder / near).string());
    return fmt::format("{} exists and holds {} entries", folder.string(), names.size());
  }
  while (!folder.empty() && folder != folder.parent_path() && !fs::exists(folder, ignored)) folder = folder.parent_path();
  return fmt::format("the path exists up to {}", folder.string());
}

}  // namespace

bool read_text_file(const std::string& path, std::string* text, Diagnostics* diagnostics) {
  const SourcePosition nowhere{path, 0, 0, "", 1};
  std::error_code ignored;
  const fs::path full = fs::absolute(path, ignored);
  if (fs::is_directory(full, ignored)) {
    diagnostics->error(nowhere, "", "this is a folder, not a file");
    return false;
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (fs::exists(full, ignored)) {
      diagnostics->error(nowhere, "", "the file cannot be read", "its permissions do not allow it");
    } else {
      diagnostics->error(nowhere, "", fmt::format("there is no file {}", full.string()), what_is_there(full));
    }
    return false;
  }
  constexpr std::streamsize kMost = 256 << 20;
  std::ostringstream content;
  content << in.rdbuf();
  *text = content.str();
  if (static_cast<std::streamsize>(text->size()) > kMost) {
    diagnostics->error(nowhere, "", fmt::format("the file has {}; a net or solver is a text of a few kilobytes", format_bytes(static_cast<int64_t>(text->size()))));
    return false;
  }
  if (text->find('\0') != std::string::npos) {
    diagnostics->error(nowhere, "", "this is a binary file, not a prototxt", "weights are given by --weights, solver states by --snapshot");
    return false;
  }
  return true;
}

}  // namespace trainer
