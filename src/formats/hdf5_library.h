// Shared access to the HDF5 library: lock, silenced error output, handles that close themselves, error reasons. Only
// for the files that implement hdf5_file.h.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

static_assert(sizeof(hid_t) == sizeof(int64_t));

// Held during every call into the library. Also disables the library's error output, which is a per-thread setting.
class Hdf5Call {
 public:
  Hdf5Call() : lock_(mutex()) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5Eclear2(H5E_DEFAULT);
  }

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex instance;
    return instance;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};

// An identifier of the library, and the function that closes it.
class Hdf5Handle {
 public:
  Hdf5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// The innermost description on the library's error stack, which is the closest to the cause.
inline std::string hdf5_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_DOWNWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        if (error->desc != nullptr && *error->desc != '\0') *static_cast<std::string*>(out) = error->desc;
        return 0;
      },
      &reason);
  return reason.empty() ? "the HDF5 library gives no reason" : reason;
}

inline std::vector<hsize_t> extents_of(const Shape& shape) {
  return std::vector<hsize_t>(shape.dims().begin(), shape.dims().end());
}

}  // namespace trainer
