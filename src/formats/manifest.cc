// Reads, writes and verifies snapshot manifests.
#include "formats/manifest.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "formats/input_file.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTitle = "trainer snapshot manifest 1";
constexpr int64_t kLargestManifest = 1 << 20;

// Escapes newline and backslash, so that a name fits on one line.
std::string escaped(const std::string& name) {
  std::string out;
  for (char c : name) out += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
  return out;
}

std::string unescaped(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool escape = name[i] == '\\' && i + 1 < name.size();
    if (escape) ++i;
    out += escape && name[i] == 'n' ? '\n' : name[i];
  }
  return out;
}

template <typename T>
bool parse_number(std::string_view text, int base, T& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

std::string path_of(const ManifestEntry& entry, const std::string& manifest_path) {
  return (fs::path(manifest_path).parent_path() / entry.name).string();
}

// A sentence that says how the file differs from its manifest entry; "" if it does not.
std::string difference(const ManifestEntry& expected, const std::string& manifest_path) {
  const std::string path = path_of(expected, manifest_path);
  try {
    const ManifestEntry found = describe_file(path);
    if (found.bytes != expected.bytes)
      return fmt::format("{} has {} bytes, but {} were written", path, found.bytes, expected.bytes);
    if (found.crc32 != expected.crc32)
      return fmt::format("{} has changed: its checksum is {:08x}, but {:08x} was written", path, found.crc32,
                         expected.crc32);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

ManifestEntry describe_file(const std::string& path) {
  const InputFile file(path, "file");
  ManifestEntry entry;
  entry.name = fs::path(path).filename().string();
  entry.bytes = file.size();
  std::vector<unsigned char> buffer(static_cast<size_t>(std::min<int64_t>(file.size(), 1 << 20)));
  uLong crc = ::crc32(0, nullptr, 0);
  for (int64_t offset = 0; offset < file.size();) {
    const int64_t part = std::min<int64_t>(file.size() - offset, static_cast<int64_t>(buffer.size()));
    file.read(offset, buffer.data(), part);
    crc = ::crc32(crc, buffer.data(), static_cast<uInt>(part));
    offset += part;
  }
  entry.crc32 = static_cast<uint32_t>(crc);
  return entry;
}

void write_manifest(AtomicFile& manifest, const std::vector<ManifestEntry>& entries) {
  std::string text = fmt::format("{}\n", kTitle);
  for (const ManifestEntry& entry : entries)
    text += fmt::format("{:08x} {} {}\n", entry.crc32, entry.bytes, escaped(entry.name));
  manifest.write(text.data(), text.size());
}

std::vector<ManifestEntry> read_manifest(const std::string& manifest_path) {
  const InputFile file(manifest_path, "manifest");
  if (file.size() > kLargestManifest)
    throw data_error("{} is not a manifest: {} long", manifest_path, format_bytes(file.size()));
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read(0, text.data(), file.size());
  const std::vector<std::string> lines = split(text, '\n');
  if (lines[0] != kTitle) throw data_error("{} is not a manifest: its first line is not \"{}\"", manifest_path, kTitle);
  std::vector<ManifestEntry> entries;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.empty() && i + 1 == lines.size()) break;
    const size_t first = line.find(' '), second = first == line.npos ? line.npos : line.find(' ', first + 1);
    ManifestEntry entry;
    if (second == line.npos || !parse_number(line.substr(0, first), 16, entry.crc32) ||
        !parse_number(line.substr(first + 1, second - first - 1), 10, entry.bytes)) {
      throw data_error("{}, line {}: expected checksum, size and name", manifest_path, i + 1);
    }
    entry.name = unescaped(line.substr(second + 1));
    entries.push_back(std::move(entry));
  }
  const bool has_state = std::any_of(entries.begin(), entries.end(), [](const ManifestEntry& entry) {
    return entry.name.find(".solverstate") != std::string::npos;
  });
  if (entries.size() < 2 || !has_state || !text.ends_with('\n'))
    throw data_error("{} is truncated: it lists {} file{}, but a snapshot has weights and a solver state",
                     manifest_path, entries.size(), entries.size() == 1 ? "" : "s");
  return entries;
}

std::string manifest_path_of(const std::string& path) {
  std::string_view base = path;
  if (base.ends_with(".h5")) base.remove_suffix(3);
  for (const std::string_view ending : {"_ema.caffemodel", "_swa.caffemodel", ".caffemodel", ".solverstate"}) {
    if (base.ends_with(ending)) return std::string(base.substr(0, base.size() - ending.size())) + ".manifest";
  }
  return "";
}

void check_listed(const std::string& path) {
  const std::string manifest = manifest_path_of(path);
  std::error_code ignored;
  if (manifest.empty() || !fs::exists(manifest, ignored)) return;
  std::string problem;
  try {
    for (const ManifestEntry& entry : read_manifest(manifest)) {
      if (fs::equivalent(path_of(entry, manifest), path, ignored)) problem = difference(entry, manifest);
    }
  } catch (const Error& error) {
    problem = error.what();
  }
  if (!problem.empty())
    throw data_error("{}. Copy {} again, or take another snapshot; if the change is intended, remove {}", problem, path,
                     manifest);
}

std::vector<std::string> verify_manifest(const std::string& manifest_path) {
  std::error_code ignored;
  if (!fs::exists(manifest_path, ignored)) return {};
  std::vector<std::string> problems;
  std::vector<ManifestEntry> entries;
  try {
    entries = read_manifest(manifest_path);
  } catch (const Error& error) {
    return {error.what()};
  }
  for (const ManifestEntry& expected : entries) {
    const std::string problem = difference(expected, manifest_path);
    if (!problem.empty()) problems.push_back(problem);
  }
  return problems;
}

}  // namespace trainer
