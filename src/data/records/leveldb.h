// LevelDB databases, Caffe's default. One of two folders implements this: leveldb/, or leveldb_absent/ where
// the library was not there when trainer was built; both functions then throw config_error with the remedy.
#pragma once

#include <memory>
#include <string>

#include "data/records/record_source.h"
#include "data/records/record_writer.h"

namespace trainer {

// Opens the database in folder `path` without writing to it: its folder may be read-only, and any number of
// processes may read it. The number of records is found by a walk over the keys, whose result is kept in a
// cache file where the walk was long. Throws data_error: nothing there, another kind of database, open in
// another process that may be writing, damaged, empty.
std::unique_ptr<RecordSource> open_leveldb_source(const std::string& path, const LogLine& log);

std::unique_ptr<RecordWriter> make_leveldb_writer(const std::string& target);

}  // namespace trainer
