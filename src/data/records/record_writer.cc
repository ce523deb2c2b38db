// Selects the kind of database to write.
#include "data/records/record_writer.h"

#include "base/error.h"
#include "data/records/leveldb.h"
#include "data/records/lmdb_writer.h"

namespace trainer {

std::unique_ptr<RecordWriter> make_record_writer(const std::string& backend, const std::string& target) {
  if (backend == "lmdb") return std::make_unique<LmdbWriter>(target);
  if (backend == "leveldb") return make_leveldb_writer(target);
  throw config_error("unknown backend \"{}\": use lmdb or leveldb", backend);
}

}  // namespace trainer
