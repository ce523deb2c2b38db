// LevelDB databases, Caffe's default. One of two folders implements this: leveldb/, or leveldb_absent/ if trainer was
// built without the library. In leveldb_absent/ both functions throw config_error with the remedy.
#pragma once

#include <memory>
#include <string>

#include "data/records/record_source.h"
#include "data/records/record_writer.h"

namespace trainer {

// Opens the database in folder `path` without writing to it: its folder may be read-only, and any number of processes
// may read it. A walk over the keys counts the records; a long walk is cached in a file. Throws data_error: missing,
// another kind of database, open in another process that may be writing, damaged, empty.
std::unique_ptr<RecordSource> open_leveldb_source(const std::string& path, const LogLine& log);

std::unique_ptr<RecordWriter> make_leveldb_writer(const std::string& target);

}  // namespace trainer
