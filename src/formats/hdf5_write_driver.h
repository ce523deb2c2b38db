// The way by which HDF5 files are written: a file driver of the library that never reports a failed write to
// it.
//
// Once a flush has failed, HDF5 1.10 cannot close the file without crashing, at the latest when the process
// ends. So this driver keeps the first error number for the caller, drops what is written after it and tells
// the library that all went well; the caller asks after each call, throws, and the file closes cleanly.
#pragma once

#include <hdf5.h>

namespace trainer {

struct Hdf5WriteFault {
  int error = 0;  // errno of the first write that failed, or 0
};

// Sets the driver in a file access property list. `fault` must outlive the file. Hold the library's lock.
void set_write_driver(hid_t access_properties, Hdf5WriteFault* fault);

}  // namespace trainer
