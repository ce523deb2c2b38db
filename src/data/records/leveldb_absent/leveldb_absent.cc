// The implementation without the LevelDB library.
#include "base/error.h"
#include "data/records/database_folder.h"
#include "data/records/leveldb.h"

namespace trainer {

std::unique_ptr<RecordSource> open_leveldb_source(const std::string& path, const LogLine&) {
  if (database_kind(path) == DatabaseKind::kLmdb) throw_other_database(path, DatabaseKind::kLevelDb);
  throw config_error(
      "{} is read as a LevelDB database (without a backend it is LEVELDB, as in Caffe), but this "
      "trainer was built without LevelDB. Write backend: LMDB for an LMDB database; or install libleveldb-dev and "
      "build again",
      path);
}

std::unique_ptr<RecordWriter> make_leveldb_writer(const std::string& target) {
  throw config_error(
      "{} cannot be made: this trainer was built without LevelDB. Make an LMDB database (--backend=lmdb), or "
      "install libleveldb-dev and build again",
      target);
}

}  // namespace trainer
