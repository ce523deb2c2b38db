// The list of a snapshot's files with sizes and checksums, beside them as PREFIX_iter_N.manifest. It tells files of two
// snapshots from those of one; copying a snapshot without it is allowed.
//
// Text, one line a file: CRC-32 in hexadecimal, size in bytes, name relative to the manifest.
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

// Size and checksum of one file; `name` is left as its last component.
ManifestEntry describe_file(const std::string& path);

void write_manifest(AtomicFile& manifest, const std::vector<ManifestEntry>& entries);

// One that does not list the snapshot's two files, or does not end with a line's end, was cut: a data_error.
std::vector<ManifestEntry> read_manifest(const std::string& manifest_path);

// The manifest beside the weights or the state of a snapshot; "" where `path` is named like neither.
std::string manifest_path_of(const std::string& path);

// Throws a data_error where a manifest is beside `path` and lists it otherwise than it is, or cannot be understood.
void check_listed(const std::string& path);

// What differs between the manifest and the files beside it, one sentence each; empty where all is well and
// where there is no manifest. A manifest that cannot be understood is one of the sentences.
std::vector<std::string> verify_manifest(const std::string& manifest_path);

}  // namespace trainer
