// The registered memory ranges, and the SIGBUS handler that uses them.
#include "formats/mapped_file.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

namespace trainer {

// An element of a list that only grows: the handler walks it without a lock. Unmapped ranges are reused.
struct MappedFile::Range {
  std::atomic<uintptr_t> begin{0};  // 0: not in use
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> failed{false};
  Range* next = nullptr;
};

struct Ranges {
  using Range = MappedFile::Range;

  static std::mutex mutex;  // held while a range is added or unmapped
  static std::atomic<Range*> first;
  static struct sigaction before;
  static uintptr_t page;

  static Range* add(uintptr_t begin, uintptr_t end);
  static bool replace(uintptr_t address);
  static void handle(int signal, siginfo_t* info, void* context);
};

std::mutex Ranges::mutex;
std::atomic<MappedFile::Range*> Ranges::first{nullptr};
struct sigaction Ranges::before {};
uintptr_t Ranges::page = 0;
static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free &&
              std::atomic<MappedFile*>::is_always_lock_free);

MappedFile::Range* Ranges::add(uintptr_t begin, uintptr_t end) {
  std::lock_guard<std::mutex> lock(mutex);
  if (page == 0) {
    page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
  }
  Range* range = first.load();
  while (range != nullptr && range->begin.load() != 0) range = range->next;
  const bool fresh = range == nullptr;
  if (fresh) range = new Range;
  range->failed = false;
  range->end = end;
  range->begin = begin;
  if (fresh) {
    range->next = first.load();
    first = range;
  }
  return range;
}

// Maps zero pages from the page of `address` to the end of its range; false if no range holds the address.
// Async-signal-safe: atomics, and a system call that takes no lock in the process.
bool Ranges::replace(uintptr_t address) {
  for (Range* range = first.load(); range != nullptr; range = range->next) {
    const uintptr_t begin = range->begin.load(), end = range->end.load();
    if (begin == 0 || address < begin || address >= end) continue;
    range->failed = true;
    const uintptr_t from = address / page * page;
    return syscall(SYS_mmap, from, end - from, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
           static_cast<long>(from);
  }
  return false;
}

// Passes a fault outside all mapped files to the previous handler. For the default action it restores that action and
// returns: the faulting instruction then runs again and raises the signal.
void Ranges::handle(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool fault = info->si_code > 0;  // sent by the kernel, with an address
  if (!fault || !replace(reinterpret_cast<uintptr_t>(info->si_addr))) {
    if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
      before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
      before.sa_handler(signal);
    } else {
      sigaction(signal, &before, nullptr);
      if (!fault) raise(signal);
    }
  }
  errno = saved_errno;
}

std::unique_ptr<MappedFile> MappedFile::map(int descriptor, uint64_t size) {
  void* map = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, descriptor, 0);
  if (map == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(map);
  return std::unique_ptr<MappedFile>(
      new MappedFile(static_cast<const char*>(map), size, Ranges::add(begin, begin + static_cast<uintptr_t>(size))));
}

MappedFile::~MappedFile() {
  std::lock_guard<std::mutex> lock(Ranges::mutex);
  range_->begin = 0;
  ::munmap(const_cast<char*>(bytes_), static_cast<size_t>(size_));
}

void MappedFile::expect_random_access() {
  madvise(const_cast<char*>(bytes_), static_cast<size_t>(size_), MADV_RANDOM);  // a failure costs only time
}

bool MappedFile::failed() const { return range_->failed.load(); }

void prefetch(std::string_view mapped) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  if (mapped.size() < page) return;
  const auto begin = reinterpret_cast<uintptr_t>(mapped.data()), first = begin / page * page;
  madvise(reinterpret_cast<void*>(first), begin + mapped.size() - first, MADV_WILLNEED);  // a failure costs only time
}

}  // namespace trainer
