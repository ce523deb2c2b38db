// The list of a snapshot's files with sizes and checksums, in PREFIX_iter_N.manifest beside them. It detects files that
// belong to different snapshots. A snapshot may be copied without its manifest.
//
// Text, one line per file: CRC-32 in hexadecimal, size in bytes, name relative to the manifest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/atomic_file.h"

namespace trainer {

struct ManifestEntry {
  std::string name;  // relative to the manifest's folder
  int64_t bytes = 0;
  uint32_t crc32 = 0;  // zlib's CRC-32
};

// Size and checksum of one file; `name` is its last path component.
ManifestEntry describe_file(const std::string& path);

void write_manifest(AtomicFile& manifest, const std::vector<ManifestEntry>& entries);

// Throws a data_error if the manifest is truncated: it lists no weights or no solver state, or its last line has no
// end.
std::vector<ManifestEntry> read_manifest(const std::string& manifest_path);

// The manifest that belongs to a weight file or solver state; "" if `path` is neither by its name.
std::string manifest_path_of(const std::string& path);

// Throws a data_error if a manifest is beside `path` and its entry does not match the file, or if it cannot be parsed.
void check_listed(const std::string& path);

// The differences between the manifest and its files, one sentence each; empty if there are none or there is no
// manifest. An unreadable manifest counts as a difference.
std::vector<std::string> verify_manifest(const std::string& manifest_path);

}  // namespace trainer
