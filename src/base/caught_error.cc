// Converts exceptions to Errors.
#include "base/caught_error.h"

#include <filesystem>
#include <new>
#include <system_error>

#include "base/thread_start.h"

namespace trainer {
namespace {

Error without_memory(bool computes) {
  return device_error("{}", computes ? "out of memory. A smaller batch_size with a larger iter_size needs less."
                                     : "out of memory: the command needs more than is free or `ulimit -v` allows");
}

}  // namespace

Error caught_error(bool computes) {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return without_memory(computes);
  } catch (const std::exception& error) {
    if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
      return data_error("{} cannot be used: {}", file->path1().string(), file->code().message());
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again) return too_few_threads();
    return Error(ExitCode::kInternal, fmt::format("internal error: {} (this is a bug in trainer)", error.what()));
  } catch (...) {
    return Error(ExitCode::kInternal, "internal error: an unknown exception (this is a bug in trainer)");
  }
}

}  // namespace trainer
