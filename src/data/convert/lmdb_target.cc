// Images as records of an LMDB database.
#include <filesystem>

#include "base/error.h"
#include "data/convert/image_target.h"
#include "data/records/database_folder.h"
#include "data/records/lmdb_appender.h"
#include "formats/atomic_file.h"

namespace trainer {

namespace {

constexpr size_t kMapBytes = size_t{64} << 20;

// Makes the folder of the database.
const std::string& prepared(const std::string& folder, const std::vector<std::string>& class_names) {
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error) throw data_error("cannot make the folder {}: {}", folder, error.message());
  if (class_names.empty()) return folder;
  const std::string text = fmt::format("{}\n", fmt::join(class_names, "\n"));
  AtomicFile file(folder + "/" + kClassNamesFile);
  file.write(text.data(), text.size());
  file.commit();
  return folder;
}

class LmdbTarget : public ImageTarget {
 public:
  LmdbTarget(const ImageList& list, const std::string& folder, const std::string& shown, const ConversionState& state)
      : list_(list),
        records_(prepared(folder, list.class_names()), shown, LmdbAppender::Flush::kEachCommit, kMapBytes) {
    if (records_.entries() < state.rows)
      throw data_error("{} lacks records that were written: begin again with --overwrite in place of --resume", folder);
  }

  void put(const ConvertedImage& image, ConversionState& state) override {
    records_.put(fmt::format("{:08d}_{}", state.done, list_.path(image.index)), image.bytes);
    ++state.rows;
  }
  void flush() override { records_.commit(); }
  void finish_shard(const ConversionState&) override { records_.finish(); }

 private:
  const ImageList& list_;
  LmdbAppender records_;
};

}  // namespace

std::unique_ptr<ImageTarget> make_lmdb_target(const ImageList& list, const std::string& folder,
                                              const std::string& shown, const ConversionState& state) {
  return std::make_unique<LmdbTarget>(list, folder, shown, state);
}

}  // namespace trainer
