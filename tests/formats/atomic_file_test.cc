// Atomic files and manifests, with faults: a missing folder, a full disk, a changed file.
#include "formats/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "formats/manifest.h"
#include "formats/weights.h"
#include "temp_folder.h"

namespace trainer {
namespace {

// Limits the size of this process's files to `bytes` while it exists; simulates a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    struct rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  sighandler_t handler_;
  struct rlimit before_ {};
};

TEST(AtomicFile, MayGetAnotherNameBeforeCommit) {
  const TempFolder folder;
  const std::string path = folder.write("a", "old");
  folder.write("a.unverified", "earlier");
  AtomicFile file(path);
  file.write("new", 3);
  file.redirect(path + ".unverified");
  file.commit();
  EXPECT_EQ(read_all(path), "old");
  EXPECT_EQ(read_all(path + ".unverified"), "new");
  EXPECT_EQ(folder.file_count(), 2u);
}

TEST(AtomicFile, AppearsOnlyAfterCommit) {
  const TempFolder folder;
  const std::string path = folder.write("a", "old");
  {
    AtomicFile file(path);
    file.write("new", 3);
    EXPECT_EQ(read_all(path), "old");
  }
  EXPECT_EQ(read_all(path), "old");
  EXPECT_EQ(folder.file_count(), 1u);
  std::string large(700'000, 'x');
  AtomicFile file(path);
  file.write("1", 1);
  file.write(large.data(), large.size());
  file.write(large.data(), 200'000);
  file.write(large.data(), 200'000);
  file.commit();
  EXPECT_EQ(read_all(path), "1" + large + large.substr(0, 400'000));
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(AtomicFile, KeepsLinksPermissionsAndDevices) {
  const TempFolder folder;
  const std::string real = folder.write("real", "old"), link = folder / "link";
  ASSERT_EQ(::chmod(real.c_str(), 0600), 0);
  ASSERT_EQ(::symlink("real", link.c_str()), 0);
  AtomicFile through(link);
  through.write("new", 3);
  through.commit();
  EXPECT_EQ(read_all(real), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  struct stat status {};
  ASSERT_EQ(::stat(real.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);

  ASSERT_EQ(::chmod(real.c_str(), 0444), 0);
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile file(real); }), "is write-protected"));
  EXPECT_EQ(read_all(real), "new");

  const std::string pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile file(pipe); }), "a pipe without a reader"));
  EXPECT_TRUE(contains(data_error_of([&] { check_replaceable(pipe); }), "it is not a regular file"));
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  AtomicFile direct(pipe);
  direct.write("lines", 5);
  direct.commit();
  char read[6] = "";
  EXPECT_EQ(::read(reader, read, 5), 5);
  ::close(reader);
  EXPECT_STREQ(read, "lines");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  AtomicFile nowhere("/dev/null");
  EXPECT_TRUE(contains(data_error_of([&] { nowhere.temporary_path(); }), "not a file on a disk"));
}

TEST(AtomicFile, KeepsAFileCreatedInTheMeantime) {
  const TempFolder folder;
  AtomicFile file(folder / "a", 0, Existing::kKept);
  file.write("mine", 4);
  folder.write("a", "another's");
  EXPECT_TRUE(contains(data_error_of([&] { file.commit(); }), "created by another process"));
  EXPECT_EQ(read_all(folder / "a"), "another's");
  EXPECT_EQ(folder.file_count(), 1u);
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile(folder / "a", 0, Existing::kKept); }), "exists already"));
  ASSERT_EQ(::symlink("nowhere", (folder / "link").c_str()), 0);
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile(folder / "link", 0, Existing::kKept); }), "exists already"));
  EXPECT_NO_THROW(refuse_existing("/dev/stdout"));
  AtomicFile fresh(folder / "b", 0, Existing::kKept);
  fresh.write("mine", 4);
  fresh.commit();
  EXPECT_EQ(read_all(folder / "b"), "mine");
}

TEST(AtomicFile, FilesAppearTogetherOrNotAtAll) {
  const TempFolder folder;
  const std::string a = folder.write("a", "old"), b = folder.write("b", "old");
  {
    AtomicFile first(a), second(b);
    first.write("new", 3);
    second.write(std::string(1000, 'x').data(), 1000);
    const FileSizeLimit limit(100);
    data_error_of([&] { AtomicFile::commit_together({&first, &second}); });
  }
  EXPECT_EQ(read_all(a), "old");
  EXPECT_EQ(read_all(b), "old");
  EXPECT_EQ(folder.file_count(), 2u);
  AtomicFile first(a), second(b);
  first.write("new", 3);
  second.write("newer", 5);
  AtomicFile::commit_together({&first, &second});
  EXPECT_EQ(read_all(a), "new");
  EXPECT_EQ(read_all(b), "newer");
  EXPECT_EQ(folder.file_count(), 2u);
}

std::vector<std::string> names_in(const TempFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// Forks a process that is killed while it writes these files.
void kill_writer_of(const std::vector<std::string>& paths) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<std::unique_ptr<AtomicFile>> files;
    for (const std::string& path : paths) files.push_back(std::make_unique<AtomicFile>(path));
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
}

TEST(AtomicFile, RemovesFilesOfKilledProcesses) {
  const TempFolder folder;
  kill_writer_of(
      {folder / "x_iter_5.caffemodel", folder / "y_iter_5.caffemodel", folder / std::string(200, 'x') + "_iter_5"});
  EXPECT_EQ(folder.file_count(), 3u);
  const std::string mine = folder.write(".x_iter_5.notes.tmp", "a user's");
  {
    AtomicFile alive(folder / "x_iter_7.caffemodel");
    const size_t before = folder.file_count();
    remove_abandoned_temporaries(folder / "x_iter_");
    EXPECT_EQ(folder.file_count(), before - 1);
    remove_abandoned_temporaries(folder / std::string(200, 'x') + "_iter_");
    EXPECT_EQ(folder.file_count(), before - 2);
    alive.commit();
  }
  const std::vector<std::string> left = names_in(folder);
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left[0], ".x_iter_5.notes.tmp");
  EXPECT_TRUE(left[1].starts_with(".y_iter_5.caffemodel."));
  EXPECT_EQ(left[2], "x_iter_7.caffemodel");
  // A file with kKept removes its own abandoned temporary files.
  kill_writer_of({folder / "mean"});
  AtomicFile(folder / "mean", 0, Existing::kKept).commit();
  EXPECT_EQ(names_in(folder).size(), 4u);
}

// This host may not see the locks of another host.
TEST(AtomicFile, RemovesFilesOfOtherHostsAfterADay) {
  const TempFolder folder;
  const std::string path = folder.write(".x_iter_5.caffemodel.another-host.77.1.tmp", "");
  remove_abandoned_temporaries(folder / "x_iter_");
  EXPECT_TRUE(std::filesystem::exists(path));
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
  remove_abandoned_temporaries(folder / "x_iter_");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(AtomicFile, FailedWriteKeepsTheOldFile) {
  const TempFolder folder;
  const std::string path = folder.write("a.caffemodel", "old");
  const std::vector<float> values(100'000, 1.0f);
  const std::vector<WeightLayerRef> layers = {{"ip", nullptr, {{Shape({100'000}), values.data()}}}};
  {
    const FileSizeLimit limit(100'000);
    EXPECT_TRUE(contains(data_error_of([&] { write_whole(write_weights, path, "n", {}, layers); }), "a.caffemodel"));
    EXPECT_TRUE(contains(data_error_of([&] { write_whole(write_weights_hdf5, path, {}, layers); }), "a.caffemodel"));
  }
  EXPECT_EQ(read_all(path), "old");
  EXPECT_EQ(folder.file_count(), 1u);
  // The library still works afterwards.
  write_whole(write_weights_hdf5, path, {}, layers);
  EXPECT_EQ(read_weights(path).layers.at(0).blobs.at(0).data, values);
}

TEST(AtomicFile, NamesTheMissingFolder) {
  const TempFolder folder;
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile(folder / "no/way/a"); }), "mkdir -p " + (folder / "no/way")));
  EXPECT_TRUE(contains(data_error_of([&] { check_writable_prefix(folder / "my folder/snap"); }), "mkdir -p '"));
  EXPECT_TRUE(
      contains(data_error_of([&] { check_writable_prefix(folder / "x/y/snap"); }), "(" + folder.path() + " does)"));
  folder.write("file", "");
  EXPECT_TRUE(contains(data_error_of([&] { check_writable_prefix(folder / "file/snap"); }), "is not a folder"));
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile(folder.path()); }), "it is a folder"));
  EXPECT_TRUE(contains(data_error_of([&] { AtomicFile(folder / "a", int64_t{1} << 60); }), "the disk is full"));
  EXPECT_TRUE(
      contains(data_error_of([&] { check_writable_prefix(folder / std::string(240, 'x')); }), "longer than 255 bytes"));
  EXPECT_NO_THROW(check_writable_prefix(folder / "snap"));
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(Manifest, ListsDifferences) {
  const TempFolder folder;
  const std::string a = folder.write("a b.caffemodel", "hello snapshot"),
                    b = folder.write("back\\slash.solverstate", "12345");
  const std::string manifest = folder / "net_iter_5.manifest";
  EXPECT_TRUE(verify_manifest(manifest).empty());
  write_whole(write_manifest, manifest, {describe_file(a), describe_file(b)});
  const std::vector<ManifestEntry> entries = read_manifest(manifest);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "a b.caffemodel");
  EXPECT_EQ(entries[0].bytes, 14);
  EXPECT_EQ(entries[0].crc32, 0xe107b3e1u);  // Python's zlib.crc32
  EXPECT_EQ(entries[1].name, "back\\slash.solverstate");
  EXPECT_TRUE(verify_manifest(manifest).empty());

  folder.write("a b.caffemodel", "hello snapshoT");
  folder.write("back\\slash.solverstate", "1234");
  std::vector<std::string> problems = verify_manifest(manifest);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_TRUE(contains(problems[0], "has changed"));
  EXPECT_TRUE(contains(problems[1], "has 4 bytes, but 5 were written"));
  std::filesystem::remove(a);
  EXPECT_TRUE(contains(verify_manifest(manifest).at(0), "No such file"));
  folder.write("net_iter_5.manifest", "{}");
  EXPECT_TRUE(contains(verify_manifest(manifest).at(0), "is not a manifest"));
  folder.write("net_iter_5.manifest", "trainer snapshot manifest 1\nzz 5 x\n");
  EXPECT_TRUE(contains(verify_manifest(manifest).at(0), "line 2"));
  // Cut off before the line of the state, which is the last one.
  folder.write("net_iter_5.manifest", "trainer snapshot manifest 1\n0 5 x.caffemodel\n0 5 x_ema.caffemodel\n");
  EXPECT_TRUE(contains(verify_manifest(manifest).at(0), "is truncated: it lists 2 files"));
}

TEST(Manifest, ChecksListedFiles) {
  const TempFolder folder;
  const std::string weights = folder.write("x_iter_5.caffemodel", "weights"),
                    state = folder.write("x_iter_5.solverstate", "state"),
                    other = folder.write("x_iter_5.caffemodel.h5", "of an earlier run");
  EXPECT_NO_THROW(check_listed(weights));
  const std::string manifest = folder / "x_iter_5.manifest";
  write_whole(write_manifest, manifest, {describe_file(weights), describe_file(state)});
  EXPECT_EQ(manifest_path_of(other), manifest);
  EXPECT_EQ(manifest_path_of(folder / "mean.binaryproto"), "");
  for (const std::string& path : {weights, state, other}) EXPECT_NO_THROW(check_listed(path)) << path;

  folder.write("x_iter_5.caffemodel", "weighty");
  EXPECT_TRUE(contains(data_error_of([&] { check_listed(weights); }), "x_iter_5.caffemodel has changed"));
  EXPECT_NO_THROW(check_listed(state));
  folder.write("x_iter_5.caffemodel", "weights");

  // Truncated after each line, or inside one.
  const std::string whole = read_all(manifest);
  for (size_t length = 1; length < whole.size(); ++length) {
    folder.write("x_iter_5.manifest", whole.substr(0, length));
    EXPECT_TRUE(contains(data_error_of([&] { check_listed(weights); }), manifest)) << length;
    EXPECT_FALSE(verify_manifest(manifest).empty()) << length;
  }
}

}  // namespace
}  // namespace trainer
