// Selects the kind of database.
#include "data/records/open_database.h"

#include "data/records/leveldb.h"
#include "data/records/lmdb_source.h"

namespace trainer {

std::unique_ptr<RecordSource> open_database(caffe::DataParameter::DB backend, const std::string& path,
                                            const LogLine& log) {
  if (backend == caffe::DataParameter::LMDB) return std::make_unique<LmdbSource>(path);
  return open_leveldb_source(path, log);
}

}  // namespace trainer
